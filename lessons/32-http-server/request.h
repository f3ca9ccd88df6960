/*
 * request: reads the requests of a client, and has them answered. Built by
 * lesson 32.
 */
#ifndef HTTP_SERVER_REQUEST_H
#define HTTP_SERVER_REQUEST_H

#include "client.h"

#include <stdbool.h>
#include <stddef.h>

/* The requests that have come, and are not handled yet. */
struct requests {
    char *bytes;
    size_t length;
};

/* What became of them. */
enum request_result {
    REQUEST_ALL,         /* what is left is the beginning of one */
    REQUEST_INTERRUPTED, /* the replies must be sent first: there may be more
                            requests */
    REQUEST_USELESS,     /* the connection is of no more use */
};

/* Puts what was unread of the client into *requests, and behind it length bytes
 * that have come. */
void request_collect(struct client *client, const char *bytes, size_t length,
                     struct requests *requests);

/* Handles requests, until one of them is not whole, or until there is enough to
 * be sent. The replies are in the output. */
enum request_result request_handle(struct client *client,
                                   struct requests *requests);

/* Keeps what is left of the requests. Returns false when it cannot. */
bool request_store(struct client *client, const struct requests *requests);

/* Replies with a status to what is no request, or not all of one. */
void request_refuse(struct client *client, const char *bytes, size_t length,
                    unsigned status);

#endif
