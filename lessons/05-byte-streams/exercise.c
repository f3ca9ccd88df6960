/*
 * 05 exercise: a reader of netstrings.
 *
 * A newline is one way to mark the end of a message. But then a message cannot
 * contain a newline. There is another way: say how long the message is, before
 * you send it. A netstring is such a message. It consists of the length in
 * digits, a colon, the bytes of the message, and a comma. For example,
 * `5:hello,` is the message `hello`, and `0:,` is the empty message.
 *
 * You write a program that reads netstrings, and prints each message on a line
 * of its own. It is called as `05-byte-streams HOST PORT`. The part that
 * connects is given.
 *
 * 1. It prints each message on a line of its own, sends nothing, and ends with
 *    status 0 when the peer closes.
 * 2. It prints all messages, in whatever pieces they arrive. Empty messages
 *    count too.
 * 3. It prints every byte of a message as it is. A message may contain commas,
 *    newlines and NUL bytes.
 * 4. It takes messages of up to 100000 bytes, and refuses a longer one as soon
 *    as it has read its length, without waiting for the message. What it
 *    prints about this on standard error contains the word "length". The
 *    status is 1. The messages before the wrong one are printed.
 * 5. It refuses a length that no integer can hold, and digits that go on for
 *    ever. It does not wait for a colon that may never come. The status is 1.
 * 6. It refuses a length that is not written as it should be, as soon as the
 *    wrong byte has arrived. A sign, a blank, a zero in front as in `05`, no
 *    digit at all, or another byte in place of the colon is wrong. The status
 *    is 1.
 * 7. It refuses a message without its comma, and does not print it. The error
 *    contains the word "comma", and the status is 1.
 * 8. It reports an end in the middle of a netstring, with status 1. The error
 *    contains the word "end". A reset, in the middle of a netstring or between
 *    two of them, is reported with its reason instead, such as "Connection
 *    reset by peer". The status is 1 then too.
 * 9. It prints a message as soon as it is whole. It does not wait for the next
 *    one.
 * 10. It says why it cannot connect, with status 1. The part that is given
 *     does this.
 * 11. It reports output that cannot be written, with status 1. An example is a
 *     full disk.
 * 12. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 *
 * What is here compiles, connects, and reads nothing. Your part begins after
 * that, in main. Put your own functions before main.
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
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    int fd = connect_to(argv[1], argv[2]);
    (void)LARGEST_MESSAGE; /* delete this line when you use the limit */
    /* 1. Read the length: digits, and then a colon. */
    /* 2. Read so many bytes, and the comma. Print the bytes. */
    /* 3. Go on with the next netstring, until the peer closes. */
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
