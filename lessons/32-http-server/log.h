/*
 * log: prints a line for each request, and knows the time of day. Built by
 * lesson 32.
 */
#ifndef HTTP_SERVER_LOG_H
#define HTTP_SERVER_LOG_H

#include "http.h"
#include "output.h"
#include "reply.h"

#include <stdint.h>
#include <time.h>

struct log {
    struct output line; /* what we print next */
    time_t second;      /* both dates belong to it */
    char http_date[REPLY_DATE_BYTES];
    char log_date[sizeof "10/Oct/2000:13:55:36 +0000"];
};

/* Brings the dates up to date, when another second has begun. */
void log_update_dates(struct log *log);

/*
 * Prints a line in the combined log format, which many programs can read, into
 * the buffer of standard output. address is the client's, as a text; line is
 * the first line of its request; status and length are those of the reply.
 */
void log_request(struct log *log, const char *address,
                 const struct http_head *head, const struct http_text *line,
                 unsigned status, uint64_t length);

#endif
