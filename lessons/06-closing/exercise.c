/*
 * 06 exercise: send everything, end the sending half, receive everything.
 *
 * Some servers answer only when they have heard everything: a program that
 * sorts lines must have all of them first. The client tells such a server
 * "that was all" with a half-close, and then reads the answer. You write this
 * client. It sends its standard input, and prints the answer.
 *
 * It is called as `06-closing HOST PORT`. The part that connects is given.
 * `read(STDIN_FILENO, ...)` reads from standard input. It returns what `recv`
 * returns: a number of bytes, 0 at the end, or -1.
 *
 * 1. It copies standard input to the peer, byte for byte. The input may be of
 *    any length.
 * 2. It ends its sending half when its input has ended. The peer may wait for
 *    this before it answers.
 * 3. It sends all of its input before it waits for an answer, also a megabyte
 *    of it.
 * 4. It prints the whole answer. It goes on until the peer closes.
 * 5. It copies every byte of the answer. NUL bytes may be among them.
 * 6. It copies a megabyte each way.
 * 7. It reports a reset while it receives as an error, with status 1. It first
 *    prints what arrived before the reset, then the reason in words.
 * 8. It reports a send that fails, with status 1. The peer may have gone
 *    before your program has sent everything. SIGPIPE does not end it.
 * 9. It reports input that cannot be read, with status 1. An example is a
 *    folder as standard input.
 * 10. It reports output that cannot be written, with status 1. Examples are a
 *     full disk, and a pipe that nobody reads. SIGPIPE does not end it there
 *     either.
 * 11. It says why it cannot connect, with status 1. The part that is given
 *     does this.
 * 12. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 *
 * What is here compiles, connects, and sends nothing. Your part begins after
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
