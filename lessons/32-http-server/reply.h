/*
 * reply: decides what a web server replies to a request for a file: all of it,
 * a part of it, or that it has not changed. Built by lesson 32.
 */
#ifndef HTTP_SERVER_REPLY_H
#define HTTP_SERVER_REPLY_H

#include "http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum {
    REPLY_ETAG_BYTES = 64,
    REPLY_DATE_BYTES = sizeof "Sun, 06 Nov 1994 08:49:37 GMT",
};

/* What we reply, before it is written. */
struct reply {
    unsigned status; /* 200, 206, 304, 412... */
    uint64_t first;  /* the body begins at this byte of the file */
    uint64_t length; /* and has so many bytes */
    uint64_t total;  /* so many bytes has the whole file */
    char etag[REPLY_ETAG_BYTES];
    time_t modified;
};

/*
 * Decides about a file. status is what fstat(2) says of it. It looks at the
 * conditions of the request (RFC 9110, section 13) and at its range (section
 * 14). The result has one of these statuses:
 *
 *   200  the whole file
 *   206  the part from first on, of length bytes
 *   304  the client has it already
 *   412  a condition of the client does not hold
 *   416  there is no such part
 */
void reply_for_file(struct reply *reply, const struct http_head *head,
                    const struct stat *status);

/* Returns the words for a status, such as "Not Found". They are a constant. */
const char *reply_reason(unsigned status);

/* Writes a time as HTTP has it into text, which has REPLY_DATE_BYTES: RFC 9110,
 * section 5.6.7. Returns text. */
const char *reply_format_date(time_t time, char *text);

#endif
