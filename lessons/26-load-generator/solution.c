/*
 * 26 solution: at which rate does p99 break? One good answer of many.
 *
 * usage: 26-load-generator -l MICROSECONDS -t MILLISECONDS HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEAST_RATE = 100,
    MOST_RATE = 10000,
    US_PER_SECOND = 1000000,
    WARM_UP_US = 100000,
    RUN_US = 1100000,
    MOST_REQUESTS = RUN_US / (US_PER_SECOND / MOST_RATE) + 1,
    LINE_BYTES = 32,
    LARGEST = 1000000000, /* number on the command line, or in an answer */
    FAILED = LARGEST + 1, /* slower than any reply */
};

/* What of the server's answers has come, and was not read yet. */
struct answers {
    int fd;
    struct deadline deadline;
    char bytes[1 << 16];
    size_t start, end;
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

/* When a request is due, whatever became of those before it. */
static long due_at(long rate, long number) {
    return number * US_PER_SECOND / rate;
}

static int dial(const struct addrinfo *to, struct deadline deadline) {
    int error = 0;
    for (; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 &&
            deadline_connect(deadline, fd, to->ai_addr, to->ai_addrlen) == 0)
            return fd;
        error = errno;
        if (fd >= 0)
            (void)close(fd);
    }
    errno = error;
    err(1, "connect");
}

static void send_requests(int fd, long rate, struct deadline deadline) {
    static char lines[MOST_REQUESTS * LINE_BYTES];
    size_t length = 0;
    size_t sent;
    for (long i = 0; due_at(rate, i) < RUN_US; i++)
        length += (size_t)snprintf(lines + length, sizeof lines - length,
                                   "%ld\n", due_at(rate, i));
    if (deadline_send(deadline, fd, lines, length, &sent) < 0)
        err(1, "send");
    if (shutdown(fd, SHUT_WR) < 0)
        err(1, "shutdown");
}

/* The next line, without its newline. */
static void read_line(struct answers *answers, char line[LINE_BYTES]) {
    for (size_t length = 0; length < LINE_BYTES; length++) {
        if (answers->start == answers->end) {
            ssize_t got = deadline_recv(answers->deadline, answers->fd,
                                        answers->bytes, sizeof answers->bytes);
            if (got < 0)
                err(1, "recv");
            if (got == 0)
                errx(1, "recv: the server closed before the last answer");
            answers->start = 0;
            answers->end = (size_t)got;
        }
        line[length] = answers->bytes[answers->start++];
        if (line[length] == '\n') {
            line[length] = '\0';
            return;
        }
    }
    errx(1, "recv: a line that is too long");
}

/* The latency of a request that was due then. */
static long parse_answer(const char *line, long due) {
    char *end;
    long done = strtol(line, &end, 10);
    if (*line < '0' || *line > '9' || done < due || done > LARGEST)
        errx(1, "recv: no answer: %s", line);
    if (strcmp(end, " busy") == 0)
        return FAILED;
    if (strcmp(end, " ok") != 0)
        errx(1, "recv: no answer: %s", line);
    return done - due;
}

static int by_size(const void *a, const void *b) {
    const long *left = a;
    const long *right = b;
    return (*left > *right) - (*left < *right);
}

static long p99_at(const struct addrinfo *to, long rate,
                   struct deadline deadline) {
    static long latencies[MOST_REQUESTS];
    static struct answers answers;
    char line[LINE_BYTES];
    size_t count = 0;
    answers = (struct answers){.fd = dial(to, deadline), .deadline = deadline};
    send_requests(answers.fd, rate, deadline);
    for (long i = 0; due_at(rate, i) < RUN_US; i++) {
        long due = due_at(rate, i);
        read_line(&answers, line);
        long latency = parse_answer(line, due);
        if (due >= WARM_UP_US)
            latencies[count++] = latency;
    }
    if (close(answers.fd) < 0)
        err(1, "close");
    qsort(latencies, count, sizeof latencies[0], by_size);
    return latencies[(count * 99 + 99) / 100 - 1];
}

/* Returns the highest rate that keeps to the limit, or 0. */
static long find_rate(const struct addrinfo *to, long limit,
                      struct deadline deadline) {
    long good = 0;
    long bad = LEAST_RATE;
    while (bad <= MOST_RATE && p99_at(to, bad, deadline) <= limit) {
        good = bad;
        bad *= 2;
    }
    if (bad > MOST_RATE)
        bad = MOST_RATE + 1;
    while (good > 0 && bad - good > 1) {
        long middle = good + (bad - good) / 2;
        if (p99_at(to, middle, deadline) <= limit)
            good = middle;
        else
            bad = middle;
    }
    return good;
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
