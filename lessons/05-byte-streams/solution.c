/*
 * 05 solution: a reader of netstrings, one good answer of many.
 *
 * usage: 05-byte-streams HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LARGEST_MESSAGE = 100000, /* bytes */
    /* Room for the longest netstring. So the buffer is never full of bytes that
     * are not a whole one yet, and recv always has room for more. */
    BUFFER_BYTES = LARGEST_MESSAGE + sizeof "100000:,",
};

/* What the parser says about the bytes that have arrived. */
enum verdict {
    WHOLE,        /* they begin with a whole netstring */
    NOT_YET,      /* nothing is wrong so far, but more bytes have to come */
    WRONG_LENGTH, /* they do not begin with a length and a colon */
    NO_COMMA,     /* the byte after the message is not a comma */
};

struct netstring {
    const char *message;
    size_t length; /* of the message */
    size_t taken;  /* bytes of the netstring: with digits, colon and comma */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 05-byte-streams HOST PORT\n", out);
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

static int is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* Looks for one netstring at the start of the bytes. Only WHOLE sets *found. */
static enum verdict parse_netstring(const char *bytes, size_t size,
                                    struct netstring *found) {
    size_t length = 0;
    size_t at = 0; /* bytes[at] is the next byte to look at */

    while (at < size && is_digit(bytes[at])) {
        int has_zero_in_front = at > 0 && bytes[0] == '0';
        if (has_zero_in_front)
            return WRONG_LENGTH; /* 0 is right, 05 is not */
        length = length * 10 + (size_t)(bytes[at] - '0');
        if (length > LARGEST_MESSAGE)
            return WRONG_LENGTH; /* with more digits, length could overflow */
        at++;
    }
    if (at == size)
        return NOT_YET;
    if (at == 0 || bytes[at] != ':')
        return WRONG_LENGTH;
    at++; /* the colon */

    size_t comma = at + length; /* the comma comes after the message */
    if (comma >= size)
        return NOT_YET;
    if (bytes[comma] != ',')
        return NO_COMMA;
    found->message = bytes + at;
    found->length = length;
    found->taken = comma + 1;
    return WHOLE;
}

static void print_message(const struct netstring *found) {
    if (fwrite(found->message, 1, found->length, stdout) != found->length)
        err(1, "standard output");
    if (putchar('\n') == EOF)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Prints all messages that are whole. Returns how many bytes their netstrings
 * took. Ends the program at a netstring that is wrong. */
static size_t print_messages(const char *bytes, size_t size) {
    size_t taken = 0;
    for (;;) {
        struct netstring found;
        switch (parse_netstring(bytes + taken, size - taken, &found)) {
        case WHOLE:
            print_message(&found);
            taken += found.taken;
            break;
        case NOT_YET:
            return taken;
        case WRONG_LENGTH:
            errx(1, "wrong length: 0 to %d, in digits, then a colon",
                 LARGEST_MESSAGE);
        case NO_COMMA:
            errx(1, "no comma after a message");
        }
    }
}

/* Reads netstrings until the peer closes the connection. The buffer begins with
 * the bytes of a netstring that is not whole yet. */
static void read_messages(int fd) {
    static char buffer[BUFFER_BYTES];
    size_t filled = 0;

    for (;;) {
        ssize_t received = recv(fd, buffer + filled, sizeof buffer - filled, 0);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            break;
        filled += (size_t)received;
        size_t taken = print_messages(buffer, filled);
        filled -= taken;
        /* Not memcpy: the old and the new place may overlap. */
        memmove(buffer, buffer + taken, filled);
    }
    if (filled > 0)
        errx(1, "the end came in the middle of a netstring");
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
    read_messages(fd);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
