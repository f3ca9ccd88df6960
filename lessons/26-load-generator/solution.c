/*
 * 26 solution: at which rate does p99 break the limit? One good answer of many.
 *
 * usage: 26-load-generator -l MICROSECONDS -t MILLISECONDS HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "number.h"

#include <err.h>
#include <errno.h>
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
    US_PER_SECOND = 1000000,
    MOST_REQUESTS = RUN_US / (US_PER_SECOND / MOST_RATE) + 1, /* in one run */
    LINE_BYTES = 32,
    LARGEST = 1000000000, /* number on the command line, or in a reply */
    FAILED = LARGEST + 1, /* the latency of an error: slower than any reply */
};

/* What the command line says. */
struct options {
    long limit;       /* for p99, in microseconds; 0 if it is missing */
    int milliseconds; /* for everything; 0 if it is missing */
    const char *host;
    const char *port;
};

/* Reads the replies of one run, line by line. */
struct reader {
    int fd;
    struct deadline deadline;
    char bytes[1 << 16];
    size_t start; /* the first byte that we have not read yet */
    size_t end;   /* the end of the bytes that were received */
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

/* Returns when the request with this number is due, in microseconds. The
 * replies to the requests before it do not matter. */
static long due_at(long rate, long number) {
    return number * US_PER_SECOND / rate;
}

/* Returns a socket that is connected to the first address that accepts us. */
static int dial(const struct addrinfo *list, struct deadline deadline) {
    int error = 0;
    for (const struct addrinfo *to = list; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        if (deadline_connect(deadline, fd, to->ai_addr, to->ai_addrlen) == 0)
            return fd;
        error = errno;
        (void)close(fd); /* the error that counts is the one before */
    }
    errno = error;
    err(1, "connect");
}

/* Sends all requests of a run, and then ends our sending half. */
static void send_requests(int fd, long rate, struct deadline deadline) {
    static char lines[MOST_REQUESTS * LINE_BYTES];
    size_t length = 0;
    size_t sent;
    for (long i = 0; due_at(rate, i) < RUN_US; i++) {
        int added = snprintf(lines + length, sizeof lines - length, "%ld\n",
                             due_at(rate, i));
        length += (size_t)added;
    }
    if (deadline_send(deadline, fd, lines, length, &sent) < 0)
        err(1, "send");
    if (shutdown(fd, SHUT_WR) < 0)
        err(1, "shutdown");
}

static void receive(struct reader *reader) {
    ssize_t received = deadline_recv(reader->deadline, reader->fd,
                                     reader->bytes, sizeof reader->bytes);
    if (received < 0)
        err(1, "recv");
    if (received == 0)
        errx(1, "recv: the server closed before the last reply");
    reader->start = 0;
    reader->end = (size_t)received;
}

/* Reads the next line, without its newline. */
static void read_line(struct reader *reader, char line[LINE_BYTES]) {
    for (size_t length = 0; length < LINE_BYTES; length++) {
        if (reader->start == reader->end)
            receive(reader);
        line[length] = reader->bytes[reader->start];
        reader->start++;
        if (line[length] == '\n') {
            line[length] = '\0';
            return;
        }
    }
    errx(1, "recv: a line is too long");
}

/* Ends the program unless the server ends the connection now. */
static void expect_end(const struct reader *reader) {
    char byte;
    if (reader->start < reader->end)
        errx(1, "recv: the server sent more lines than requests");
    ssize_t received = deadline_recv(reader->deadline, reader->fd, &byte, 1);
    if (received < 0)
        err(1, "recv");
    if (received > 0)
        errx(1, "recv: the server sent more lines than requests");
}

/* Returns the latency of the request that was due at this time. */
static long parse_reply(char *line, long due) {
    unsigned long long done;
    char *word = strchr(line, ' ');
    if (word == NULL)
        errx(1, "recv: not a reply: %s", line);
    *word = '\0'; /* the number ends here */
    word++;
    if (number_parse(line, (unsigned long long)due, LARGEST, &done) < 0)
        errx(1, "recv: not the time of a reply: %s", line);
    if (strcmp(word, "busy") == 0)
        return FAILED;
    if (strcmp(word, "ok") != 0)
        errx(1, "recv: neither ok nor busy: %s", word);
    return (long)done - due;
}

/* For qsort. */
static int compare(const void *a, const void *b) {
    const long *left = a;
    const long *right = b;
    if (*left < *right)
        return -1;
    if (*left > *right)
        return 1;
    return 0;
}

/* Returns the smallest latency that 99 of 100 do not exceed. */
static long p99_of(long *latencies, size_t count) {
    qsort(latencies, count, sizeof latencies[0], compare);
    /* Its place in the order of size, counted from 1: we round up. */
    size_t position = (count * 99 + 99) / 100;
    return latencies[position - 1];
}

/* Makes one run, and returns its p99. */
static long measure(const struct addrinfo *list, long rate,
                    struct deadline deadline) {
    static long latencies[MOST_REQUESTS];
    static struct reader reader;
    char line[LINE_BYTES];
    size_t count = 0;
    reader.fd = dial(list, deadline);
    reader.deadline = deadline;
    reader.start = 0;
    reader.end = 0;
    send_requests(reader.fd, rate, deadline);
    for (long i = 0; due_at(rate, i) < RUN_US; i++) {
        long due = due_at(rate, i);
        read_line(&reader, line);
        long latency = parse_reply(line, due);
        if (due >= WARM_UP_US) {
            latencies[count] = latency;
            count++;
        }
    }
    expect_end(&reader);
    if (close(reader.fd) < 0)
        err(1, "close");
    return p99_of(latencies, count);
}

/* Returns the highest rate at which p99 does not exceed the limit, or 0 if
 * there is none. */
static long find_rate(const struct addrinfo *list, long limit,
                      struct deadline deadline) {
    const long none = MOST_RATE + 1; /* more than any rate that we try */
    long good = 0;                   /* the highest rate so far that was good */
    long bad = none; /* the lowest rate so far that was not good */
    long rate = LEAST_RATE;
    /* Double the rate until it is not good, or until it is the highest rate. */
    while (good < MOST_RATE && bad == none) {
        if (measure(list, rate, deadline) <= limit)
            good = rate;
        else
            bad = rate;
        rate *= 2;
        if (rate > MOST_RATE)
            rate = MOST_RATE;
    }
    if (good == 0)
        return 0;
    /* Search between the two. Each run halves the distance. */
    while (bad - good > 1) {
        long middle = good + (bad - good) / 2;
        if (measure(list, middle, deadline) <= limit)
            good = middle;
        else
            bad = middle;
    }
    return good;
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
