/*
 * 06 solution: send everything, end the sending half, receive everything; one
 * good answer of many.
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

enum { PIECE_BYTES = 65536 }; /* the most that is copied at once */

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 06-closing HOST PORT\n", out);
    exit(status);
}

/* Returns a socket that is connected to this address. If that fails, the
 * function says why, and returns -1. */
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

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Sends everything that comes from standard input, and then a FIN. */
static void send_input(int fd) {
    static char piece[PIECE_BYTES];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
        if (got < 0)
            err(1, "standard input");
        if (got == 0)
            break;
        size_t sent;
        if (stream_write_all(fd, piece, (size_t)got, &sent) < 0)
            err(1, "send");
    }
    /* ENOTCONN means that the peer has reset the connection in the meantime. We
     * do not report that here, because recv will report the reset itself. */
    if (shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN)
        err(1, "shutdown");
}

/* Prints everything that the peer sends, until it closes. */
static void print_answer(int fd) {
    static char piece[PIECE_BYTES];
    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            return;
        print_bytes(piece, (size_t)received);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    /* If standard output were closed, our socket would get its number. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    int fd = connect_to(argv[1], argv[2]);
    send_input(fd);
    print_answer(fd);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
