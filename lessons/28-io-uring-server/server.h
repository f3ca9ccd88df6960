/*
 * server: what all parts of the server share. Built by lesson 28.
 */
#ifndef IO_URING_SERVER_SERVER_H
#define IO_URING_SERVER_SERVER_H

#include "buffers.h"
#include "client.h"
#include "ring.h"

enum { DESCRIPTORS = 128 * 1024 }; /* ours are below this */

struct server {
    struct ring ring;
    struct buffers buffers;
    int listener;
    int signals; /* SIGINT and SIGTERM arrive here */
    int spare;   /* open on /dev/null; -1 while we do without it */
    int clients; /* how many are connected */
    int most_clients;
    int has_reported_full; /* and has admitted no client since then */
    int is_stop_requested; /* a signal has come */
    struct client all[DESCRIPTORS];
};

#endif
