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

/* Returns a socket that is connected to this address. Or it says why that
 * failed, and returns -1. */
static int try_address(const struct addrinfo *where) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (connect(fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", name);
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        fd = try_address(where);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);

    int fd = connect_to(argv[1], argv[2]);
    /* 1. Call read(STDIN_FILENO, ...) and send, until the input ends. */
    /* 2. End the sending half: the peer waits for that before it answers. */
    /* 3. Call recv and write what came, until the peer closes. */
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
