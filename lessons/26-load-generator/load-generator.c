/*
 * 26-load-generator: keep an echo server busy, and say how long it took.
 *
 * Shows how to measure: time from when a request was due, percentiles and no
 * mean, errors apart, and what it costs the server, and us.
 *
 * usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] [-r RATE]
 *                          [-p PID] HOST PORT
 *
 * CLIENTS (50) send requests of BYTES (64) for SECONDS (2), after a warm-up of
 * a fifth of that: each when it has its reply, or with -r at RATE a second, all
 * together, replies or not. PID is the server's, for its processor time: that
 * of its threads, too, and not that of its children. Left out: a second
 * processor.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "crowd.h"
#include "deadline.h"
#include "histogram.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_CLIENTS = 100000,
    MOST_BYTES = 1 << 20,
    MOST_RATE = 1000000,
    MOST_PIDS = 1 << 22, /* proc(5), pid_max */
    WARM_UP = 5,         /* a fifth */
    PATIENCE_MS = 5000,  /* for a connection, and for replies in the end */
    NS_PER_US = 1000,
    NS_PER_MS = 1000 * NS_PER_US,
    NS_PER_SECOND = 1000 * NS_PER_MS,
};

struct load {
    struct crowd crowd;
    int timer;
    int64_t interval;          /* between two that are due; 0: closed loop */
    int64_t start;             /* of this run; its requests: */
    int64_t total, due, given; /* in all; until now; to clients */
    unsigned long long answered, errors;
    struct histogram from_due, from_sent;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] "
          "[-r RATE]\n                         [-p PID] HOST PORT\n",
          out);
    exit(status);
}

static long parse_number(const char *text, long most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > most)
        errx(1, "%s is not a number from 1 to %ld", text, most);
    return value;
}

/* Were 1 or 2 free, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", text);
    return milliseconds;
}

/* The clock of a process shows the processor time that it has had. */
static clockid_t parse_process(const char *text) {
    clockid_t clock;
    int error =
        clock_getcpuclockid((pid_t)parse_number(text, MOST_PIDS), &clock);
    if (error != 0)
        errx(1, "process %s: %s", text, strerror(error));
    return clock;
}

static int64_t now_by(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        err(1, "clock_gettime");
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Returns -1 for a process that has gone. */
static int64_t processor_time(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        return -1;
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

static void set_timer(int timer, int64_t first, int64_t interval) {
    const struct itimerspec times = {
        .it_value = {first / NS_PER_SECOND, first % NS_PER_SECOND},
        .it_interval = {interval / NS_PER_SECOND, interval % NS_PER_SECOND},
    };
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &times, NULL) < 0)
        err(1, "timerfd_settime");
}

/* Requests that are due go to clients that are free, while there are both. */
static void hand_out(struct load *load, int64_t now) {
    while (load->given < load->due) {
        struct crowd_client *client = crowd_begin(&load->crowd);
        if (client == NULL)
            break;
        load->given++;
        client->begun = client->due = now;
        if (load->interval > 0)
            client->due = load->start + load->given * load->interval;
    }
}

/* The timer has counted what became due, whether we looked or not. In a closed
 * loop it rings once: that was all. */
static void look_at_timer(struct load *load) {
    uint64_t ticks;
    if (read(load->timer, &ticks, sizeof ticks) != sizeof ticks) {
        if (errno != EAGAIN && errno != EINTR)
            err(1, "read of the timer");
    } else if (load->interval == 0) {
        load->due = load->total = load->given;
    } else {
        load->due += (int64_t)ticks;
        if (load->due > load->total)
            load->due = load->total;
    }
}

static void note_reply(struct load *load, const struct crowd_client *client,
                       int64_t now) {
    histogram_add(&load->from_due, now - client->due);
    histogram_add(&load->from_sent, now - client->begun);
    load->answered++;
}

/* Whoever is lost is an error; the first is told in words. */
static void note_loss(struct load *load, const struct crowd_client *client) {
    if (load->errors++ == 0)
        warnx("client %td: %s", client - load->crowd.clients + 1,
              load->crowd.why);
}

static void note_missing(struct load *load) {
    unsigned long long missing = load->crowd.waiting;
    if (load->interval > 0)
        missing += (unsigned long long)(load->total - load->given);
    warnx("%llu replies have not come", missing);
    load->errors += missing;
}

static void begin(struct load *load, int milliseconds) {
    int64_t length = (int64_t)milliseconds * NS_PER_MS;
    memset(&load->from_due, 0, sizeof load->from_due);
    memset(&load->from_sent, 0, sizeof load->from_sent);
    load->answered = 0;
    load->given = load->due = 0;
    load->start = now_by(CLOCK_MONOTONIC);
    if (load->interval > 0) {
        load->total = length / load->interval;
        set_timer(load->timer, load->start + load->interval, load->interval);
    } else {
        load->total = load->due = INT64_MAX;
        set_timer(load->timer, load->start + length, 0);
    }
}

