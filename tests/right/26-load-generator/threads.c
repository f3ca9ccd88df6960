/*
 * A right answer with a thread that sends while main receives. It reads all
 * replies into one big buffer before it looks at them, and stops between the
 * rates as soon as its result is good enough.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    US_PER_SECOND = 1000000,
    FIRST = 100000, /* requests that are due earlier are the warm-up */
    LAST = 1100000, /* every request is due before this */
};

struct job {
    const struct addrinfo *list;
    struct deadline end;
    int fd;
    int rate;
    int error; /* of the sending thread: an errno, or 0 */
};

/* Returns when request number i is due, in microseconds. */
static long due_time(const struct job *job, long i) {
    return i * US_PER_SECOND / job->rate;
}

/* The sending thread. */
static void *send_requests(void *argument) {
    struct job *job = argument;
    char *text = NULL;
    size_t length = 0;
    FILE *lines = open_memstream(&text, &length);
    if (lines == NULL)
        err(1, "open_memstream");
    for (long i = 0; due_time(job, i) < LAST; i++)
        (void)fprintf(lines, "%ld\n", due_time(job, i));
    if (fclose(lines) != 0)
        err(1, "open_memstream");
    size_t sent;
    job->error = 0;
    if (deadline_send(job->end, job->fd, text, length, &sent) != 0 ||
        shutdown(job->fd, SHUT_WR) != 0)
        job->error = errno;
    free(text);
    return NULL;
}

static int connect_to_any(const struct job *job) {
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *to = job->list; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (deadline_connect(job->end, fd, to->ai_addr, to->ai_addrlen) == 0)
            return fd;
        error = errno;
        close(fd);
    }
    errno = error;
    err(1, "cannot connect");
}

/* Returns a string with everything that the server sent. */
static char *receive_all(const struct job *job) {
    size_t room = 1 << 20;
    size_t length = 0;
    char *replies = malloc(room);
    if (replies == NULL)
        err(1, "malloc");
    for (;;) {
        ssize_t n = deadline_recv(job->end, job->fd, replies + length,
                                  room - 1 - length);
        if (n < 0)
            err(1, "the replies at %d a second", job->rate);
        if (n == 0)
            break;
        length += (size_t)n;
        if (length == room - 1)
            errx(1, "the server does not stop sending");
    }
    if (memchr(replies, '\0', length) != NULL)
        errx(1, "there is a NUL in a reply");
    replies[length] = '\0';
    return replies;
}

static int compare(const void *left, const void *right) {
    const uint64_t *a = left;
    const uint64_t *b = right;
    if (*a < *b)
        return -1;
    if (*a > *b)
        return 1;
    return 0;
}

/* Reads the reply at *next, and moves *next to the reply behind it. Returns its
 * latency; that of an error is longer than any other.
 *
 * strsep puts a NUL in the place of the separator, and moves its pointer behind
 * that. If there is no separator, it sets the pointer to NULL. */
static uint64_t read_reply(char **next, long due) {
    char *time = strsep(next, "\n");
    if (*next == NULL)
        errx(1, "there are too few replies");
    char *word = time;
    (void)strsep(&word, " ");
    unsigned long long when;
    if (word == NULL || number_parse(time, 0, 1ULL << 62, &when) != 0)
        errx(1, "a reply is wrong: %s", time);
    if (when < (unsigned long long)due)
        errx(1, "a reply came at %llu, before its request at %ld", when, due);
    if (strcmp(word, "busy") == 0)
        return UINT64_MAX;
    if (strcmp(word, "ok") != 0)
        errx(1, "a reply is neither ok nor busy: %s", word);
    return when - (unsigned long long)due;
}

/* Sends the requests and receives the replies at the same time. Returns a
 * string with the replies. */
static char *run(struct job *job, int rate) {
    pthread_t sender;
    job->rate = rate;
    job->fd = connect_to_any(job);
    if (pthread_create(&sender, NULL, send_requests, job) != 0)
        errx(1, "pthread_create");
    char *replies = receive_all(job);
    if (pthread_join(sender, NULL) != 0)
        errx(1, "pthread_join");
    if (job->error != 0)
        errx(1, "sending: %s", strerror(job->error));
    (void)close(job->fd);
    return replies;
}

static uint64_t p99_at(struct job *job, int rate) {
    static uint64_t latencies[LAST];
    char *replies = run(job, rate);
    size_t count = 0;
    char *next = replies;
    for (long i = 0; due_time(job, i) < LAST; i++) {
        uint64_t latency = read_reply(&next, due_time(job, i));
        if (due_time(job, i) >= FIRST) {
            latencies[count] = latency;
            count++;
        }
    }
    if (*next != '\0')
        errx(1, "there are too many replies");
    free(replies);
    qsort(latencies, count, sizeof *latencies, compare);
    size_t place = (99 * count + 99) / 100; /* rounded up, counted from 1 */
    return latencies[place - 1];
}

static int search(struct job *job, uint64_t limit) {
    static const int rates[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000};
    const size_t count = sizeof rates / sizeof rates[0];
    int good = 0; /* 0: no rate is known to be good, */
    int bad = 0;  /* or to be bad */
    for (size_t i = 0; i < count && bad == 0; i++) {
        if (p99_at(job, rates[i]) <= limit)
            good = rates[i];
        else
            bad = rates[i];
    }
    if (good == 0 || bad == 0)
        return good;
    /* Half a percent is near enough. */
    while (bad - good > 1 && bad - good > good / 200) {
        int between = (good + bad) / 2;
        if (p99_at(job, between) <= limit)
            good = between;
        else
            bad = between;
    }
    return good;
}

static _Noreturn void usage(void) {
    fputs("usage: threads -l MICROSECONDS -t MILLISECONDS HOST PORT\n", stderr);
    exit(2);
}

static unsigned long long parse_number(const char *text, int letter) {
    unsigned long long number;
    if (number_parse(text, 1, 1000000000, &number) < 0)
        errx(1, "-%c %s: not from 1 to 1000000000", letter, text);
    return number;
}

int main(int argc, char **argv) {
    unsigned long long limit = 0;
    unsigned long long time = 0;
    in_port_t port;
    for (;;) {
        int letter = getopt(argc, argv, "l:t:");
        if (letter < 0)
            break;
        if (letter == 'l')
            limit = parse_number(optarg, letter);
        else if (letter == 't')
            time = parse_number(optarg, letter);
        else
            usage();
    }
    if (limit == 0 || time == 0)
        usage();
    if (argc - optind != 2)
        usage();
    const char *host = argv[optind];
    const char *service = argv[optind + 1];
    if (addr_parse_port(service, strlen(service), 1, &port) < 0)
        errx(1, "%s: not a port", service);
    (void)signal(SIGPIPE, SIG_IGN);
    struct job job = {.end = deadline_after((int)time)};
    struct addrinfo *list;
    if (addr_resolve(host, service, AF_UNSPEC, SOCK_STREAM, &list) != 0)
        errx(1, "%s: no such host", host);
    job.list = list;
    int rate = search(&job, limit);
    freeaddrinfo(list);
    if (rate == 0)
        errx(1, "100 requests in a second are too much");
    if (dprintf(1, "%d\n", rate) < 0)
        err(1, "standard output");
    return 0;
}
