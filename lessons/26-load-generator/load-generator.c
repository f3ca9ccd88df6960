/*
 * 26-load-generator: puts an echo server or a web server under load, and
 * measures how long its clients wait.
 *
 * Shows how to measure: the time of a request begins when it is due, errors are
 * counted apart, and there are percentiles and no mean. It also shows how much
 * processor time a reply costs, the server and us.
 *
 * usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] [-r RATE]
 *                          [-p PID] [-C CAFILE] [-u PATH] HOST PORT
 *
 * CLIENTS (50) send requests of BYTES (64) for SECONDS (2), after a warm-up of
 * a fifth of that. Without -r, each client sends when it has its last reply.
 * With -r, RATE requests a second become due, whether replies come or not, and
 * each is sent as soon as a client is free. PID is the server's process: then
 * we also print the processor time of that process, but not of its children.
 * With -C, the clients speak TLS, and HOST must have a certificate from an
 * authority in CAFILE; for that, this program must have been built with
 * OpenSSL. With -u, the server is a web server: each request is a GET of PATH,
 * and a reply counts when it is whole and its status is one of success (2xx).
 *
 * Left out: a load that needs more than one processor, and other servers.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "crowd.h"
#include "deadline.h"
#include "histogram.h"
#include "number.h"

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

enum {
    LARGEST_NUMBER = 1 << 22, /* on the command line; no PID is larger */
    DEFAULT_BYTES = 64,       /* of a request to an echo server */
    WARM_UP_PART = 5,         /* a fifth */
    PATIENCE_MS = 2500,       /* to connect, and for the last replies */
    ANSWER_MS = 2000,         /* a client that waits so long gets no reply */
    REQUEST_BYTES = 4096,     /* the longest request to a web server */
    NS_PER_US = 1000,
    NS_PER_MS = 1000 * NS_PER_US,
    NS_PER_SECOND = 1000 * NS_PER_MS,
};

struct options {
    size_t clients;
    size_t bytes;        /* of a request, or 0: -s was not given */
    int milliseconds;    /* the run, without the warm-up */
    unsigned rate;       /* requests a second, or 0: a closed loop */
    pid_t server;        /* its process, or 0 */
    const char *ca_file; /* or NULL: no TLS */
    const char *path;    /* or NULL: an echo server */
    const char *host;
    const char *port;
};

enum loop {
    CLOSED_LOOP, /* a client sends when it has its last reply */
    OPEN_LOOP,   /* a request is due when it is time; a free client sends it */
};

/* Times are in nanoseconds, by CLOCK_MONOTONIC. */
struct load {
    struct crowd crowd;
    int timer;
    enum loop loop;
    int64_t interval; /* open loop: from one request to the next */
    int64_t start;
    int64_t length;
    int64_t total; /* open loop: how many requests this run has */
    int64_t due;   /* open loop: how many of them are due by now */
    int64_t given; /* how many requests we have given to clients */
    int is_over;   /* closed loop: no client sends another request */
    long long errors;
    struct histogram from_due;
    struct histogram from_sent;
};

/* The processor time of a process. */
struct meter {
    clockid_t clock;
    int is_known; /* 0 if no process was named, or if it has ended */
    int64_t begin;
    int64_t used; /* since begin */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] "
          "[-r RATE]\n                         [-p PID] [-C CAFILE] [-u PATH] "
          "HOST "
          "PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

