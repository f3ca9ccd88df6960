/*
 * 26-load-generator: keep an echo server busy, and say how long it took.
 *
 * Shows how to measure: from when a request was due, errors apart, percentiles
 * and no mean; and what it costs the server, and us.
 *
 * usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] [-r RATE]
 *                          [-p PID] HOST PORT
 * 50 CLIENTS send 64 BYTES each for 2 SECONDS, after a warm-up of a fifth more:
 * when they have the last reply, or at RATE a second, all together, replies or
 * not. PID is the server, for its processor time (without that of children).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "crowd.h"
#include "deadline.h"
#include "histogram.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { OF_LOAD, OF_SERVER, CLOCKS, NO_CLOCK = -1 };
enum {
    LARGEST = 1 << 22,  /* number that we take, and of a process: proc(5) */
    WARM_UP = 5,        /* a fifth */
    PATIENCE_MS = 2500, /* with a connection, and with the last replies */
    NS_PER_MS = 1000 * 1000,
    NS_PER_SECOND = 1000 * NS_PER_MS,
};

struct load {
    struct crowd crowd;
    int timer;
    int64_t start, interval;   /* between two that are due; 0: closed loop */
    int64_t total, due, given; /* requests: in all, until now, and to clients */
    long long errors;
    struct histogram from_due, from_sent;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] "
          "[-r RATE]\n                         [-p PID] HOST PORT\n",
          out);
    exit(status);
}

static unsigned parse_number(const char *text) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != '\0' || value > LARGEST)
        errx(1, "%s is not a number from 1 to %d", text, LARGEST);
    return (unsigned)value;
}

/* Nanoseconds; or -1 for the clock of a process that has gone. */
static int64_t now_by(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        return -1;
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Requests that are due go to clients that are free, while there are both. */
static void hand_out(struct load *load, int64_t now) {
    struct crowd_client *client;
    while (load->given < load->due && load->given < load->total &&
           (client = crowd_begin(&load->crowd)) != NULL) {
        load->given++;
        client->begun = client->due = now;
        if (load->interval > 0)
            client->due = load->start + load->given * load->interval;
    }
}

/* The timer has counted what became due, whether we looked or not. In a closed
 * loop it rings at the end. If this fails, epoll tells of it again. */
static void look_at_timer(struct load *load) {
    int64_t ticks;
    if (read(load->timer, &ticks, sizeof ticks) != sizeof ticks)
        return;
    if (load->interval > 0)
        load->due += ticks;
    else
        load->total = load->given;
}

static void begin(struct load *load, int64_t length) {
    int64_t interval = load->interval > 0 ? load->interval : length;
    const struct timespec each = {interval / NS_PER_SECOND,
                                  interval % NS_PER_SECOND};
    const struct itimerspec times = {.it_value = each, .it_interval = each};
    load->from_due = load->from_sent = (struct histogram){0};
    load->total = load->interval > 0 ? length / interval : INT64_MAX;
    load->due = load->interval > 0 ? 0 : INT64_MAX;
    load->given = 0;
    load->start = now_by(CLOCK_MONOTONIC);
    if (timerfd_settime(load->timer, 0, &times, NULL) < 0)
        err(1, "timerfd_settime");
    hand_out(load, load->start);
}

/* Returns the nanoseconds until the last reply. What fails is no fast reply: it
 * is counted apart, and the first one told. */
static int64_t run(struct load *load, int64_t length) {
    struct crowd *crowd = &load->crowd;
    begin(load, length);
    int64_t now = load->start;
    int64_t limit = now + length + (int64_t)PATIENCE_MS * NS_PER_MS;
    while (crowd->waiting > 0 ||
           (crowd->alive > 0 && load->given < load->total)) {
        struct crowd_client *client;
        int left = (int)((limit - now) / NS_PER_MS) + 1;
        enum crowd_news news = crowd_wait(crowd, left, &client);
        now = now_by(CLOCK_MONOTONIC);
        if (news == CROWD_ERROR)
            err(1, "epoll_wait");
        if (news == CROWD_OTHER)
            look_at_timer(load);
        if (news == CROWD_LOST && load->errors++ == 0)
            warnx("%s", crowd->why);
        if (news == CROWD_REPLY) {
            histogram_add(&load->from_due, now - client->due);
            histogram_add(&load->from_sent, now - client->begun);
        }
        if (now > limit)
            errx(1, "%zu clients wait in vain for a reply", crowd->waiting);
        hand_out(load, now);
    }
    return now - load->start;
}

/* The warm-up, in which all has to go well, and the run that counts. */
static void measure(struct load *load, int64_t length,
                    const clockid_t *clocks) {
    int64_t cost[CLOCKS];
    (void)run(load, length / WARM_UP);
    if (load->errors > 0)
        exit(1);
    for (int i = 0; i < CLOCKS; i++)
        cost[i] = now_by(clocks[i]);
    double took = (double)run(load, length);
    for (int i = 0; i < CLOCKS; i++)
        cost[i] = now_by(clocks[i]) - cost[i];

    double replies = (double)load->from_due.count;
    (void)printf("replies    %.0f\nerrors     %lld\nrate       %.0f a second\n",
                 replies, load->errors, replies / took * NS_PER_SECOND);
    histogram_write_percentiles(stdout, &load->from_due, "");
    if (load->interval > 0)
        histogram_write_percentiles(stdout, &load->from_sent, "sent-");
    for (int i = 0; i < CLOCKS; i++)
        if (cost[i] > 0 && replies > 0)
            (void)printf("%-10s %.2f us a reply\n",
                         i == OF_LOAD ? "load" : "server",
                         (double)cost[i] / 1000 / replies);
    histogram_write_bars(stdout, &load->from_due);
}

/* Connects the crowd, and puts the timer beside it. */
static void prepare(struct load *load, size_t count, size_t size,
                    const char *host, const char *port) {
    struct epoll_event event = {.events = EPOLLIN}; /* of no client */
    struct addrinfo *list;
    const char *call;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s port %s: %s", host, port, gai_strerror(error));
    if (crowd_open(&load->crowd, list, count, size, PATIENCE_MS, &call) < 0)
        err(1, "%s %s port %s", call, host, port);
    freeaddrinfo(list);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load->timer < 0)
        err(1, "timerfd_create");
    if (epoll_ctl(load->crowd.epoll, EPOLL_CTL_ADD, load->timer, &event) < 0)
        err(1, "epoll_ctl");
}

int main(int argc, char **argv) {
    static struct load load;
    size_t count = 50, size = 64;
    int milliseconds = 2000;
    clockid_t clocks[CLOCKS] = {CLOCK_PROCESS_CPUTIME_ID, NO_CLOCK};
    for (int option; (option = getopt(argc, argv, "+hc:s:d:r:p:")) != -1;) {
        if (option == 'h' || option == '?')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        if (option == 'c')
            count = parse_number(optarg);
        if (option == 's')
            size = parse_number(optarg);
        if (option == 'r')
            load.interval = NS_PER_SECOND / parse_number(optarg);
        if (option == 'p' && clock_getcpuclockid((pid_t)parse_number(optarg),
                                                 &clocks[OF_SERVER]) != 0)
            errx(1, "there is no process %s", optarg);
        if (option == 'd' &&
            deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0 || fcntl(STDERR_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    prepare(&load, count, size, argv[optind], argv[optind + 1]);
    if (printf("clients    %zu\n", count) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
    measure(&load, (int64_t)milliseconds * NS_PER_MS, clocks);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    crowd_close(&load.crowd);
    return load.errors > 0;
}
