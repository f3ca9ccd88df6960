/*
 * accept: takes clients out of the queue, as long as there are places for them.
 * Built by lesson 27.
 */
#ifndef TLS_EVENT_LOOP_ACCEPT_H
#define TLS_EVENT_LOOP_ACCEPT_H

#include "server.h"

#include <netinet/in.h>

/* Opens the server's listener at 127.0.0.1 and this port (0: any free port),
 * lets the loop watch it, and prints where it listens: see listener_announce in
 * listener.h. From now on each client that comes is given to client_admit, but
 * not more than server->most_clients at a time. All that server.h has must be
 * ready before, except the listener and the pause, and client_add_timeout must
 * have been called. If something fails, says so on standard error, and ends the
 * program with status 1. */
void accept_start(struct server *server, in_port_t port);

/* Lets the loop watch the listener again, after a pause, or when all places
 * were taken and one of them is free now. The caller knows that there is a
 * place. It does nothing if the server is about to end. If the kernel has no
 * room for that, says so on standard error, and tries again after PAUSE_MS. */
void accept_again(struct server *server);

/* Closes the listener: from now on no client is accepted. */
void accept_end(struct server *server);

#endif