static unsigned parse_number(const char *text) {
    unsigned long long number;
    if (number_parse(text, 1, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number from 1 to %d", text, LARGEST_NUMBER);
    return (unsigned)number;
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

/* In a request, a blank or a control character would end the path. */
static void check_path(const char *path) {
    int is_good = path[0] == '/';
    for (size_t i = 0; path[i] != '\0'; i++) {
        if (path[i] <= ' ' || path[i] > '~')
            is_good = 0;
    }
    if (!is_good)
        errx(1, "%s is not a path such as /index.html", path);
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+hc:s:d:r:p:C:u:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'c')
            options->clients = parse_number(optarg);
        else if (option == 's')
            options->bytes = parse_number(optarg);
        else if (option == 'd')
            options->milliseconds = parse_seconds(optarg);
        else if (option == 'r')
            options->rate = parse_number(optarg);
        else if (option == 'p')
            options->server = (pid_t)parse_number(optarg);
        else if (option == 'C')
            options->ca_file = optarg;
        else if (option == 'u')
            options->path = optarg;
        else
            usage(stderr, 2);
    }
    if (optind != argc - 2)
        usage(stderr, 2);
    if (options->path != NULL && options->bytes > 0)
        usage(stderr, 2); /* the path says how long the request is */
    if (options->path != NULL)
        check_path(options->path);
    if (options->bytes == 0)
        options->bytes = DEFAULT_BYTES;
    options->host = argv[optind];
    options->port = argv[optind + 1];
    in_port_t number; /* addr_resolve takes the text */
    if (addr_parse_port(options->port, strlen(options->port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", options->port);
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "standard output");
    }
}

static void flush_output(void) {
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
}

/* Returns 0, or -1 when it is the clock of a process that has ended. */
static int read_clock(clockid_t clock, int64_t *nanoseconds) {
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        return -1;
    *nanoseconds = (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
    return 0;
}

static int64_t now(void) {
    int64_t nanoseconds;
    if (read_clock(CLOCK_MONOTONIC, &nanoseconds) < 0)
        err(1, "clock_gettime");
    return nanoseconds;
}

/* Makes the meter for the server, if the command line names its process. */
static struct meter make_server_meter(pid_t server) {
    struct meter meter = {.is_known = 0};
    if (server == 0)
        return meter;
    if (clock_getcpuclockid(server, &meter.clock) != 0)
        errx(1, "there is no process %d", (int)server);
    meter.is_known = 1;
    return meter;
}

static void start_meter(struct meter *meter) {
    if (!meter->is_known)
        return;
    if (read_clock(meter->clock, &meter->begin) < 0)
        meter->is_known = 0;
}

static void stop_meter(struct meter *meter) {
    int64_t end;
    if (!meter->is_known)
        return;
    if (read_clock(meter->clock, &end) < 0) {
        meter->is_known = 0;
        return;
    }
    meter->used = end - meter->begin;
}

/* Prepares TLS, if the command line asks for it. */
static struct secure prepare_tls(const struct options *options) {
    struct secure secure = {.name = options->host};
    char reason[SECURE_REASON_BYTES];
    if (options->ca_file != NULL &&
        secure_open(&secure, options->ca_file, options->host, reason) < 0)
        errx(1, "TLS with %s: %s", options->ca_file, reason);
    return secure;
}

/* Writes the request to a web server. Returns its length. In the field Host, an
 * IPv6 address stands in brackets: RFC 9110, section 7.2. */
static size_t write_request(char request[REQUEST_BYTES],
                            const struct options *options) {
    const char *before = "";
    const char *behind = "";
    if (strchr(options->host, ':') != NULL) {
        before = "[";
        behind = "]";
    }
    int length = snprintf(
        request, REQUEST_BYTES, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\n\r\n",
        options->path, before, options->host, behind, options->port);
    if (length < 0 || length >= REQUEST_BYTES)
        errx(1, "the request is longer than %d bytes", REQUEST_BYTES - 1);
    return (size_t)length;
}

static void connect_crowd(struct crowd *crowd, const struct options *options,
                          const struct secure *secure) {
    char buffer[REQUEST_BYTES];
    const char *request = NULL; /* an echo server */
    size_t size = options->bytes;
    struct addrinfo *list;
    const char *call;
    if (options->path != NULL) {
        size = write_request(buffer, options);
        request = buffer;
    }
    int error = addr_resolve(options->host, options->port, AF_UNSPEC,
                             SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s port %s: %s", options->host, options->port,
             gai_strerror(error));
    int result = crowd_open(crowd, list, options->clients, request, size,
                            PATIENCE_MS, secure, &call);
    if (result < 0 && crowd->why[0] != '\0')
        errx(1, "%s %s port %s: %s", call, options->host, options->port,
             crowd->why);
    if (result < 0)
        err(1, "%s %s port %s", call, options->host, options->port);
    freeaddrinfo(list);
}

/* Makes the timer, and lets the crowd's epoll watch it. The event has no
 * client, so crowd_wait reports it as CROWD_OTHER. */
static int open_timer(const struct crowd *crowd) {
    struct epoll_event event = {.events = EPOLLIN};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0)
        err(1, "timerfd_create");
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, timer, &event) < 0)
        err(1, "epoll_ctl");
    return timer;
}

