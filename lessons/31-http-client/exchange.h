/*
 * exchange: sends a request, and reads the head of the reply. Built by lesson
 * 31.
 */
#ifndef HTTP_CLIENT_EXCHANGE_H
#define HTTP_CLIENT_EXCHANGE_H

#include "connection.h"
#include "http.h"
#include "url.h"

/*
 * Asks for what the URL names, with GET, and reads the head of the reply. Heads
 * with a status from 100 to 199 are passed over. The connection is used again
 * if it leads to the right server. Otherwise it is closed, and
 * connection_open opens a new one, with these options.
 *
 * Returns 0, and then the next unread byte is the first one behind the head.
 * The texts in *head lie in the buffer of the connection, so they are good
 * until the next call of connection_fill. Otherwise it returns -1 after it has
 * reported the error.
 */
int exchange(struct connection *connection, const struct url *url,
             const struct connection_options *options, struct http_head *head);

#endif
