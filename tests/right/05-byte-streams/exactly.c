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

enum { LARGEST_MESSAGE = 100000 };

/* Receives the first byte of a netstring. Returns 1, or 0 if the stream has
 * ended. */
static int receive_first(int fd, char *byte) {
    ssize_t received = recv(fd, byte, 1, 0);
    if (received < 0)
        err(1, "recv");
    return received > 0;
}

/* Receives exactly so many bytes of a netstring. */
static void receive(int fd, char *bytes, size_t length) {
    ssize_t received = recv(fd, bytes, length, MSG_WAITALL);
    if (received < 0)
        err(1, "recv");
    if ((size_t)received == length)
        return;
    /* With MSG_WAITALL, fewer bytes mean that the stream has ended or has an
     * error. One more recv says which. */
    if (recv(fd, bytes, 1, 0) < 0)
        err(1, "recv");
    errx(1, "end in the middle of a netstring");
}

static void write_all(const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(STDOUT_FILENO, bytes + done, length - done);
        if (written < 0)
            err(1, "write");
        done += (size_t)written;
    }
}

static size_t parse_digit(char byte) {
    if (byte < '0' || byte > '9')
        errx(1, "bad length");
    return (size_t)(byte - '0');
}

/* Receives the rest of a length, and its colon. Returns the length. */
static size_t read_length(int fd, char first_digit) {
    size_t length = parse_digit(first_digit);
    for (;;) {
        char byte;
        receive(fd, &byte, 1);
        if (byte == ':')
            return length;
        size_t digit = parse_digit(byte);
        if (length == 0)
            errx(1, "bad length: a zero in front");
        length = length * 10 + digit;
        if (length > LARGEST_MESSAGE)
            errx(1, "length over %d", LARGEST_MESSAGE);
    }
}

static void print_message(int fd, size_t length) {
    char *message = malloc(length + 1); /* one byte more for the comma */
    if (message == NULL)
        err(1, "malloc");
    receive(fd, message, length + 1);
    if (message[length] != ',')
        errx(1, "no comma");
    message[length] = '\n';
    write_all(message, length + 1);
    free(message);
}

/* Returns a socket that is connected to the first address that answers. */
static int connect_to(const struct addrinfo *list) {
    for (const struct addrinfo *address = list; address != NULL;
         address = address->ai_next) {
        int fd = socket(address->ai_family, address->ai_socktype, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
            return fd;
        warn("connect");
        close(fd);
    }
    errx(1, "no address answers");
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
    int fd = connect_to(list);

    char digit;
    while (receive_first(fd, &digit)) {
        size_t length = read_length(fd, digit);
        print_message(fd, length);
    }
    return 0;
}