/* In an open loop, the timer is ready each time that a request is due. In a
 * closed loop, it is ready once, when the run is over. */
static void set_timer(const struct load *load) {
    int64_t interval = load->length;
    if (load->loop == OPEN_LOOP)
        interval = load->interval;
    const struct timespec each = {
        .tv_sec = interval / NS_PER_SECOND,
        .tv_nsec = interval % NS_PER_SECOND,
    };
    struct itimerspec times = {.it_value = each};
    if (load->loop == OPEN_LOOP)
        times.it_interval = each;
    if (timerfd_settime(load->timer, 0, &times, NULL) < 0)
        err(1, "timerfd_settime");
}

/* The timer has counted how often it was ready, whether we looked or not. If
 * this read fails, epoll reports the timer again. */
static void read_timer(struct load *load) {
    int64_t ticks;
    if (read(load->timer, &ticks, sizeof ticks) != sizeof ticks)
        return;
    if (load->loop == OPEN_LOOP)
        load->due += ticks;
    else
        load->is_over = 1;
    if (load->due > load->total)
        load->due = load->total; /* the run has no more */
}

static int is_request_due(const struct load *load) {
    if (load->loop == OPEN_LOOP)
        return load->given < load->due;
    return !load->is_over;
}

/* Gives the requests that are due to clients that are free. If no client is
 * free, the rest stays due. */
static void give_requests(struct load *load, int64_t time) {
    while (is_request_due(load)) {
        struct crowd_client *client = crowd_begin(&load->crowd);
        if (client == NULL)
            return;
        load->given++;
        client->begun = time;
        client->due = time;
        if (load->loop == OPEN_LOOP)
            client->due = load->start + load->given * load->interval;
    }
}

static void start_run(struct load *load, int64_t length) {
    load->from_due = (struct histogram){0};
    load->from_sent = (struct histogram){0};
    load->length = length;
    load->total = 0;
    if (load->loop == OPEN_LOOP)
        load->total = length / load->interval;
    load->due = 0;
    load->given = 0;
    load->is_over = 0;
    load->start = now();
    set_timer(load);
    give_requests(load, load->start);
}

/* A run has ended when each request has its reply, or when there is no client
 * left that could send one. */
static int has_ended(const struct load *load) {
    if (load->crowd.busy > 0)
        return 0;
    if (load->crowd.alive == 0)
        return 1;
    if (load->loop == OPEN_LOOP)
        return load->given == load->total;
    return load->is_over;
}

static void handle_news(struct load *load, enum crowd_news news,
                        const struct crowd_client *client, int64_t time) {
    switch (news) {
    case CROWD_REPLY:
        histogram_add(&load->from_due, time - client->due);
        histogram_add(&load->from_sent, time - client->begun);
        break;
    case CROWD_REFUSAL:
    case CROWD_LOSS:
        if (load->errors == 0)
            warnx("%s", load->crowd.why); /* later errors are only counted */
        load->errors++;
        break;
    case CROWD_OTHER:
        read_timer(load);
        break;
    case CROWD_ERROR:
        err(1, "epoll_wait");
    case CROWD_NOTHING:
        break;
    }
}

/* Returns how many clients have waited for ANSWER_MS or longer. In a closed
 * loop these are all that are still busy. In an open loop, other clients may
 * have begun later, with requests that had to wait for a free client. */
static size_t count_unanswered(const struct load *load, int64_t time) {
    const struct crowd *crowd = &load->crowd;
    int64_t latest = time - (int64_t)ANSWER_MS * NS_PER_MS;
    size_t count = 0;
    if (load->loop == CLOSED_LOOP)
        return crowd->busy;
    for (size_t i = 0; i < crowd->count; i++) {
        const struct crowd_client *client = &crowd->clients[i];
        if (crowd_is_busy(client) && client->begun <= latest)
            count++;
    }
    return count;
}

/* PATIENCE_MS have passed since the end of the run, and there are still
 * requests without a reply. There are two possible reasons. Either some clients
 * get no reply. Or all of them do, but requests became due faster than that. */
