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

enum { MICROSECONDS = 1000000, FIRST = 100000, LAST = 1100000 };

struct job {
    const struct addrinfo *list;
    struct deadline end;
    int fd;
    int rate;
    int error;
};

static long due_time(const struct job *job, long i) {
    return i * MICROSECONDS / job->rate;
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
    for (const struct addrinfo *one = job->list; one; one = one->ai_next) {
        int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (deadline_connect(job->end, fd, one->ai_addr, one->ai_addrlen) == 0)
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
    if (*a == *b)
        return 0;
    return *a < *b ? -1 : 1;
}

/* Reads one reply, and moves on to the next. */
static uint64_t read_reply(char **next, long due) {
    char *line = strsep(next, "\n");
    if (*next == NULL)
        errx(1, "there are too few replies");
    char *time = strsep(&line, " ");
    unsigned long long when;
    if (line == NULL || number_parse(time, 0, 1ULL << 62, &when) != 0)
        errx(1, "a reply is wrong: %s", time);
    if (when < (unsigned long long)due)
        errx(1, "a reply came at %llu, before its request at %ld", when, due);
    if (strcmp(line, "busy") == 0)
        return UINT64_MAX;
    if (strcmp(line, "ok") != 0)
        errx(1, "a reply is neither ok nor busy: %s", line);
    return when - (unsigned long long)due;
}

static uint64_t p99_at(struct job *job, int rate) {
    static uint64_t latencies[LAST];
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

    size_t count = 0;
    char *next = replies;
    for (long i = 0; due_time(job, i) < LAST; i++) {
        uint64_t latency = read_reply(&next, due_time(job, i));
        if (due_time(job, i) >= FIRST)
            latencies[count++] = latency;
    }
    if (*next != '\0')
        errx(1, "there are too many replies");
    free(replies);
    qsort(latencies, count, sizeof *latencies, compare);
    return latencies[(99 * count + 99) / 100 - 1];
}

static int search(struct job *job, uint64_t limit) {
    static const int rates[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000};
    int good = 0;
    int bad = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates && bad == 0; i++) {
        if (p99_at(job, rates[i]) <= limit)
            good = rates[i];
        else
            bad = rates[i];
    }
    if (good == 0 || bad == 0)
        return good;
    while (bad - good > good / 200 && bad - good > 1) {
        int between = (good + bad) / 2;
        if (p99_at(job, between) <= limit)
            good = between;
        else
            bad = between;
    }
    return good;
}

int main(int argc, char **argv) {
    unsigned long long limit = 0;
    unsigned long long time = 0;
    in_port_t port;
    for (;;) {
        int letter = getopt(argc, argv, "l:t:");
        if (letter < 0)
            break;
        unsigned long long *place = letter == 'l' ? &limit : &time;
        if (letter == '?') {
            argc = 0;
            break;
        }
        if (number_parse(optarg, 1, 1000000000, place) < 0)
            errx(1, "-%c %s: not from 1 to 1000000000", letter, optarg);
    }
    if (argc - optind != 2 || limit == 0 || time == 0) {
        fputs("usage: threads -l MICROSECONDS -t MILLISECONDS HOST PORT\n",
              stderr);
        return 2;
    }
    if (addr_parse_port(argv[optind + 1], strlen(argv[optind + 1]), 1, &port))
        errx(1, "%s: not a port", argv[optind + 1]);
    (void)signal(SIGPIPE, SIG_IGN);
    struct job job = {.end = deadline_after((int)time)};
    struct addrinfo *list;
    if (addr_resolve(argv[optind], argv[optind + 1], AF_UNSPEC, SOCK_STREAM,
                     &list) != 0)
        errx(1, "%s: no such host", argv[optind]);
    job.list = list;
    int rate = search(&job, limit);
    freeaddrinfo(list);
    if (rate == 0)
        errx(1, "100 requests in a second are too much");
    if (dprintf(1, "%d\n", rate) < 0)
        err(1, "standard output");
    return 0;
}
