/*
 * 07 exercise: fetch a line, with retries and a deadline.
 *
 * usage: 07-timeouts -t SECONDS -n TRIES HOST PORT
 *
 * A try connects and reads one line. When it fails, say why on standard error,
 * `try 1: connect: Connection refused`, pause, and try again: TRIES times at
 * most, and never past the deadline, which is one for everything. The README
 * beside this file says the rest.
 *
 * What is here compiles and connects to nobody. Your part begins in
 * fetch_with_retries.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_TRIES = 100,
    LONGEST_SECONDS = 3600,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n", out);
    exit(status);
}

static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || text[strspn(text, "0123456789.")] ||
        seconds <= 0 || seconds > LONGEST_SECONDS)
        errx(1, "%s is not a number of seconds up to %d", text,
             LONGEST_SECONDS);
    return seconds;
}

static int parse_tries(const char *text) {
    char *end;
    long tries = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || tries < 1 ||
        tries > MOST_TRIES)
        errx(1, "%s is not a number of tries: 1 to %d", text, MOST_TRIES);
    return (int)tries;
}

/* Returns the exit status. */
static int fetch_with_retries(const struct addrinfo *to, int tries,
                              double seconds) {
    (void)to;
    (void)tries;
    (void)seconds;
    /* 1. The deadline: a point in time, from clock_gettime. */
    /* 2. One try: socket, O_NONBLOCK, connect, poll, SO_ERROR; then poll and
     *    recv, until the line is whole. Say why, when it fails; close. */
    /* 3. The pause, and the next try; or the end. */
    return 0;
}

int main(int argc, char **argv) {
    double seconds = 0;
    int tries = 0;
    in_port_t port;
    int option;
    while ((option = getopt(argc, argv, "+ht:n:")) != -1) {
        if (option == 't')
            seconds = parse_seconds(optarg);
        else if (option == 'n')
            tries = parse_tries(optarg);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    if (argc - optind != 2 || seconds <= 0 || tries == 0)
        usage(stderr, 2);
    const char *host_text = argv[optind];
    const char *port_text = argv[optind + 1];
    if (addr_parse_port(port_text, strlen(port_text), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", port_text);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    struct addrinfo *list;
    int error =
        addr_resolve(host_text, port_text, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host_text, gai_strerror(error));
    int status = fetch_with_retries(list, tries, seconds);
    freeaddrinfo(list);
    return status;
}
