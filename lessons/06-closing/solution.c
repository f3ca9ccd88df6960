/*
 * 06 solution: say everything, end your half, hear everything; one good answer
 * of many.
 *
 * usage: 06-closing HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 16 }; /* copied at once; any size would do */

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

/* Sends standard input, whole, and then the end of it. */
static void send_input(int fd) {
    static char piece[PIECE_BYTES];
    ssize_t got;
    while ((got = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
        size_t sent;
        if (stream_write_all(fd, piece, (size_t)got, &sent) < 0)
            err(1, "send");
    }
    if (got < 0)
        err(1, "standard input");
    /* ENOTCONN: it was reset since we last looked. recv will say so. */
    if (shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN)
        err(1, "shutdown");
}

/* Prints the answer, whole: until the peer ends its half, too. */
static void print_answer(int fd) {
    static char piece[PIECE_BYTES];
    ssize_t received;
    while ((received = recv(fd, piece, sizeof piece, 0)) > 0)
        if (fwrite(piece, 1, (size_t)received, stdout) != (size_t)received ||
            fflush(stdout) == EOF)
            err(1, "standard output");
    if (received < 0)
        err(1, "recv");
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    if (fcntl(STDOUT_FILENO, F_GETFD) == -1) /* or the socket would be it */
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    int fd = connect_to(argv[1], argv[2]);
    send_input(fd);
    print_answer(fd);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
