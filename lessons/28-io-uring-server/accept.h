/*
 * accept: takes in clients, and refuses those for which there is no place.
 * Built by lesson 28.
 */
#ifndef IO_URING_SERVER_ACCEPT_H
#define IO_URING_SERVER_ACCEPT_H

#include "server.h"

#include <netinet/in.h>

/* Opens the spare descriptor of the server, which is given up when accept lacks
 * one: lesson 25. Ends the program with status 1 if there is none. */
void accept_open_spare(struct server *server);

/* Opens the server's listener at 127.0.0.1 and this port, and puts the port
 * that it has into *port: 0 becomes a free one. Ends the program with status 1
 * if that fails. */
void accept_open_listener(struct server *server, in_port_t *port);

/* Asks for as many clients as come, with one request: a completion for each.
 * The ring and the listener must be open. */
void accept_ask_for_clients(struct server *server);

/* Handles a completion of that request. The result is the descriptor of a new
 * client, or -errno; flags are those of the completion. If it was the last one,
 * asks anew, unless the server is to end. */
void accept_handle(struct server *server, int result, unsigned flags);

#endif
