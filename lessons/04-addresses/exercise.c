/*
 * 04 exercise: connect to any address of a name.
 *
 * usage: 04-addresses HOST PORT
 *
 * Try each address that getaddrinfo gives, in its order, until one answers: say
 * on standard error which failed and why, `127.0.0.1:8004: Connection refused`,
 * and on standard output which one answered, `connected to [::1]:8004`. The
 * README beside this file says the rest.
 *
 * What is here compiles, and tries nobody. Your part begins in main.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 04-addresses HOST PORT\n", out);
    exit(status);
}

/* A port from the command line: digits and nothing else, 1 to 65535. */
static void require_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port == 0 ||
        port > 65535)
        errx(1, "%s is not a port: 1 to 65535", text);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    require_port(argv[2]);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    /* 1. getaddrinfo, for streams. Its own reason, when it fails. */
    /* 2. For each address of the list: socket, connect. */
    /* 3. It failed: say which one, and why. Close what is of no use. */
    /* 4. It answered: say which one. Give the list back. */
    return 0;
}
