/*
 * 07 solution: fetch a line, with retries and a deadline; one good answer of
 * many.
 *
 * usage: 07-timeouts -t SECONDS -n TRIES HOST PORT
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
    LINE_BYTES = 4096, /* the longest line, with its newline */
    MOST_TRIES = 100,
    LONGEST_SECONDS = 3600,
    NS_PER_MS = 1000 * 1000,
    NS_PER_SECOND = 1000 * NS_PER_MS,
    FIRST_PAUSE = 50 * NS_PER_MS,
};

/* Why a try has failed, when no system call says so. */
static const char deadline_passed[] = "deadline passed";
static const char closed_early[] = "closed before the end of the line";
static const char line_too_long[] = "line too long";

struct line {
    size_t length;
    char bytes[LINE_BYTES];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n", out);
    exit(status);
}

/* Returns the nanoseconds that the text names in seconds, such as "0.5". */
static long long parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);

    int has_right_bytes = strspn(text, "0123456789.") == strlen(text);
    int is_number = has_right_bytes && *end == '\0';
    int is_in_range = seconds > 0 && seconds <= LONGEST_SECONDS;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a number of seconds above 0, up to %d", text,
             LONGEST_SECONDS);
    return (long long)(seconds * NS_PER_SECOND);
}

static int parse_tries(const char *text) {
    char *end;
    long tries = strtol(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = tries >= 1 && tries <= MOST_TRIES;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a number of tries: 1 to %d", text, MOST_TRIES);
    return (int)tries;
}

/* Returns the nanoseconds since some moment in the past, by a clock that cannot
 * be set. */
static long long now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (long long)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Returns how long poll(2) may still wait, rounded up. It is 0 only when the
 * deadline has passed. */
static int milliseconds_left(long long deadline) {
    long long remaining = deadline - now();
    if (remaining <= 0)
        return 0;
    return (int)((remaining + NS_PER_MS - 1) / NS_PER_MS);
}

/* Waits until fd is ready for the events. Returns 1 if it is, and 0 if the
 * deadline has passed. */
static int wait_until_ready(int fd, short events, long long deadline) {
    struct pollfd waiting = {.fd = fd, .events = events};
    for (;;) {
        int timeout = milliseconds_left(deadline);
        if (timeout == 0)
            return 0;
        int ready = poll(&waiting, 1, timeout);
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            err(1, "poll");
        /* A signal came, or the time is over: look at the clock again. */
    }
}

/* After this, no call on fd waits. Instead it fails with EAGAIN, or connect
 * with EINPROGRESS. */
static void set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        err(1, "fcntl");
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        err(1, "fcntl");
}

/* Connects fd to the address. Returns NULL, or why that failed. */
static const char *connect_in_time(int fd, const struct addrinfo *where,
                                   long long deadline) {
    set_nonblocking(fd);
    if (connect(fd, where->ai_addr, where->ai_addrlen) == 0)
        return NULL;
    if (errno != EINPROGRESS)
        return strerror(errno);
    if (!wait_until_ready(fd, POLLOUT, deadline))
        return deadline_passed;

    int error;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        err(1, "getsockopt SO_ERROR");
    if (error != 0)
        return strerror(error);
    return NULL;
}

/* Reads one line into *line. Returns NULL, or why there is no whole line. */
static const char *read_line(int fd, struct line *line, long long deadline) {
    line->length = 0;
    while (line->length < LINE_BYTES) {
        char *next = line->bytes + line->length; /* the first free byte */
        if (!wait_until_ready(fd, POLLIN, deadline))
            return deadline_passed;
        ssize_t received = recv(fd, next, LINE_BYTES - line->length, 0);
        if (received < 0 && errno == EAGAIN)
            continue; /* poll was wrong. This is rare: select(2), BUGS */
        if (received < 0)
            return strerror(errno);
        if (received == 0)
            return closed_early;

        const char *newline = memchr(next, '\n', (size_t)received);
        if (newline != NULL) {
            size_t before_newline = (size_t)(newline - line->bytes);
            line->length = before_newline + 1;
            return NULL;
        }
        line->length += (size_t)received;
    }
    return line_too_long;
}

/* Makes one try. Returns 1 if the line is there. If the try fails, the function
 * says why, and returns 0. */
static int fetch(const struct addrinfo *where, int number, struct line *line,
                 long long deadline) {
    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");

    const char *call = "connect";
    const char *reason = connect_in_time(fd, where, deadline);
    if (reason == NULL) {
        call = "recv";
        reason = read_line(fd, line, deadline);
    }
    if (reason != NULL)
        warnx("try %d: %s: %s", number, call, reason);
    if (close(fd) < 0)
        err(1, "close");
    return reason == NULL;
}

/* Waits until this point in time. poll(2) ignores a negative descriptor, so
 * wait_until_ready has nothing to wait for but the time. */
static void pause_until(long long end) {
    const int no_descriptor = -1;
    (void)wait_until_ready(no_descriptor, 0, end);
}

/* Tries again and again, with pauses. Returns 1 if the line is there. Returns 0
 * if all tries have failed, or if the next pause would end after the deadline.
 */
static int fetch_with_retries(const struct addrinfo *where, int tries,
                              struct line *line, long long deadline) {
    long long pause = FIRST_PAUSE;
    for (int number = 1; number <= tries; number++) {
        if (fetch(where, number, line, deadline))
            return 1;
        if (number == tries)
            break; /* no pause after the last try */
        long long end = now() + pause;
        if (end > deadline)
            break;
        pause_until(end);
        pause *= 2;
    }
    return 0;
}

static void print_line(const struct line *line) {
    if (fwrite(line->bytes, 1, line->length, stdout) != line->length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    long long duration = -1; /* -1: no -t was given */
    int tries = 0;           /* 0: no -n was given */
    for (;;) {
        int option = getopt(argc, argv, "+ht:n:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            duration = parse_seconds(optarg);
        else if (option == 'n')
            tries = parse_tries(optarg);
        else
            usage(stderr, 2);
    }
    int has_both_options = duration >= 0 && tries > 0;
    if (argc - optind != 2 || !has_both_options)
        usage(stderr, 2);
    const char *host = argv[optind];
    const char *port = argv[optind + 1];
    in_port_t port_number; /* not used: addr_resolve takes a text */
    if (addr_parse_port(port, strlen(port), 1, &port_number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    long long deadline = now() + duration;
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    struct line line;
    int found = fetch_with_retries(list, tries, &line, deadline);
    freeaddrinfo(list);
    if (!found)
        return 1; /* fetch has said why */
    print_line(&line);
    return 0;
}
