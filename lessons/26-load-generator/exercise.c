/*
 * 26 exercise: at which rate does p99 break?
 *
 * usage: 26-load-generator -l MICROSECONDS -t MILLISECONDS HOST PORT
 *
 * The server's clock is in its messages: you tell it when requests come, and it
 * says when their replies were there. The README beside this file says the
 * rest.
 *
 * What is here compiles, and asks nobody. Your part begins in find_rate.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEAST_RATE = 100,
    MOST_RATE = 10000,
    WARM_UP_US = 100000,
    RUN_US = 1100000, /* the warm-up included */
    LARGEST = 1000000000,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 26-load-generator -l MICROSECONDS -t MILLISECONDS HOST "
          "PORT\n",
          out);
    exit(status);
}

static long parse_number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != '\0' || value > LARGEST)
        errx(1, "%s is not a number from 1 to %d", text, LARGEST);
    return value;
}

/* Returns the highest rate at which p99 is not above limit, or 0. */
static long find_rate(const struct addrinfo *to, long limit,
                      struct deadline deadline) {
    /* Here a run at a rate: connect, send when each request comes, end your
     * half, and read when each reply was there. And then: which rates? */
    (void)to;
    (void)limit;
    (void)deadline;
    return LEAST_RATE;
}

int main(int argc, char **argv) {
    long limit = 0;
    long milliseconds = 0;
    struct addrinfo *list;
    in_port_t port;
    for (int option; (option = getopt(argc, argv, "+hl:t:")) != -1;) {
        if (option == 'l')
            limit = parse_number(optarg);
        else if (option == 't')
            milliseconds = parse_number(optarg);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    argv += optind;
    if (argc - optind != 2 || limit == 0 || milliseconds == 0)
        usage(stderr, 2);
    if (addr_parse_port(argv[1], strlen(argv[1]), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    struct deadline deadline = deadline_after((int)milliseconds);
    int error = addr_resolve(argv[0], argv[1], AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", argv[0], gai_strerror(error));
    long rate = find_rate(list, limit, deadline);
    freeaddrinfo(list);
    if (rate == 0)
        errx(1, "p99 is above %ld us at %d a second", limit, LEAST_RATE);
    if (printf("%ld\n", rate) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
