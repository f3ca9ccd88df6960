/*
 * relay: takes a client to its server and passes on every byte, or refuses it.
 * Built by lesson 34.
 */
#ifndef TLS_HELLO_RELAY_H
#define TLS_HELLO_RELAY_H

#include "client.h"
#include "route.h"

/*
 * Connects to the server of the route, and passes everything on both ways,
 * until both sides have ended, or a connection has failed, or nobody has said
 * anything for five minutes. What happens is reported. The client's socket
 * stays the caller's.
 *
 * If there is no connection to the server, the client is told by an alert,
 * internal_error: RFC 8446, section 6.
 */
void relay_connect(struct client *client, const struct route *route);

/* Tells the client by an alert, unrecognized_name, that there is no server for
 * the name that it asks for: RFC 6066, section 3. Reports it, too. */
void relay_refuse(struct client *client);

/* Makes the kernel send what it gets without waiting for an ACK. We pass on
 * pieces that are no messages, so the end of a message may be a small segment:
 * lesson 05. Returns 0, or -1 with errno of setsockopt(2). */
int relay_send_at_once(int fd);

#endif
