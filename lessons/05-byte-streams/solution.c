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
    LARGEST_MESSAGE = 100000,
    BUFFER_BYTES = LARGEST_MESSAGE + sizeof "100000:,",
};

enum verdict { WHOLE, NOT_YET, WRONG_LENGTH, NO_COMMA };

struct netstring {
    const char *message;
    size_t length; /* of the message */
    size_t taken;  /* by the netstring: digits, colon and comma too */
};

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

/* Looks for one netstring at the start of the bytes. NOT_YET: nothing is wrong
 * so far, but there has to be more. Only WHOLE sets *found. */
static enum verdict parse_netstring(const char *bytes, size_t size,
                                    struct netstring *found) {
    size_t length = 0;
    size_t at = 0;
    for (; at < size && bytes[at] >= '0' && bytes[at] <= '9'; at++) {
        if (at > 0 && length == 0) /* 0 is a length, 00 and 05 are none */
            return WRONG_LENGTH;
        length = length * 10 + (size_t)(bytes[at] - '0');
        if (length > LARGEST_MESSAGE) /* before a digit more could overflow */
            return WRONG_LENGTH;
    }
    if (at == size)
        return NOT_YET;
    if (at == 0 || bytes[at] != ':')
        return WRONG_LENGTH;
    at++;
    if (size - at <= length) /* the comma takes a byte too */
        return NOT_YET;
    if (bytes[at + length] != ',')
        return NO_COMMA;
    *found = (struct netstring){bytes + at, length, at + length + 1};
    return WHOLE;
}

/* Prints all messages that are whole. Returns how many bytes they took. */
static size_t print_messages(const char *bytes, size_t size) {
    struct netstring found;
    enum verdict verdict;
    size_t taken = 0;
    while ((verdict = parse_netstring(bytes + taken, size - taken, &found)) ==
           WHOLE) {
        (void)fwrite(found.message, 1, found.length, stdout);
        (void)putchar('\n');
        taken += found.taken;
    }
    if (ferror(stdout) || fflush(stdout) == EOF)
        err(1, "standard output");
    if (verdict == WRONG_LENGTH)
        errx(1, "wrong length: 0 to %d, in digits, then a colon",
             LARGEST_MESSAGE);
    if (verdict == NO_COMMA)
        errx(1, "no comma after a message");
    return taken;
}

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
    if (fcntl(STDOUT_FILENO, F_GETFD) == -1) /* or the socket would be it */
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    int fd = connect_to(argv[1], argv[2]);
    read_messages(fd);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
