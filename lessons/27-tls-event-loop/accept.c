/* accept: takes clients out of the queue. */
#define _GNU_SOURCE

#include "accept.h"

#include "client.h"
#include "listener.h"
#include "loop.h"
#include "server.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Opens a non-blocking listener at 127.0.0.1. The sockets that it accepts
 * inherit TCP_NODELAY: lesson 05. */
static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    const char *failed;
    int fd = listener_open((const struct sockaddr *)&own, sizeof own, SOMAXCONN,
                           0, &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

void accept_again(struct server *server) {
    if (server->loop.is_stop_requested)
        return;
    if (loop_watch(&server->loop, &server->listener, EPOLLIN) < 0) {
        warn("epoll_ctl");
        loop_start_timer(&server->pause, &server->pause_timer);
    }
}

/* Stops accepting for a while: others wait in the queue. */
static void stop_watching_listener(struct server *server) {
    if (loop_watch(&server->loop, &server->listener, 0) < 0)
        warn("epoll_ctl");
}

/* The loop calls this when the pause after a failed call is over. */
static void end_pause(void *owner) {
    struct server *server = owner;
    if (server->clients < server->most_clients)
        accept_again(server);
}

/* The loop calls this when a client is in the queue. We accept one. If there
 * are more, the loop calls us again, after it has handled the other clients. */
static void accept_client(void *owner, uint32_t events) {
    struct server *server = owner;
    (void)events;
    int fd =
        accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == EINTR))
        return; /* that client has gone, or a signal came */
    if (fd < 0) {
        warn("accept");
        stop_watching_listener(server);
        loop_start_timer(&server->pause, &server->pause_timer);
        return;
    }
    client_admit(server, fd);
    if (server->clients == server->most_clients) {
        if (printf("full with %d clients\n", server->most_clients) < 0)
            warn("standard output");
        stop_watching_listener(server);
    }
}

void accept_start(struct server *server, in_port_t port) {
    const char *failed;
    server->pause.milliseconds = PAUSE_MS;
    server->pause.handle = end_pause;
    loop_add_timeout(&server->loop, &server->pause);
    server->pause_timer.owner = server;
    server->listener.handle = accept_client;
    server->listener.owner = server;
    server->listener.fd = open_listener(port);
    if (loop_watch(&server->loop, &server->listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (listener_announce(server->listener.fd, &failed) < 0)
        err(1, "%s", failed);
}

void accept_end(struct server *server) {
    (void)loop_watch(&server->loop, &server->listener, 0);
    (void)close(server->listener.fd);
}
