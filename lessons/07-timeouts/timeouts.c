/*
 * 07-timeouts: print one line that a server sends, before a point in time.
 *
 * Shows a deadline instead of a timeout. Before each call that may wait for the
 * server, the program works out how much time is left until one point in time.
 * So neither a server that sends a byte now and then nor a storm of signals can
 * make it wait longer.
 *
 * usage: 07-timeouts [-t SECONDS] HOST PORT      (5 seconds unless given)
 *
 * If HOST has several addresses, each one that is left gets an equal part of
 * the time that is left. Left out: looking up a name takes a part of the time
 * too, but our deadline cannot interrupt it.
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
    PIECE_BYTES = 4096,             /* the most that one recv may return */
    LONGEST_SECONDS = 24 * 60 * 60, /* a day */
    NS_PER_MS = 1000 * 1000,
    NS_PER_SECOND = 1000 * NS_PER_MS,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 07-timeouts [-t SECONDS] HOST PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the nanoseconds that the text names in seconds, such as "0.5". Ends
 * the program unless the text is a positive number, at most a day, in digits
 * and at most one point. strtod(3) alone would also take "nan", "1e3" and " 1".
 */
static long long parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);

    /* strtod(3) returns 0 for a text that is empty. 0 is out of range. */
    int has_right_bytes = strspn(text, "0123456789.") == strlen(text);
    int is_number = has_right_bytes && *end == '\0';
    int is_in_range = seconds > 0 && seconds <= LONGEST_SECONDS;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a number of seconds above 0, up to %d", text,
             LONGEST_SECONDS);
    return (long long)(seconds * NS_PER_SECOND);
}

/* Ends the program if its standard output or standard error is closed. Without
 * this check, our socket could get the number 1 or 2: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns the nanoseconds since some moment in the past. This clock cannot be
 * set. The time of day can: it jumps when somebody corrects it. See
 * clock_gettime(2). */
static long long now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (long long)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Returns how long poll(2) may still wait. The result is rounded up, so that
 * half a millisecond is 1. It is 0 only when the deadline has passed. An int is
 * enough, because a day has only 86,400,000 milliseconds. */
static int milliseconds_left(long long deadline) {
    long long remaining = deadline - now();
    if (remaining <= 0)
        return 0;
    return (int)((remaining + NS_PER_MS - 1) / NS_PER_MS);
}

/* Waits until fd is ready for the events. Returns 1 if it is, or if it has an
 * error that the next call on it will report. Returns 0 if the deadline has
 * passed. We look at the clock first, even if fd is ready already: otherwise a
 * server that never stops sending could keep us for ever. */
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

/* Connects fd to the address. Returns 0, or -1 and errno. The errno is
 * ETIMEDOUT if the deadline has passed. */
static int connect_in_time(int fd, const struct addrinfo *where,
                           long long deadline) {
    set_nonblocking(fd);
    if (connect(fd, where->ai_addr, where->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -1;
    if (!wait_until_ready(fd, POLLOUT, deadline)) {
        errno = ETIMEDOUT;
        return -1;
    }

    /* Now connect has ended. Whether it succeeded is in SO_ERROR. */
    int error;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        err(1, "getsockopt SO_ERROR");
    if (error != 0) {
        errno = error;
        return -1;
    }
    return 0;
}

/* Returns a socket that is connected to this address. If that fails, the
 * function says why, and returns -1. */
static int try_address(const struct addrinfo *where, long long deadline) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (connect_in_time(fd, where, deadline) < 0) {
        warn("connect %s", name);
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Returns the deadline for this address alone. Each address that is left gets
 * an equal part of the time that is left, so that an address that never answers
 * does not use up the time of the next. */
static long long deadline_for(const struct addrinfo *where,
                              long long deadline) {
    long long addresses = (long long)addr_count(where);
    long long start = now();
    return start + (deadline - start) / addresses;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port, long long deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        fd = try_address(where, deadline_for(where, deadline));
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* Writes the bytes to standard output at once. A signal may interrupt write(2),
 * as it interrupts poll(2). */
static void print_bytes(const char *bytes, size_t length) {
    size_t written = 0;
    while (written < length) {
        ssize_t count = write(STDOUT_FILENO, bytes + written, length - written);
        if (count < 0 && errno != EINTR)
            err(1, "standard output");
        if (count > 0)
            written += (size_t)count;
    }
}

/* Prints what the server sends, up to the first newline and with it, as lesson
 * 01 does. Ends the program if the newline does not come before the deadline.
 */
static void print_line(int fd, long long deadline) {
    char piece[PIECE_BYTES];

    for (;;) {
        if (!wait_until_ready(fd, POLLIN, deadline))
            errx(1, "recv: deadline passed before the end of the line");
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0 && errno == EAGAIN)
            continue; /* poll was wrong. This is rare: select(2), BUGS */
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            errx(1, "peer closed before the end of the line");

        size_t length = (size_t)received;
        const char *newline = memchr(piece, '\n', length);
        if (newline != NULL) {
            size_t before_newline = (size_t)(newline - piece);
            print_bytes(piece, before_newline + 1);
            return;
        }
        print_bytes(piece, length);
    }
}

int main(int argc, char **argv) {
    const char *seconds_text = "5"; /* unless -t says otherwise */
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            seconds_text = optarg;
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    const char *host = argv[optind];
    const char *port = argv[optind + 1];
    in_port_t number; /* not used: addr_resolve takes the port as a text */
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);
    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    long long duration = parse_seconds(seconds_text);
    long long deadline = now() + duration;
    int fd = connect_to(host, port, deadline);
    print_line(fd, deadline);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
