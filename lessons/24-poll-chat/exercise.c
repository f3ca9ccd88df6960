/*
 * 24 exercise: a chat with private messages.
 *
 * usage: 24-poll-chat PORT      (0: any free port)
 *
 * What a client says goes to all others, or, after `/to NAME`, to one. The
 * README beside this file says the rest.
 *
 * What is here compiles, listens, and lets nobody in. Your parts are 1 to 5.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CLIENTS = 1000,          /* at once; the next ones wait in the kernel */
    NAME_BYTES = 16,         /* the longest name, */
    LINE_BYTES = 1024,       /* the longest line, with its newline, */
    QUEUE_BYTES = 256 << 10, /* and as much as may wait for one client */
};

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
    stopping = signal_number;
    (void)alarm(1); /* in case this was too early */
}

/* One wait for all of them, and what there is to do then. */
static void take_turn(int listener) {
    /* 1. Fill in an array for poll, all clients and the listener, and wait. */
    /* 2. Let a client in, with SOCK_NONBLOCK; let those go who have left. */
    /* 3. recv what a client says, cut it into lines; the first is a name. */
    /* 4. Put each line into the queues of all others, or of one: /to. */
    /* 5. send from a queue when poll says that there is room. */
    (void)listener;
    (void)pause();
}

int main(int argc, char **argv) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    if (argc != 2 || strcmp(argv[1], "-h") == 0) {
        fputs("usage: 24-poll-chat PORT\n", argc == 2 ? stdout : stderr);
        return argc == 2 ? 0 : 2;
    }
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &own.sin_port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    own.sin_port = htons(own.sin_port);
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    (void)signal(SIGALRM, stop);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        /* For all that it accepts: no line waits for the ACK of another. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&own, size) < 0 || listen(fd, 1000) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        err(1, "listen 127.0.0.1:%s", argv[1]);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    while (!stopping)
        take_turn(fd);
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
