/*
 * queue: a server with a queue, and with a clock that is only in its messages.
 *
 *     queue [OPTION...] serve
 *     queue [OPTION...] p99 RATE...
 *     queue [OPTION...] best LIMIT
 *
 * Who connects sends lines, each the time in microseconds at which a request
 * comes, in order; the answer to each is a line: the time at which its reply
 * was there, and `ok`, or `busy` for one that was turned away. It serves one
 * request after another, -s microseconds each. Of each -x of them one, the
 * -o-th, has its reply -d later than that, and each that comes in the first
 * tenth of a second -c later: it is cold. It has -q requests at once, and turns
 * others away.
 *
 * No time passes: so it says the same on each machine, and at once. `p99`
 * prints what a run of 1.1 seconds at each RATE shows: p99 as it is to be
 * measured, 1000000000 where more than one in a hundred is turned away; `best`
 * the highest rate at which it is LIMIT at the most, or 0.
 *
 * As a server it takes a port of its own, says `listening on 127.0.0.1:PORT`,
 * and each run's number, first to last time, and requests: `run 1: 0 to
 * 1099000, 1100 requests`. It serves one connection after another, -r runs at
 * the most; further ones are closed without a word. -m RUN stops answering in
 * the middle of that run (it says nothing any more), -e RUN ends it there.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WARM_UP = 100000,
    RUN = 1100000,
    LONGEST_QUEUE = 1 << 16,
    NEVER = 1000000000,
    LEAST = 100, /* rates that are looked at */
    MOST = 10000,
    LARGEST = 1 << 28, /* number on our command line, or from a client */
    MIDDLE = 20,       /* replies before a run that ends too early does */
    LINE_BYTES = 32,
    BUFFER_BYTES = 1 << 16,
};

struct model {
    long service, cold, queue;
    long each, offset, extra;
    long runs, mute, ending;
    long port;
};

/* One run: when the last one leaves, and those that wait, a ring. */
struct run {
    const struct model *model;
    long free_at, served;
    long done[LONGEST_QUEUE];
    size_t first, count;
    long begin, end, requests, replies; /* times, and counts */
};

/* One connection: what of a line has come, and what has not gone yet. */
struct talk {
    int fd;
    char line[LINE_BYTES];
    size_t length;
    char *out;
    size_t start, stop, room;
};

static _Noreturn void usage(void) {
    fputs("usage: queue [-s US] [-c US] [-q COUNT] [-x COUNT] [-o NUMBER]\n"
          "             [-d US] [-r RUNS] [-m RUN] [-e RUN] [-P PORT]\n"
          "             serve | p99 RATE... | best LIMIT\n",
          stderr);
    exit(2);
}

static long number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value > LARGEST)
        usage();
    return value;
}

/* Returns when the reply to a request is there; *busy when it is none. */
static long request(struct run *run, long due, bool *busy) {
    const struct model *model = run->model;
    while (run->count > 0 && run->done[run->first] <= due) {
        run->first = (run->first + 1) % LONGEST_QUEUE;
        run->count--;
    }
    *busy = run->count >= (size_t)model->queue;
    if (*busy)
        return due + 1;
    if (run->free_at < due)
        run->free_at = due;
    run->free_at += model->service;
    run->done[(run->first + run->count++) % LONGEST_QUEUE] = run->free_at;
    return run->free_at + (due < WARM_UP ? model->cold : 0) +
           (run->served++ % model->each == model->offset ? model->extra : 0);
}

static int by_size(const void *a, const void *b) {
    const long *left = a;
    const long *right = b;
    return (*left > *right) - (*left < *right);
}

static long p99(const struct model *model, long rate) {
    static long latency[RUN];
    static struct run run;
    size_t count = 0;
    run = (struct run){.model = model};
    for (long i = 0; i * 1000000 / rate < RUN; i++) {
        bool busy;
        long due = i * 1000000 / rate;
        long done = request(&run, due, &busy);
        if (due >= WARM_UP)
            latency[count++] = busy ? NEVER : done - due;
    }
    qsort(latency, count, sizeof latency[0], by_size);
    return latency[(count * 99 + 99) / 100 - 1];
}

/* The highest rate from LEAST to MOST at which p99 is not above limit, or 0. A
 * higher rate never has a lower p99, but for a microsecond or two. */
