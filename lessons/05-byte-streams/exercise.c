/*
 * 05 exercise: a reader of netstrings.
 *
 * usage: 05-byte-streams HOST PORT
 *
 * Connect, send nothing, and print each message that comes, `5:hello,` and the
 * like, on a line of its own, until the peer ends. The README beside this file
 * says the rest, and what is to become of netstrings that are none.
 *
 * What is here compiles, connects, and reads nothing. Your part begins after
 * that, in main, and with the functions that you put before it.
 */
#define _GNU_SOURCE

#include "addr.h"
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST_MESSAGE = 100000 }; /* bytes */

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 05-byte-streams HOST PORT\n", out);
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
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("%s %s", fd < 0 ? "socket" : "connect",
             addr_format(at->ai_addr, at->ai_addrlen, name));
        if (fd >= 0)
            (void)close(fd);
    }
    exit(1);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    int fd = connect_to(argv[1], argv[2]);
    (void)LARGEST_MESSAGE;
    /* 1. Read the length: digits, and then a colon. */
    /* 2. Read that many bytes, and the comma. Print them. */
    /* 3. Go on with the next, until the peer has ended. */
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
