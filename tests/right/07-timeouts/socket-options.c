/*
 * A right answer with sockets that block: SO_SNDTIMEO limits connect, and
 * SO_RCVTIMEO limits recv, each time to what is left until the deadline.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 4096 };

/* A line that is being received, and why a try to receive it has failed. */
struct attempt {
    char line[MOST_BYTES];
    size_t length;
    const char *call; /* the call that has failed */
    const char *reason;
};

/* All times are in seconds. */
static double now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Limits the calls on fd to the time until the deadline. The option is
 * SO_SNDTIMEO or SO_RCVTIMEO. Returns 1, or 0 if the deadline has passed. */
static int limit_call(int fd, int option, double deadline) {
    double remaining = deadline - now();
    if (remaining <= 0)
        return 0;
    struct timeval time = {.tv_sec = (time_t)remaining};
    double fraction = remaining - (double)time.tv_sec;
    /* Rounded up, because a time of 0 would mean no limit. */
    time.tv_usec = (suseconds_t)(fraction * 1e6) + 1;
    if (time.tv_usec > 999999)
        time.tv_usec = 999999;
    if (setsockopt(fd, SOL_SOCKET, option, &time, sizeof time) < 0)
        err(1, "setsockopt");
    return 1;
}

/* Waits for a connect that a signal has interrupted: the kernel goes on with
 * it. Returns 0, or the errno that says why fd is not connected. */
static int finish_connect(int fd, double deadline) {
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int ready = 0;
    while (ready <= 0) {
        double remaining = deadline - now();
        if (remaining <= 0)
            return ETIMEDOUT;
        int timeout = (int)(remaining * 1000) + 1;
        ready = poll(&waiting, 1, timeout); /* again, when a signal ends it */
    }
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        err(1, "getsockopt");
    return error;
}

/* Returns 0, or the errno that says why fd is not connected. */
static int connect_in_time(int fd, const struct addrinfo *address,
                           double deadline) {
    if (!limit_call(fd, SO_SNDTIMEO, deadline))
        return ETIMEDOUT;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno == EINTR)
        return finish_connect(fd, deadline);
    return errno;
}

/* After SO_SNDTIMEO, connect fails with EINPROGRESS. After SO_RCVTIMEO, recv
 * fails with EAGAIN. */
static const char *format_reason(int error) {
    if (error == EINPROGRESS || error == EAGAIN || error == ETIMEDOUT)
        return "deadline passed";
    return strerror(error);
}

/* Receives until there is a newline. Returns NULL, or why that failed. */
static const char *receive_line(int fd, struct attempt *attempt,
                                double deadline) {
    size_t filled = 0;
    while (filled < MOST_BYTES) {
        if (!limit_call(fd, SO_RCVTIMEO, deadline))
            return "deadline passed";
        char *next = attempt->line + filled; /* the first free byte */
        ssize_t received = recv(fd, next, MOST_BYTES - filled, 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0)
            return format_reason(errno);
        if (received == 0)
            return "closed before the end of the line";

        const char *newline = memchr(next, '\n', (size_t)received);
        if (newline != NULL) {
            size_t before_newline = (size_t)(newline - attempt->line);
            attempt->length = before_newline + 1;
            return NULL;
        }
        filled += (size_t)received;
    }
    return "more than 4096 bytes";
}

/* Makes one try. Returns 1 if the line is there. Returns 0 if not, and then
 * *attempt says which call has failed, and why. */
static int try_once(const struct addrinfo *address, struct attempt *attempt,
                    double deadline) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    int is_complete = 0;
    int error = connect_in_time(fd, address, deadline);
    if (error != 0) {
        attempt->call = "connect";
        attempt->reason = format_reason(error);
    } else {
        attempt->call = "recv";
        attempt->reason = receive_line(fd, attempt, deadline);
        if (attempt->reason == NULL)
            is_complete = 1;
    }
    (void)close(fd);
    return is_complete;
}

static void sleep_until(double end) {
    double remaining = end - now();
    while (remaining > 0) {
        struct timespec time = {.tv_sec = (time_t)remaining};
        double fraction = remaining - (double)time.tv_sec;
        time.tv_nsec = (long)(fraction * 1e9);
        (void)nanosleep(&time, NULL); /* again, when a signal ends it */
        remaining = end - now();
    }
}

/* Prints the line of the first try that succeeds. Returns the exit status. */
static int try_repeatedly(const struct addrinfo *address, int tries,
                          double deadline) {
    double pause = 0.05;
    for (int number = 1; number <= tries; number++) {
        struct attempt attempt;
        if (try_once(address, &attempt, deadline)) {
            ssize_t written =
                write(STDOUT_FILENO, attempt.line, attempt.length);
            if (written != (ssize_t)attempt.length)
                err(1, "write");
            return 0;
        }
        warnx("try %d: %s: %s", number, attempt.call, attempt.reason);
        double end = now() + pause;
        if (number == tries || end > deadline)
            return 1;
        sleep_until(end);
        pause *= 2;
    }
    return 1;
}

static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (*end != '\0')
        errx(1, "%s: no number", text);
    /* An empty text is 0. "nan" is neither above 0 nor below. */
    int is_in_range = seconds > 0 && seconds <= 3600;
    if (!is_in_range)
        errx(1, "%s: no number up to 3600", text);
    return seconds;
}

static int parse_tries(const char *text) {
    if (strspn(text, "0123456789") != strlen(text))
        errx(1, "%s: no whole number", text);
    long tries = strtol(text, NULL, 10);
    if (tries < 1 || tries > 100)
        errx(1, "%s: no number from 1 to 100", text);
    return (int)tries;
}

static _Noreturn void usage(void) {
    (void)fputs("usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n", stderr);
    exit(2);
}

int main(int argc, char **argv) {
    double seconds = 0;
    int tries = 0;
    for (;;) {
        int option = getopt(argc, argv, "t:n:");
        if (option < 0)
            break;
        if (option == 't')
            seconds = parse_seconds(optarg);
        else if (option == 'n')
            tries = parse_tries(optarg);
        else
            usage();
    }
    int has_both_options = seconds > 0 && tries > 0;
    if (argc - optind != 2 || !has_both_options)
        usage();
    const char *host = argv[optind];
    const char *port = argv[optind + 1];
    in_port_t number; /* not used: addr_resolve takes the port as a text */
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s: 1 to 65535", port);
    (void)signal(SIGPIPE, SIG_IGN);

    double deadline = now() + seconds;
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    return try_repeatedly(list, tries, deadline);
}