/* Returns the nanoseconds until the last reply. */
static int64_t run(struct load *load, int milliseconds) {
    struct crowd *crowd = &load->crowd;
    int64_t now, limit;
    begin(load, milliseconds);
    now = load->start;
    limit = now + (int64_t)(milliseconds + PATIENCE_MS) * NS_PER_MS;
    hand_out(load, now);
    while (crowd->waiting > 0 ||
           (crowd->alive > 0 && load->given < load->total)) {
        struct crowd_client *client;
        int left = now < limit ? (int)((limit - now) / NS_PER_MS) + 1 : 0;
        enum crowd_news news = crowd_wait(crowd, left, &client);
        now = now_by(CLOCK_MONOTONIC);
        if (news == CROWD_ERROR)
            err(1, "epoll_wait");
        if (news == CROWD_REPLY)
            note_reply(load, client, now);
        if (news == CROWD_LOST)
            note_loss(load, client);
        if (news == CROWD_OTHER)
            look_at_timer(load);
        if (left == 0) {
            note_missing(load);
            break;
        }
        hand_out(load, now);
    }
    return now - load->start;
}

/* Prints what a run has shown, with processor time in nanoseconds, or -1. */
static void report(const struct load *load, int64_t took, int64_t of_server,
                   int64_t of_load) {
    double requests = (double)load->answered;
    (void)printf("requests   %llu\nerrors     %llu\nrate       %.0f a second\n",
                 load->answered, load->errors,
                 requests * NS_PER_SECOND / (double)took);
    histogram_write_percentiles(stdout, &load->from_due, "");
    if (load->interval > 0)
        histogram_write_percentiles(stdout, &load->from_sent, "sent-");
    if (of_server >= 0 && requests > 0)
        (void)printf("server     %.2f us a request\n",
                     (double)of_server / requests / NS_PER_US);
    if (requests > 0)
        (void)printf("load       %.2f us a request\n",
                     (double)of_load / requests / NS_PER_US);
    histogram_write_bars(stdout, &load->from_due);
}

static void open_crowd(struct load *load, size_t count, size_t size,
                       const char *host, const char *port) {
    struct epoll_event event = {.events = EPOLLIN}; /* of no client */
    struct addrinfo *list;
    const char *call;
    char name[ADDR_TEXT_BYTES];
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    const struct addrinfo *to = list;
    while (crowd_open(&load->crowd, to, count, size, PATIENCE_MS, &call) < 0) {
        warn("%s %s", call, addr_format(to->ai_addr, to->ai_addrlen, name));
        to = to->ai_next;
        if (to == NULL)
            exit(1);
    }
    freeaddrinfo(list);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load->timer < 0)
        err(1, "timerfd_create");
    if (epoll_ctl(load->crowd.epoll, EPOLL_CTL_ADD, load->timer, &event) < 0)
        err(1, "epoll_ctl");
    (void)printf("clients    %zu\n", count);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* The warm-up, and the run that counts. */
static void measure(struct load *load, int milliseconds, clockid_t server) {
    (void)run(load, milliseconds / WARM_UP);
    if (load->crowd.alive == 0 || load->crowd.waiting > 0)
        errx(1, "nothing is measured: it ended in the warm-up");
    int64_t server_before = processor_time(server);
    int64_t load_before = processor_time(CLOCK_PROCESS_CPUTIME_ID);
    int64_t took = run(load, milliseconds);
    int64_t server_after = processor_time(server);
    int64_t load_after = processor_time(CLOCK_PROCESS_CPUTIME_ID);
    bool known = server_before >= 0 && server_after >= 0;
    report(load, took, known ? server_after - server_before : -1,
           load_after - load_before);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    struct load load = {0};
    size_t count = 50, size = 64;
    clockid_t server = -1;
    int milliseconds = 2000;
    in_port_t port;
    for (int option; (option = getopt(argc, argv, "+hc:s:d:r:p:")) != -1;) {
        if (option == 'c')
            count = (size_t)parse_number(optarg, MOST_CLIENTS);
        else if (option == 's')
            size = (size_t)parse_number(optarg, MOST_BYTES);
        else if (option == 'r')
            load.interval = NS_PER_SECOND / parse_number(optarg, MOST_RATE);
        else if (option == 'd')
            milliseconds = parse_seconds(optarg);
        else if (option == 'p')
            server = parse_process(optarg);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    argv += optind;
    if (argc - optind != 2)
        usage(stderr, 2);
    if (addr_parse_port(argv[1], strlen(argv[1]), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", argv[1]);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    open_crowd(&load, count, size, argv[0], argv[1]);
    measure(&load, milliseconds, server);
    crowd_close(&load.crowd);
    return load.errors > 0;
}
