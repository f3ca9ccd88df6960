/*
 * peek: looks at the first message of a client, and leaves it in the socket.
 * Built by lesson 34.
 */
#ifndef TLS_HELLO_PEEK_H
#define TLS_HELLO_PEEK_H

#include "client.h"

#include <stdbool.h>

/*
 * Looks at the client's first bytes until they are a ClientHello, for five
 * seconds at most: MSG_PEEK in recv(2). They stay in the socket. The message,
 * without the headers of its records, is in client->message, and its length in
 * client->message_length. Its fields have not been read yet.
 *
 * Returns false when there is no ClientHello, or not all of it in time. Then it
 * has said why on standard error, and the client has to be closed.
 */
bool peek_hello(struct client *client);

#endif
