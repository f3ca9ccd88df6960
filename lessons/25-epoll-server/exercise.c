/*
 * 25 exercise: echo with an idle limit for each client.
 *
 * usage: 25-epoll-server -i SECONDS PORT
 *
 * Send back what clients say, and close one that has been silent for SECONDS.
 * It costs nothing while nothing happens. The README beside this file says the
 * rest.
 *
 * What is here compiles, listens, and accepts nobody. Your part begins in main,
 * after epoll_create1; take from epoll-server.c what you like.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include <err.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

struct server {
    int epoll, listener, milliseconds;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server -i SECONDS PORT\n", out);
    exit(status);
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        bind(fd, address, length) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, address, &length) < 0)
        err(1, "listen 127.0.0.1:%d", port);
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0 ||
        fflush(stdout) == EOF)
        err(1, "standard output");
    return fd;
}

int main(int argc, char **argv) {
    struct server server;
    in_port_t port;
    struct rlimit files;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 4 || strcmp(argv[1], "-i") != 0)
        usage(stderr, 2);
    if (deadline_parse(argv[2], strlen(argv[2]), &server.milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", argv[2]);
    if (addr_parse_port(argv[3], strlen(argv[3]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[3]);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        err(1, "epoll_create1");
    server.listener = listen_on(port);
    (void)server.listener;
    /* 1. Have epoll tell when somebody knocks, and accept them. */
    /* 2. Send back what they say, however little or much fits. */
    /* 3. Let go who is silent for too long: whose time is up first? */
    return 0;
}
