/*
 * client: the life of a client: its handshake, its records, what is unsent, and
 * how it leaves. Built by lesson 27.
 */
#ifndef TLS_EVENT_LOOP_CLIENT_H
#define TLS_EVENT_LOOP_CLIENT_H

#include "server.h"

/* Adds the timeout of clients, server->handshake, to the server's loop. Its
 * milliseconds must be set already, and the loop must be open: loop.h. */
void client_add_timeout(struct server *server);

/* Takes in a client that has been accepted as fd, a non-blocking socket. From
 * now on this module closes fd, and the loop calls it when something happens to
 * the client or its time is up. The client has the time server->handshake for
 * its handshake. If it cannot be served, says why on standard error, and closes
 * fd at once. */
void client_admit(struct server *server, int fd);

/* Closes all clients. Those that have made their handshake, and for which
 * nothing is unsent, are sent a close_notify first, if the kernel takes it at
 * once: RFC 8446, section 6.1. */
void client_close_all(struct server *server);

#endif
