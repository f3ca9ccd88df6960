/*
 * answer: writes the reply to a request into the output. Built by lesson 32.
 */
#ifndef HTTP_SERVER_ANSWER_H
#define HTTP_SERVER_ANSWER_H

#include "client.h"
#include "http.h"

#include <stdbool.h>
#include <stdint.h>

/* A request that has been read, and what we reply to it. The caller sets the
 * first four, and leaves the rest 0. */
struct answer {
    const struct http_head *head;
    struct http_text line; /* its first line, for the log */
    bool is_head;          /* the reply has no body */
    const char *fields;    /* more fields, each with its end of line */
    unsigned status;
    uint64_t length;  /* of the body that the head announces */
    const char *type; /* of the body, or NULL */
};

/* Adds a reply that says only its status. */
void answer_with_status(struct client *client, struct answer *answer,
                        unsigned status);

/* Finds what a target such as "/a%20b?c" leads to, and adds the reply: a file,
 * the list of a folder, or a status. A large file is not added, but becomes
 * the client's. Returns false when the connection is of no more use. */
bool answer_with_target(struct client *client, struct answer *answer,
                        const struct http_text *target);

#endif
