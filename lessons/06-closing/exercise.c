/*
 * 06 exercise: say everything, end your half, hear everything.
 *
 * usage: 06-closing HOST PORT
 *
 * Connect, copy standard input to the peer, end your half, and copy its answer
 * to standard output, until it has ended too. The README beside this file says
 * the rest.
 *
 * What is here compiles, connects, and says nothing. Your part begins after
 * that, in main.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 06-closing HOST PORT\n", out);
    exit(status);
}

/* Tries the host's addresses, in their order, until one answers. */
static int connect_to(const char *host, const char *port) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect %s", addr_format(at->ai_addr, at->ai_addrlen, name));
        (void)close(fd);
    }
    exit(1);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);

    int fd = connect_to(argv[1], argv[2]);
    /* 1. read(STDIN_FILENO, ...), send, again, until the input ends. */
    /* 2. End your half: the peer waits for that, and then answers. */
    /* 3. recv, write what came, again, until the peer has ended. */
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
