/*
 * 07-timeouts: print one line that a server says, before a point in time.
 *
 * Shows a deadline, not a timeout: how long a call may still wait is worked out
 * anew before each call, from one point in time. Neither a peer that says a
 * byte now and then nor a storm of signals can move it.
 *
 * usage: 07-timeouts [-t SECONDS] HOST PORT      (5 seconds unless given)
 *
 * Left out: looking up a name takes part of the time, but nothing cuts that
 * short (30); the first address of HOST may take all of it (16).
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
    PIECE_BYTES = 4096,
    LONGEST_SECONDS = 24 * 60 * 60,
    NS_PER_MS = 1000 * 1000,
    NS_PER_SECOND = 1000 * NS_PER_MS,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 07-timeouts [-t SECONDS] HOST PORT\n", out);
    exit(status);
}

/* Returns nanoseconds. strtod(3) alone would take "nan", "1e3" and " 1". */
static long long parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || text[strspn(text, "0123456789.")] ||
        seconds <= 0 || seconds > LONGEST_SECONDS)
        errx(1, "%s is not a number of seconds up to %d", text,
             LONGEST_SECONDS);
    return (long long)(seconds * NS_PER_SECOND);
}

/* Were 1 or 2 free, our socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* Nanoseconds since some moment before we began. Nobody can set this clock; the
 * time of day jumps when somebody sets it right (clock_gettime(2)). */
static long long now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (long long)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* What poll(2) may still wait, rounded up: half a millisecond is not nothing,
 * and 0 is to mean that the deadline has passed. */
static int milliseconds_left(long long deadline) {
    long long left = deadline - now();
    return left > 0 ? (int)((left + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* Returns 1 when fd is ready, or has an error that the next call on it will
 * report; 0 when the deadline has passed. That is asked before each wait, also
 * where there is none: who always has something to say is not to keep us. */
static int is_ready_in_time(int fd, short events, long long deadline) {
    struct pollfd waiting = {.fd = fd, .events = events};
    for (;;) {
        int left = milliseconds_left(deadline);
        if (left == 0)
            return 0;
        int ready = poll(&waiting, 1, left);
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            err(1, "poll");
    }
}

/* From here on no call on fd waits: it fails, with EAGAIN or EINPROGRESS. */
static void set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        err(1, "fcntl");
}

/* Returns 0, or -1 and errno: ETIMEDOUT when the deadline has passed. */
static int connect_in_time(int fd, const struct addrinfo *to,
                           long long deadline) {
    set_nonblocking(fd);
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -1;
    int error = ETIMEDOUT;
    socklen_t length = sizeof error;
    /* Writable means that it is over, and not how it went. */
    if (is_ready_in_time(fd, POLLOUT, deadline) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        err(1, "getsockopt SO_ERROR");
    errno = error;
    return error == 0 ? 0 : -1;
}

/* Tries each address in the time that those before it have left. Returns a
 * connected socket. */
static int dial(const struct addrinfo *to, long long deadline) {
    char name[ADDR_TEXT_BYTES];
    for (; to != NULL; to = to->ai_next) {
        addr_format(to->ai_addr, to->ai_addrlen, name);
        int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect_in_time(fd, to, deadline) == 0)
            return fd;
        warn("%s %s", fd < 0 ? "socket" : "connect", name);
        if (fd >= 0)
            (void)close(fd); /* nothing was sent on it that could be lost */
    }
    exit(1);
}

/* Prints what comes, up to and with the first newline, as lesson 01 does. */
static void print_line(int fd, long long deadline) {
    char piece[PIECE_BYTES];
    const char *newline = NULL;

    while (newline == NULL) {
        if (!is_ready_in_time(fd, POLLIN, deadline))
            errx(1, "recv: deadline passed before the end of the line");
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0 && errno == EAGAIN) /* gone again: select(2), BUGS */
            continue;
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            errx(1, "peer closed before the end of the line");

        size_t length = (size_t)received;
        newline = memchr(piece, '\n', length);
        if (newline != NULL)
            length = (size_t)(newline - piece) + 1;
        if (fwrite(piece, 1, length, stdout) != length || fflush(stdout) == EOF)
            err(1, "standard output");
    }
}

int main(int argc, char **argv) {
    const char *seconds = "5";
    in_port_t port;
    int option;
    while ((option = getopt(argc, argv, "+ht:")) != -1) {
        if (option == 'h')
            usage(stdout, 0);
        if (option != 't')
            usage(stderr, 2);
        seconds = optarg;
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    const char *host_text = argv[optind];
    const char *port_text = argv[optind + 1];
    if (addr_parse_port(port_text, strlen(port_text), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", port_text);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    long long deadline = now() + parse_seconds(seconds);
    struct addrinfo *list;
    int error =
        addr_resolve(host_text, port_text, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host_text, gai_strerror(error));
    int fd = dial(list, deadline);
    freeaddrinfo(list);
    print_line(fd, deadline);

    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
