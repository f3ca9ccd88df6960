/*
 * queue: a server with a queue. Its clock is only in its messages.
 *
 *     queue [OPTION...] serve
 *     queue [OPTION...] p99 RATE...
 *     queue [OPTION...] best LIMIT
 *
 * A client sends one line for each request: the time in microseconds at which
 * the request arrives, in order. For each line the server answers with the time
 * at which its reply is ready, and with `ok`, or with `busy` if it has refused
 * the request. No time really passes, except with -t. So the server gives the
 * same answers on every machine, and at once.
 *
 * The server handles one request after another. The options say how:
 *
 *     -s US           one request takes so long (1000)
 *     -x COUNT -o NUMBER -d US
 *                     of COUNT requests the one with this NUMBER (from 0) has
 *                     its reply US later
 *     -c US           in the first tenth of a second each reply comes so much
 *                     later: the server is cold
 *     -q COUNT        so many requests are in the server at once; if another
 *                     one arrives, it is refused
 *     -r RUNS         so many runs are served; later connections are closed at
 *                     once
 *     -m RUN          in the middle of this run the server stops to answer
 *     -e RUN          in the middle of this run the server closes
 *     -n RUN          in this run the last line comes without its newline
 *     -b RUN          in this run each reply comes before its request
 *     -a RUN          after this run the server sends one line more
 *     -w RUN          in this run the replies say `okay`
 *     -t MS           each run really takes so many milliseconds more
 *     -P PORT         listens there
 *
 * `serve` listens on 127.0.0.1 and prints `listening on 127.0.0.1:PORT`. Each
 * connection is one run. When it ends, we print its number, its first and last
 * time, and the number of requests: `run 1: 0 to 1099000, 1100 requests`.
 *
 * `p99` prints for each RATE what a load generator must measure in a run of 1.1
 * seconds: the p99, where a refused request counts as 1000000000. `best` prints
 * the highest rate whose p99 is at most LIMIT, or 0.
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
    LEAST_RATE = 100,
    MOST_RATE = 10000,
    LARGEST = 1 << 28, /* number on our command line, or from a client */
    MIDDLE = 20,       /* requests that -m and -e still answer */
    LINE_BYTES = 32,
    BUFFER_BYTES = 1 << 16,
    BACKLOG = 128,
};

/* The options. Times are in microseconds. */
struct model {
    long service;
    long pause; /* before each run, in milliseconds that really pass */
    long cold;
    long queue;
    long each;
    long offset;
    long extra;
    long runs;
    long mute_run;   /* 0: none */
    long ending_run; /* 0: none */
    long cut_run;    /* 0: none */
    long early_run;  /* 0: none */
    long long_run;   /* 0: none */
    long wordy_run;  /* 0: none */
    long port;
};

/* One run. The times at which the waiting requests are done are in a ring. */
struct run {
    const struct model *model;
    long number;
    long free_at; /* when the last request that we accepted is done */
    long served;
    long done[LONGEST_QUEUE];
    size_t first;
    size_t count;
    /* For the report: */
    long begin;
    long end;
    long requests;
};

/* One connection. */
struct talk {
    int fd;
    char line[LINE_BYTES]; /* the start of a line that is not complete yet */
    size_t length;
    char *out; /* the bytes from start to stop are not sent yet */
    size_t start;
    size_t stop;
    size_t cut; /* so many bytes before stop are never sent */
    size_t room;
};

/* What answer_line and receive_lines return. */
enum next { GO_ON, STOP_READING };

