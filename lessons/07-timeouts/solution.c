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

static const char late[] = "deadline passed";

struct line {
    size_t length;
    char bytes[LINE_BYTES];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n", out);
    exit(status);
}

/* Returns nanoseconds. */
static long long parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || text[strspn(text, "0123456789.")] ||
        seconds <= 0 || seconds > LONGEST_SECONDS)
        errx(1, "%s is not a number of seconds up to %d", text,
             LONGEST_SECONDS);
    return (long long)(seconds * NS_PER_SECOND);
}

static int parse_tries(const char *text) {
    char *end;
    long tries = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || tries < 1 ||
        tries > MOST_TRIES)
        errx(1, "%s is not a number of tries: 1 to %d", text, MOST_TRIES);
    return (int)tries;
}

static long long now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (long long)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Rounded up: 0 only when the deadline has passed. */
static int milliseconds_left(long long deadline) {
    long long left = deadline - now();
    return left > 0 ? (int)((left + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* Returns 0 when the deadline has passed. Without a descriptor (-1), a pause
 * until then. */
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

/* Returns NULL, or why there is no connection. */
static const char *connect_in_time(int fd, const struct addrinfo *to,
                                   long long deadline) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        err(1, "fcntl");
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return NULL;
    if (errno != EINPROGRESS)
        return strerror(errno);
    if (!is_ready_in_time(fd, POLLOUT, deadline))
        return late;
    int error;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        err(1, "getsockopt SO_ERROR");
    return error == 0 ? NULL : strerror(error);
}

/* Returns NULL, or why there is no whole line. */
static const char *read_line(int fd, struct line *line, long long deadline) {
    line->length = 0;
    while (line->length < LINE_BYTES) {
        char *end = line->bytes + line->length;
        if (!is_ready_in_time(fd, POLLIN, deadline))
            return late;
        ssize_t received = recv(fd, end, LINE_BYTES - line->length, 0);
        if (received < 0 && errno == EAGAIN)
            continue;
        if (received < 0)
            return strerror(errno);
        if (received == 0)
            return "closed before the end of the line";
        const char *newline = memchr(end, '\n', (size_t)received);
        if (newline != NULL) {
            line->length = (size_t)(newline - line->bytes) + 1;
            return NULL;
        }
        line->length += (size_t)received;
    }
    return "line too long";
}

/* Returns 1 when the line is there; 0 when this try has failed, and says why.
 */
static int fetch(const struct addrinfo *to, int number, struct line *line,
                 long long deadline) {
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    const char *call = "connect";
    const char *reason = connect_in_time(fd, to, deadline);
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

/* Returns the exit status. */
static int fetch_with_retries(const struct addrinfo *to, int tries,
                              long long deadline) {
    struct line line;
    long long pause = FIRST_PAUSE;
    for (int number = 1; !fetch(to, number, &line, deadline); number++) {
        if (number == tries || now() + pause > deadline)
            return 1;
        (void)is_ready_in_time(-1, 0, now() + pause); /* nothing ever is */
        pause *= 2;
    }
    if (fwrite(line.bytes, 1, line.length, stdout) != line.length ||
        fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}

int main(int argc, char **argv) {
    long long duration = -1;
    int tries = 0;
    in_port_t port;
    int option;
    while ((option = getopt(argc, argv, "+ht:n:")) != -1) {
        if (option == 't')
            duration = parse_seconds(optarg);
        else if (option == 'n')
            tries = parse_tries(optarg);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    if (argc - optind != 2 || duration < 0 || tries == 0)
        usage(stderr, 2);
    const char *host_text = argv[optind];
    const char *port_text = argv[optind + 1];
    if (addr_parse_port(port_text, strlen(port_text), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", port_text);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    long long deadline = now() + duration;
    struct addrinfo *list;
    int error =
        addr_resolve(host_text, port_text, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host_text, gai_strerror(error));
    int status = fetch_with_retries(list, tries, deadline);
    freeaddrinfo(list);
    return status;
}
