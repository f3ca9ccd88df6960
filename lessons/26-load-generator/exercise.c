/*
 * 26 exercise: at which rate does p99 break the limit?
 *
 * A shop wants to know how many requests its server can take in a second
 * before the users have to wait too long. "Too long" is a limit for p99. You
 * write a program that finds the highest rate at which p99 still keeps the
 * limit.
 *
 * To let you test this without waiting, the server of this exercise does not
 * really wait. In each reply it writes the time at which it would have
 * answered. A run is one connection, and takes 1.1 seconds of the *server's*
 * time, but almost none of yours:
 *
 * - Your program sends a line for each request. The line is the microsecond at
 *   which the request is due. With RATE requests in a second, request number
 *   i, counted from 0, is due at i × 1000000 / RATE, without the fraction. For
 *   the rate 500 these are `0`, `2000`, `4000`, and so on, as long as the
 *   number is below 1100000.
 * - Then it ends its sending half.
 * - It reads one line for each request, in the same order. `5000 ok` means
 *   that the reply was there at microsecond 5000. `5000 busy` means that there
 *   was only an error, and that is slower than any limit.
 * - It ignores the requests that were due before microsecond 100000. They are
 *   the warm-up. For the others it computes p99 of the latency: the smallest
 *   latency that 99 of 100 requests do not exceed. The latency counts from
 *   when a request was due.
 *
 * Your program is called as `26-load-generator -l MICROSECONDS -t MILLISECONDS
 * HOST PORT`. It tries 100 requests in a second, then 200, 400, and so on up
 * to 6400, and then 10000, while p99 does not exceed MICROSECONDS. Then it
 * looks between the last good rate and the first bad one. It prints the
 * highest whole rate from 100 to 10000 at which p99 does not exceed the limit.
 *
 * 1. It sends a line for each request, with the time at which it is due. A
 *    request does not wait for the replies before it, so it may send all lines
 *    at once.
 * 2. It uses p99, and not the mean or the largest. Of 100 latencies, p99 is
 *    the second largest.
 * 3. It leaves out the warm-up.
 * 4. It takes an error for slower than any reply.
 * 5. It finds the highest rate in no more than 40 runs. A result that is off
 *    by one in a hundred is good enough.
 * 6. It says so when 100 requests in a second are too much, with status 1.
 * 7. It has one deadline for everything, MILLISECONDS after its start, by a
 *    clock that nobody can set. When it has passed, it says so, with status 1.
 *    (Only the lookup of HOST cannot be interrupted.)
 * 8. It reports a server that ends too early or makes no sense, with status 1.
 *    A server that ends in the middle of a line, even just before its newline,
 *    ends too early. For example, a reply before its request was due, or a
 *    line too many, makes no sense. It does the same if it cannot connect.
 * 9. It closes the connection of a run before the next one.
 * 10. It reports output that cannot be written, with status 1. An example is a
 *     full disk.
 * 11. It refuses wrong arguments. Too few, too many, or another option get a
 *     line that begins with `usage:` on standard error, and status 2.
 *     MICROSECONDS and MILLISECONDS are numbers from 1 to 1000000000, and PORT
 *     is from 1 to 65535; other values get status 1.
 *
 * What is here compiles, checks its arguments, and measures nothing. Your
 * part is find_rate.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "number.h"

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
    RUN_US = 1100000,     /* the warm-up included */
    LARGEST = 1000000000, /* number on the command line */
};

/* What the command line says. */
struct options {
    long limit;       /* for p99, in microseconds; 0 if it is missing */
    int milliseconds; /* for everything; 0 if it is missing */
    const char *host;
    const char *port;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 26-load-generator -l MICROSECONDS -t MILLISECONDS HOST "
          "PORT\n",
          out);
    exit(status);
}

static int parse_number(const char *text) {
    unsigned long long number;
    if (number_parse(text, 1, LARGEST, &number) < 0)
        errx(1, "%s is not a number from 1 to %d", text, LARGEST);
    return (int)number;
}

/* The port stays a text, because addr_resolve takes it as one. */
static void check_port(const char *text) {
    in_port_t port;
    if (addr_parse_port(text, strlen(text), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", text);
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+hl:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'l')
            options->limit = parse_number(optarg);
        else if (option == 't')
            options->milliseconds = parse_number(optarg);
        else
            usage(stderr, 2);
    }
    if (options->limit == 0 || options->milliseconds == 0)
        usage(stderr, 2);
    if (optind != argc - 2)
        usage(stderr, 2);
    options->host = argv[optind];
    options->port = argv[optind + 1];
    check_port(options->port);
}

/* Returns the highest rate at which p99 does not exceed the limit, or 0 if
 * there is none. */
static long find_rate(const struct addrinfo *list, long limit,
                      struct deadline deadline) {
    /* Write a function for one run at one rate: connect, send the time at which
     * each request is due, end your sending half, and read the replies. Then
     * decide which rates to try. */
    (void)list;
    (void)limit;
    (void)deadline;
    return LEAST_RATE;
}

int main(int argc, char **argv) {
    struct options options = {0};
    struct addrinfo *list;
    parse_options(&options, argc, argv);
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    struct deadline deadline = deadline_after(options.milliseconds);
    int error =
        addr_resolve(options.host, options.port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", options.host, gai_strerror(error));
    long rate = find_rate(list, options.limit, deadline);
    freeaddrinfo(list);
    if (rate == 0)
        errx(1, "p99 is above %ld us at %d a second", options.limit,
             LEAST_RATE);
    if (printf("%ld\n", rate) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