static _Noreturn void usage(void) {
    fputs("usage: queue [-s US] [-c US] [-q COUNT] [-x COUNT] [-o NUMBER]\n"
          "             [-d US] [-r RUNS] [-m RUN] [-e RUN] [-n RUN] [-b RUN]\n"
          "             [-a RUN] [-w RUN] [-t MS] [-P PORT]\n"
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

static void begin_run(struct run *run, const struct model *model,
                      long number_of_run) {
    memset(run, 0, sizeof *run);
    run->model = model;
    run->number = number_of_run;
}

/* Returns when the reply is ready. *busy says whether it is a refusal. */
static long handle_request(struct run *run, long due, bool *busy) {
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
    run->done[(run->first + run->count) % LONGEST_QUEUE] = run->free_at;
    run->count++;
    long reply = run->free_at;
    if (due < WARM_UP)
        reply += model->cold;
    if (run->served % model->each == model->offset)
        reply += model->extra;
    run->served++;
    return reply;
}

static int by_size(const void *a, const void *b) {
    const long *left = a;
    const long *right = b;
    if (*left < *right)
        return -1;
    if (*left > *right)
        return 1;
    return 0;
}

static long p99(const struct model *model, long rate) {
    static long latency[RUN];
    static struct run run;
    size_t count = 0;
    begin_run(&run, model, 1);
    for (long i = 0;; i++) {
        bool busy;
        long due = i * 1000000 / rate;
        if (due >= RUN)
            break;
        long reply = handle_request(&run, due, &busy);
        if (due < WARM_UP)
            continue;
        latency[count] = busy ? NEVER : reply - due;
        count++;
    }
    qsort(latency, count, sizeof latency[0], by_size);
    return latency[(count * 99 + 99) / 100 - 1];
}

/* The highest rate from LEAST_RATE to MOST_RATE whose p99 is at most the limit,
 * or 0. We can halve the range each time, because a higher rate never has a
 * lower p99, except by a microsecond or two. */
static long best(const struct model *model, long limit) {
    long good = LEAST_RATE;
    long bad = MOST_RATE + 1;
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

static void append_reply(struct talk *talk, long reply, const char *word) {
    if (talk->room - talk->stop < LINE_BYTES) {
        talk->room = 2 * talk->room + BUFFER_BYTES;
        talk->out = realloc(talk->out, talk->room);
        if (talk->out == NULL)
            err(1, "realloc");
    }
    int length =
        snprintf(talk->out + talk->stop, LINE_BYTES, "%ld %s\n", reply, word);
    talk->stop += (size_t)length;
}

/* Answers the complete line in talk->line. */
static enum next answer_line(struct run *run, struct talk *talk) {
    char *end;
    bool busy;
    long due = strtol(talk->line, &end, 10);
    if (*talk->line < '0' || *talk->line > '9' || *end != '\0' ||
        due > LARGEST || due < run->end) {
        (void)printf("run %ld: no time, or before the last: %s\n", run->number,
                     talk->line);
        return STOP_READING;
    }
    if (run->requests == 0)
        run->begin = due;
    run->requests++;
    run->end = due;
    long reply = handle_request(run, due, &busy);
    if (run->requests > MIDDLE && run->number == run->model->mute_run)
        return GO_ON;
    if (run->requests > MIDDLE && run->number == run->model->ending_run)
        return STOP_READING;
    if (due > 0 && run->number == run->model->early_run)
        reply = due - 1;
    const char *word = "ok";
    if (busy)
        word = "busy";
    else if (run->number == run->model->wordy_run)
        word = "okay";
    append_reply(talk, reply, word);
    return GO_ON;
}

static enum next receive_lines(struct run *run, struct talk *talk) {
    static char piece[BUFFER_BYTES];
    ssize_t got = recv(talk->fd, piece, sizeof piece, 0);
    if (got <= 0)
        return STOP_READING;
    for (ssize_t i = 0; i < got; i++) {
        int is_end = piece[i] == '\n';
        if (!is_end && talk->length < LINE_BYTES - 1) {
            talk->line[talk->length] = piece[i];
            talk->length++;
            continue;
        }
        talk->line[talk->length] = '\0';
        talk->length = 0;
        if (!is_end) /* the line is too long */
            return STOP_READING;
        if (answer_line(run, talk) == STOP_READING)
            return STOP_READING;
    }
    return GO_ON;
}

/* Returns how many bytes can be sent now. */
static size_t unsent_bytes(const struct talk *talk) {
    size_t bytes = talk->stop - talk->start;
    if (bytes <= talk->cut)
        return 0;
    return bytes - talk->cut;
}

/* Returns 0, or -1 if the client has gone. */
static int send_replies(struct talk *talk) {
    ssize_t sent = send(talk->fd, talk->out + talk->start, unsent_bytes(talk),
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        talk->start += (size_t)sent;
    else if (errno != EAGAIN)
        return -1;
    return 0;
}

/* Sends and receives at the same time, because a client may send all its
 * requests before it reads the first reply. */
static void exchange(struct run *run, struct talk *talk) {
    bool reads = true;
    while (reads || unsent_bytes(talk) > 0) {
        struct pollfd ready = {.fd = talk->fd};
        bool was_reading = reads;
        if (reads)
            ready.events |= POLLIN;
        if (unsent_bytes(talk) > 0)
            ready.events |= POLLOUT;
        if (poll(&ready, 1, -1) < 0)
            return;
        if (reads && (ready.revents & (POLLIN | POLLHUP | POLLERR)))
            reads = receive_lines(run, talk) == GO_ON;
        if (was_reading && !reads && run->number == run->model->long_run)
            append_reply(talk, run->free_at, "ok");
        if (unsent_bytes(talk) > 0 && send_replies(talk) < 0)
            return;
    }
}

static void serve_run(const struct model *model, int fd, long number_of_run) {
    static struct run run;
    struct talk talk = {.fd = fd};
    if (model->cut_run == number_of_run)
        talk.cut = 1;
    begin_run(&run, model, number_of_run);
    (void)poll(NULL, 0, (int)model->pause);
    exchange(&run, &talk);
    if (model->mute_run == number_of_run)
        (void)pause(); /* until a signal ends us */
    free(talk.out);
    (void)printf("run %ld: %ld to %ld, %ld requests\n", number_of_run,
                 run.begin, run.end, run.requests);
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    return listener;
}

static _Noreturn void serve(const struct model *model) {
    int listener = listen_on((in_port_t)model->port);
    for (long run = 1;; run++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        if (run <= model->runs)
            serve_run(model, fd, run);
        else
            (void)printf("run %ld: one too many\n", run);
        (void)close(fd);
    }
}

static void set_option(struct model *model, int option) {
    switch (option) {
    case 's':
        model->service = number(optarg);
        break;
    case 'c':
        model->cold = number(optarg);
        break;
    case 'q':
        model->queue = number(optarg);
        break;
    case 'x':
        model->each = number(optarg);
        break;
    case 'o':
        model->offset = number(optarg);
        break;
    case 'd':
        model->extra = number(optarg);
        break;
    case 'r':
        model->runs = number(optarg);
        break;
    case 'm':
        model->mute_run = number(optarg);
        break;
    case 'e':
        model->ending_run = number(optarg);
        break;
    case 'n':
        model->cut_run = number(optarg);
        break;
    case 'b':
        model->early_run = number(optarg);
        break;
    case 'a':
        model->long_run = number(optarg);
        break;
    case 'w':
        model->wordy_run = number(optarg);
        break;
    case 't':
        model->pause = number(optarg);
        break;
    case 'P':
        model->port = number(optarg);
        break;
    default:
        usage();
    }
}

int main(int argc, char **argv) {
    static struct model model = {
        .service = 1000, .each = 1, .queue = LONGEST_QUEUE, .runs = LARGEST};
    for (;;) {
        int option = getopt(argc, argv, "s:c:q:x:o:d:r:m:e:n:b:a:w:t:P:");
        if (option == -1)
            break;
        set_option(&model, option);
    }
    if (optind == argc)
        usage();
    const char *verb = argv[optind];
    if (strcmp(verb, "serve") == 0)
        serve(&model);
    for (int i = optind + 1; i < argc; i++) {
        if (strcmp(verb, "p99") == 0)
            (void)printf("%s %ld\n", argv[i], p99(&model, number(argv[i])));
        else if (strcmp(verb, "best") == 0)
            (void)printf("%ld\n", best(&model, number(argv[i])));
        else
            usage();
    }
    return 0;
}
