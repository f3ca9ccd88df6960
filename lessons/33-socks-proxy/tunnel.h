/*
 * tunnel: passes on bytes between a client and its server. Built by lesson 33.
 *
 * The bytes stay in the kernel: splice(2) moves them from a socket into a pipe,
 * and from the pipe into the other socket. All this is done in the loop.
 */
#ifndef SOCKS_PROXY_TUNNEL_H
#define SOCKS_PROXY_TUNNEL_H

#include "addr.h"
#include "loop.h"
#include "proxy.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    /* The target, as people read it. */
    TUNNEL_TARGET_BYTES = 256 + sizeof " port 65535",
};

/* The bytes that go one way: from a socket into a pipe, and from the pipe into
 * the other socket. */
struct direction {
    int from;
    int to;
    int pipe_in;
    int pipe_out;
    size_t in_pipe; /* so many bytes are in the pipe now */
    bool is_pipe_full;
    bool has_ended;           /* no more bytes come */
    bool is_closed;           /* and the other side has been told */
    unsigned long long total; /* so many bytes have left it */
};

/* A client, its server, and all that goes between them. */
struct tunnel {
    struct proxy *proxy;
    int client;
    int server; /* or -1: the handshake has failed */
    char client_name[ADDR_TEXT_BYTES];
    char target[TUNNEL_TARGET_BYTES];
    struct direction there;
    struct direction back;
    struct loop_watcher client_watcher;
    struct loop_watcher server_watcher;
    struct loop_timer idle;
};

/* Begins to pass on bytes between tunnel->client and tunnel->server, connected
 * sockets that do not block, after socks5_shake_hands. From now on the tunnel,
 * which is from malloc(3), belongs to the loop. It ends when both sides have
 * ended, when a call fails, or when no byte has moved for five minutes. Then
 * its sockets are closed, a line on standard output says so, and it is freed.
 */
void tunnel_start(struct tunnel *tunnel);

/* Adds the timeout of tunnels to the proxy's loop: lesson 27. */
void tunnel_add_timeout(struct proxy *proxy);

#endif
