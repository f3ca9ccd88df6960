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

static double now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Returns 0 if nothing is left. */
static int limit(int fd, int option, double deadline) {
    double left = deadline - now();
    if (left <= 0)
        return 0;
    struct timeval time = {.tv_sec = (time_t)left};
    time.tv_usec = (suseconds_t)((left - (double)time.tv_sec) * 1e6) + 1;
    if (time.tv_usec > 999999)
        time.tv_usec = 999999;
    if (setsockopt(fd, SOL_SOCKET, option, &time, sizeof time) < 0)
        err(1, "setsockopt");
    return 1;
}

static int connect_until(int fd, const struct addrinfo *to, double deadline) {
    if (!limit(fd, SO_SNDTIMEO, deadline)) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINTR)
        return -1;
    /* It goes on by itself: wait for its end. */
    int error = EINTR;
    while (error == EINTR) {
        struct pollfd one = {.fd = fd, .events = POLLOUT};
        int left = (int)((deadline - now()) * 1000) + 1;
        if (left <= 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        int count = poll(&one, 1, left);
        if (count <= 0)
            continue;
        socklen_t size = sizeof error;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            err(1, "getsockopt");
    }
    errno = error;
    return error == 0 ? 0 : -1;
}

static const char *reason(int error) {
    if (error == EINPROGRESS || error == EAGAIN || error == ETIMEDOUT)
        return "deadline passed";
    return strerror(error);
}

/* Returns the length of the line, or 0 after saying why there is none. */
static size_t fetch(const struct addrinfo *to, int number, double deadline,
                    char *line) {
    size_t length = 0;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect_until(fd, to, deadline) < 0) {
        warnx("try %d: connect: %s", number, reason(errno));
        (void)close(fd);
        return 0;
    }
    const char *why = NULL;
    while (why == NULL) {
        if (length == MOST_BYTES) {
            why = "more than 4096 bytes";
        } else if (!limit(fd, SO_RCVTIMEO, deadline)) {
            why = "deadline passed";
        } else {
            ssize_t got = recv(fd, line + length, MOST_BYTES - length, 0);
            if (got < 0 && errno != EINTR)
                why = reason(errno);
            else if (got == 0)
                why = "closed before the end of the line";
            else if (got > 0) {
                char *end = memchr(line + length, '\n', (size_t)got);
                length += (size_t)got;
                if (end != NULL) {
                    (void)close(fd);
                    return (size_t)(end - line) + 1;
                }
            }
        }
    }
    warnx("try %d: recv: %s", number, why);
    (void)close(fd);
    return 0;
}

static void sleep_until(double end) {
    while (now() < end) {
        double left = end - now();
        struct timespec nap = {.tv_sec = (time_t)left};
        nap.tv_nsec = (long)((left - (double)nap.tv_sec) * 1e9);
        (void)nanosleep(&nap, NULL); /* again, when a signal ends it */
    }
}

/* Returns the exit status. */
static int try_often(const struct addrinfo *to, int tries, double deadline) {
    char line[MOST_BYTES];
    double pause = 0.05;
    for (int i = 1; i <= tries; i++) {
        size_t length = fetch(to, i, deadline, line);
        if (length > 0) {
            if (write(STDOUT_FILENO, line, length) != (ssize_t)length)
                err(1, "write");
            return 0;
        }
        double end = now() + pause;
        if (i == tries || end > deadline)
            return 1;
        sleep_until(end);
        pause *= 2;
    }
    return 1;
}

/* A number above 0; a whole one if it must be at least 1. */
static double number(const char *text, int least, int most) {
    char *end;
    double value = strtod(text, &end);
    if (text[0] == '\0' || *end != '\0' || !(value > 0) || value > most)
        errx(1, "%s: no number up to %d", text, most);
    if (least == 1 && text[strspn(text, "0123456789")] != '\0')
        errx(1, "%s: no whole number", text);
    return value;
}

static _Noreturn void usage(void) {
    (void)fputs("usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n", stderr);
    exit(2);
}

int main(int argc, char **argv) {
    double seconds = -1;
    int tries = -1;
    for (;;) {
        int option = getopt(argc, argv, "t:n:");
        if (option < 0)
            break;
        if (option == 't')
            seconds = number(optarg, 0, 3600);
        else if (option == 'n')
            tries = (int)number(optarg, 1, 100);
        else
            usage();
    }
    if (argc - optind != 2 || seconds < 0 || tries < 0)
        usage();
    in_port_t port;
    if (addr_parse_port(argv[optind + 1], strlen(argv[optind + 1]), 1, &port) <
        0)
        errx(1, "%s: 1 to 65535", argv[optind + 1]);
    (void)signal(SIGPIPE, SIG_IGN);

    double deadline = now() + seconds;
    struct addrinfo *list;
    int error = addr_resolve(argv[optind], argv[optind + 1], AF_UNSPEC,
                             SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    return try_often(list, tries, deadline);
}