static long best(const struct model *model, long limit) {
    long good = LEAST;
    long bad = MOST + 1;
    if (p99(model, good) > limit)
        return 0;
    while (bad - good > 1) {
        long middle = (good + bad) / 2;
        if (p99(model, middle) <= limit)
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* A line has come: its answer is put behind those that have not gone yet.
 * Returns false for what is no time, or goes back. */
static bool answer(struct run *run, struct talk *talk, long number_of_run) {
    char *end;
    bool busy;
    long due = strtol(talk->line, &end, 10);
    if (*talk->line < '0' || *talk->line > '9' || *end != '\0' ||
        due > LARGEST || due < run->end) {
        (void)printf("run %ld: no time, or before the last: %s\n",
                     number_of_run, talk->line);
        return false;
    }
    if (run->requests++ == 0)
        run->begin = due;
    run->end = due;
    long done = request(run, due, &busy);
    if (run->requests > MIDDLE && (run->model->mute == number_of_run ||
                                   run->model->ending == number_of_run))
        return run->model->mute == number_of_run;
    if (talk->room - talk->stop < LINE_BYTES) {
        talk->room = 2 * talk->room + BUFFER_BYTES;
        talk->out = realloc(talk->out, talk->room);
        if (talk->out == NULL)
            err(1, "realloc");
    }
    talk->stop += (size_t)snprintf(talk->out + talk->stop, LINE_BYTES,
                                   "%ld %s\n", done, busy ? "busy" : "ok");
    return true;
}

/* Returns false when nothing more is to be read. */
static bool take(struct run *run, struct talk *talk, long number_of_run) {
    static char piece[BUFFER_BYTES];
    ssize_t got = recv(talk->fd, piece, sizeof piece, 0);
    for (ssize_t i = 0; i < got; i++) {
        if (piece[i] != '\n' && talk->length < LINE_BYTES - 1) {
            talk->line[talk->length++] = piece[i];
            continue;
        }
        talk->line[talk->length] = '\0';
        talk->length = 0;
        if (piece[i] != '\n' || !answer(run, talk, number_of_run))
            return false;
    }
    return got > 0;
}

/* Reads and writes as it comes: who sends all before it reads is not stopped.
 */
static void hold(const struct model *model, int fd, long number_of_run) {
    static struct run run;
    struct talk talk = {.fd = fd};
    bool reads = true;
    run = (struct run){.model = model};
    while (reads || talk.start < talk.stop) {
        bool writes = talk.start < talk.stop;
        struct pollfd ready = {
            .fd = fd,
            .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))};
        if (poll(&ready, 1, -1) < 0)
            break;
        if (reads && (ready.revents & ~POLLOUT) != 0)
            reads = take(&run, &talk, number_of_run);
        if (talk.start == talk.stop)
            continue;
        ssize_t sent = send(fd, talk.out + talk.start, talk.stop - talk.start,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            break;
        talk.start += sent < 0 ? 0 : (size_t)sent;
    }
    if (model->mute == number_of_run) /* for ever, or until it is ended */
        (void)pause();
    free(talk.out);
    (void)printf("run %ld: %ld to %ld, %ld requests\n", number_of_run,
                 run.begin, run.end, run.requests);
}

static void serve(const struct model *model) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)model->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&own, sizeof own) < 0 ||
        listen(listener, 128) < 0 ||
        getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "listen");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    for (long run = 1;; run++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        if (run <= model->runs)
            hold(model, fd, run);
        else
            (void)printf("run %ld: one too many\n", run);
        (void)close(fd);
    }
}

int main(int argc, char **argv) {
    struct model model = {
        .service = 1000, .each = 1, .queue = LONGEST_QUEUE, .runs = LARGEST};
    for (int option;
         (option = getopt(argc, argv, "s:c:q:x:o:d:r:m:e:P:")) != -1;) {
        static const char letters[] = "scqxodrmeP";
        long *const fields[] = {&model.service, &model.cold,   &model.queue,
                                &model.each,    &model.offset, &model.extra,
                                &model.runs,    &model.mute,   &model.ending,
                                &model.port};
        if (option == '?')
            usage();
        *fields[strchr(letters, option) - letters] = number(optarg);
    }
    if (optind == argc)
        usage();
    if (strcmp(argv[optind], "serve") == 0)
        serve(&model);
    for (int i = optind + 1; i < argc; i++)
        if (strcmp(argv[optind], "p99") == 0)
            (void)printf("%s %ld\n", argv[i], p99(&model, number(argv[i])));
        else if (strcmp(argv[optind], "best") == 0)
            (void)printf("%ld\n", best(&model, number(argv[i])));
        else
            usage();
    return 0;
}
