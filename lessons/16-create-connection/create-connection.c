/*
 * 16-create-connection: connect to a name, whichever of its addresses answers,
 * and print one line that comes from there.
 *
 * Shows staggered attempts (RFC 8305). If an address has not answered within
 * 250 milliseconds, the attempt at the next one begins, while the first one
 * goes on. The module common/dial does that. This program tells each step on
 * standard error, with its time.
 *
 * usage: 16-create-connection [-4|-6] [-d MILLISECONDS] [-t SECONDS] HOST PORT
 *
 * -4 and -6 allow only IPv4 or IPv6. -d is the time between two attempts (250
 * milliseconds unless given). -t is the time for all of it (5 seconds).
 *
 * Left out: the lookup of HOST is not part of the race. We wait for all of its
 * addresses, and no deadline can interrupt that.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "dial.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 4096, /* the most that one recv may return */
    LONGEST_DELAY_MS = 60 * 1000,
    MS_PER_SECOND = 1000,
    NS_PER_MS = 1000 * 1000,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 16-create-connection [-4|-6] [-d MILLISECONDS] [-t SECONDS] "
          "HOST PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

static int parse_delay(const char *text) {
    unsigned long long milliseconds;
    if (number_parse(text, DIAL_SHORTEST_DELAY_MS, LONGEST_DELAY_MS,
                     &milliseconds) < 0)
        errx(1, "%s is not a number of milliseconds: %d to %d", text,
             DIAL_SHORTEST_DELAY_MS, LONGEST_DELAY_MS);
    return (int)milliseconds;
}

static struct deadline parse_deadline(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to %d", text,
             DEADLINE_LONGEST_MS / MS_PER_SECOND);
    return deadline_after(milliseconds);
}

/* Returns the family that an option asks for. Ends the program if an earlier
 * option has asked for the other one. */
static int choose_family(int earlier, int asked_for) {
    if (earlier != AF_UNSPEC && earlier != asked_for)
        usage(stderr, 2);
    return asked_for;
}

/* Reads the command line into *dial and *seconds. */
static void read_arguments(int argc, char **argv, struct dial *dial,
                           const char **seconds) {
    for (;;) {
        int option = getopt(argc, argv, "+h46d:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == '4')
            dial->family = choose_family(dial->family, AF_INET);
        else if (option == '6')
            dial->family = choose_family(dial->family, AF_INET6);
        else if (option == 'd')
            dial->delay_ms = parse_delay(optarg);
        else if (option == 't')
            *seconds = optarg;
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    dial->host = argv[optind];
    dial->port = argv[optind + 1];
    in_port_t number;
    if (addr_parse_port(dial->port, strlen(dial->port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", dial->port);
}

/* If descriptor 1 or 2 were closed, our socket would get that number, and what
 * we print would go to the server: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns the milliseconds since some moment in the past: see lesson 07. */
static long long now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (long long)time.tv_sec * MS_PER_SECOND + time.tv_nsec / NS_PER_MS;
}

static const char *describe(const struct dial_attempt *attempt) {
    switch (attempt->state) {
    case DIAL_CONNECTING:
        return "trying";
    case DIAL_FAILED:
        return strerror(attempt->error);
    case DIAL_CONNECTED:
        return "connected";
    case DIAL_ABANDONED:
        return "given up";
    default: /* print_step is never called for DIAL_UNTRIED */
        return "untried";
    }
}

/* Prints one step of an attempt, and how long after the start it happened. The
 * context is the start. dial_connect calls this function: it is our observer.
 */
static void print_step(void *context, const struct dial_attempt *attempt) {
    const long long *start = context;
    fprintf(stderr, "%4lld ms  %s: %s\n", now() - *start, attempt->name,
            describe(attempt));
}

/* Says why there is no connection, and ends the program. */
static _Noreturn void fail(const struct dial *dial) {
    if (dial->lookup_error == EAI_SYSTEM)
        err(1, "%s", dial->host);
    if (dial->lookup_error != 0)
        errx(1, "%s: %s", dial->host, gai_strerror(dial->lookup_error));
    for (size_t i = 0; i < dial->count; i++) {
        const struct dial_attempt *attempt = &dial->attempts[i];
        if (attempt->state == DIAL_FAILED)
            warnx("%s %s: %s", attempt->call, attempt->name,
                  strerror(attempt->error));
        else
            warnx("%s: there was no time to try it", attempt->name);
    }
    exit(1);
}

/* Writes the bytes to standard output at once, as in lesson 07. */
static void print_bytes(const char *bytes, size_t length) {
    size_t written = 0;
    while (written < length) {
        ssize_t count = write(STDOUT_FILENO, bytes + written, length - written);
        if (count < 0 && errno == EINTR)
            continue; /* a signal interrupted it: try again */
        if (count < 0)
            err(1, "standard output");
        written += (size_t)count;
    }
}

/* Prints what the server sends, up to the first newline and with it. Ends the
 * program if that is not over before the deadline. */
static void print_line(int fd, struct deadline deadline) {
    char piece[PIECE_BYTES];

    for (;;) {
        ssize_t received = deadline_recv(deadline, fd, piece, sizeof piece);
        if (received < 0 && errno == ETIMEDOUT)
            errx(1, "recv: deadline passed before the end of the line");
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            errx(1, "peer closed before the end of the line");

        size_t length = (size_t)received;
        const char *newline = memchr(piece, '\n', length);
        if (newline != NULL) {
            print_bytes(piece, (size_t)(newline - piece) + 1);
            return;
        }
        print_bytes(piece, length);
    }
}

int main(int argc, char **argv) {
    long long start = now();
    struct dial dial = {
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .observer = print_step,
        .context = &start,
    };
    const char *seconds = "5"; /* a text, which parse_deadline reads below */
    read_arguments(argc, argv, &dial, &seconds);
    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    dial.deadline = parse_deadline(seconds);
    int fd = dial_connect(&dial);
    if (fd < 0)
        fail(&dial);
    print_line(fd, dial.deadline);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
