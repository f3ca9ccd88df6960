/*
 * proxy: what all tunnels of the proxy share. Built by lesson 33.
 */
#ifndef SOCKS_PROXY_PROXY_H
#define SOCKS_PROXY_PROXY_H

#include "loop.h"
#include "network.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>

enum { NETWORKS = 64 };

struct options {
    in_port_t port;
    size_t network_count;
    struct network networks[NETWORKS]; /* that are allowed */
    char *users;                       /* the lines of the file, or NULL */
};

struct proxy {
    struct options options;
    struct loop loop;
    int listener;
    int threads;    /* how many are at work */
    int results[2]; /* a pipe, in which threads send us their results */
    struct loop_watcher listener_watcher;
    struct loop_watcher results_watcher;
    struct loop_timeout idle_time;
    struct loop_timeout accept_pause_time;
    struct loop_timer accept_pause; /* runs while we accept nobody */
    pthread_attr_t detached;
};

#endif
