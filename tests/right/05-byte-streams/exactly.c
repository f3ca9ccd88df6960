/*
 * A right answer that asks for no byte too many: recv takes the length byte by
 * byte, and then the message in one call, with MSG_WAITALL.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Receives exactly so many bytes. Returns 0 at an end before the first one. */
static int receive(int fd, char *bytes, size_t length, int may_end) {
    ssize_t got = recv(fd, bytes, length, MSG_WAITALL);
    if (got < 0)
        err(1, "recv");
    if (got == 0 && may_end)
        return 0;
    /* It returned less: the stream ended, or has an error. */
    if ((size_t)got < length) {
        if (recv(fd, bytes, 1, 0) < 0)
            err(1, "recv");
        errx(1, "end in the middle of a netstring");
    }
    return 1;
}

static void write_out(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t put = write(STDOUT_FILENO, bytes, length);
        if (put < 0)
            err(1, "write");
        bytes += put;
        length -= (size_t)put;
    }
}

/* The length, whose first byte is there already. */
static size_t read_length(int fd, char byte) {
    size_t length = 0;
    for (int count = 0; byte != ':' || count == 0; count++) {
        if (byte < '0' || byte > '9')
            errx(1, "bad length");
        if (count > 0 && length == 0)
            errx(1, "bad length: a zero in front");
        length = length * 10 + (size_t)(byte - '0');
        if (length > 100000)
            errx(1, "length over 100000");
        (void)receive(fd, &byte, 1, 0);
    }
    return length;
}

static void print_message(int fd, size_t length) {
    char *message = malloc(length + 1);
    if (message == NULL)
        err(1, "malloc");
    (void)receive(fd, message, length + 1, 0);
    if (message[length] != ',')
        errx(1, "no comma");
    message[length] = '\n';
    write_out(message, length + 1);
    free(message);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: 05-byte-streams HOST PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct addrinfo *list;
    int error = addr_resolve(argv[1], argv[2], AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    int fd = -1;
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype, 0);
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
            break;
        warn("connect");
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        return 1;

    char digit;
    while (receive(fd, &digit, 1, 1))
        print_message(fd, read_length(fd, digit));
    return 0;
}