static _Noreturn void give_up(const struct load *load, int64_t time) {
    long long total = load->total;
    long long replies = (long long)load->from_due.count;
    size_t unanswered = count_unanswered(load, time);
    if (unanswered > 0)
        errx(1, "no reply within %d seconds for %zu of %zu clients",
             ANSWER_MS / 1000, unanswered, load->crowd.count);
    errx(1, "replies come, but too slowly: %lld of %lld are missing",
         total - replies, total);
}

/* Says whether to wait no longer, after the time is up. In a closed loop, each
 * busy client needs one more reply. So when one comes, even if we were stopped
 * and are too late for it ourselves, we go on. */
static int is_hopeless(const struct load *load, enum crowd_news news) {
    if (load->loop == OPEN_LOOP)
        return 1;
    return load->is_over && news == CROWD_NOTHING;
}

/* Returns how many nanoseconds it took until the last reply. */
static int64_t run(struct load *load, int64_t length) {
    start_run(load, length);
    const int64_t patience = (int64_t)PATIENCE_MS * NS_PER_MS;
    int64_t limit = load->start + length + patience;
    int64_t time = load->start;
    while (!has_ended(load)) {
        struct crowd_client *client = NULL;
        int left = 0;
        if (time < limit)
            left = (int)((limit - time) / NS_PER_MS) + 1; /* rounded up */
        enum crowd_news news = crowd_wait(&load->crowd, left, &client);
        time = now();
        handle_news(load, news, client, time);
        if (load->loop == CLOSED_LOOP && news == CROWD_OTHER)
            limit = time + patience; /* we may see the end of the run late */
        if (time > limit && !has_ended(load) && is_hopeless(load, news))
            give_up(load, time);
        give_requests(load, time);
    }
    return time - load->start;
}

static void print_cost(const char *name, const struct meter *meter,
                       double replies) {
    if (meter->is_known)
        (void)printf("%-10s %.2f us a reply\n", name,
                     (double)meter->used / NS_PER_US / replies);
}

/* If there was no reply, we have measured nothing else. */
static _Noreturn void report_no_reply(const struct load *load) {
    flush_output();
    if (load->given == 0)
        errx(1, "no reply came: no request was due in so short a time");
    errx(1, "no reply came");
}

static void report(const struct load *load, int64_t took,
                   const struct meter *own, const struct meter *server) {
    double replies = (double)load->from_due.count;
    (void)printf("replies    %.0f\n", replies);
    (void)printf("errors     %lld\n", load->errors);
    if (load->from_due.count == 0)
        report_no_reply(load);
    (void)printf("rate       %.0f a second\n",
                 replies * NS_PER_SECOND / (double)took);
    histogram_write_percentiles(stdout, &load->from_due, "");
    if (load->loop == OPEN_LOOP)
        histogram_write_percentiles(stdout, &load->from_sent, "sent-");
    print_cost("load", own, replies);
    print_cost("server", server, replies);
    histogram_write_bars(stdout, &load->from_due);
    flush_output();
}

/* The load runs twice. The first run is the warm-up: nothing may fail in it,
 * and its times are not kept. The second run is the one that we report. */
static void measure(struct load *load, int64_t length, struct meter *server) {
    struct meter own = {.clock = CLOCK_PROCESS_CPUTIME_ID, .is_known = 1};
    (void)run(load, length / WARM_UP_PART);
    if (load->errors > 0)
        exit(1); /* the first error has been printed */
    start_meter(&own);
    start_meter(server);
    int64_t took = run(load, length);
    stop_meter(&own);
    stop_meter(server);
    report(load, took, &own, server);
}

int main(int argc, char **argv) {
    static struct load load; /* it is large, and all zero to begin with */
    struct options options = {
        .clients = 50,
        .milliseconds = 2000,
    };
    parse_options(&options, argc, argv);
    struct meter server = make_server_meter(options.server);
    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (options.rate > 0) {
        load.loop = OPEN_LOOP;
        load.interval = NS_PER_SECOND / options.rate;
    }
    struct secure secure = prepare_tls(&options);
    connect_crowd(&load.crowd, &options, &secure);
    load.timer = open_timer(&load.crowd);
    (void)printf("clients    %zu\n", options.clients);
    flush_output();
    measure(&load, (int64_t)options.milliseconds * NS_PER_MS, &server);
    (void)close(load.timer); /* nothing depends on it any more */
    crowd_close(&load.crowd);
    secure_close(&secure);
    if (load.errors > 0)
        return 1;
    return 0;
}
