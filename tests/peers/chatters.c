/*
 * chatters: the clients of a chat. Measures how long each line takes to reach
 * each of them.
 *
 *     chatters [-c CLIENTS] [-k DEAF] [-n LINES] [-b BYTES] [-r RATE]
 *              [-t SECONDS] [-q] PORT
 *
 * First DEAF clients (default 0) connect. They send their names, d0, d1 and so
 * on, and never read. Then CLIENTS clients (2) connect as c0, c1 and so on.
 * They send LINES lines (10) in all, and take turns. A line has BYTES bytes
 * (100) with its newline. With -r they send RATE lines a second. Without -r
 * each line is sent when the one before it has reached all other clients. At
 * the end the clients leave one after another, and the others must all hear of
 * it before the next one leaves.
 *
 * Prints how many lines arrived and, without -q, the time from send to arrival
 * by the monotonic clock. Exits with status 1 if a line is lost, altered or out
 * of order, or if a line that has to come does not come for SECONDS (2). Then
 * the message says what we waited for.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_CLIENTS = 2000,
    LONGEST_LINE = 1 << 16,
    PIECE_BYTES = 1 << 16,
    SHORTEST_LINE = 22, /* its number, a blank and the newline fit */
    MESSAGE_BYTES = 60, /* this much of a wrong line is printed */
    DEAF_RECEIVE_BUFFER = 4096,
};

static const int64_t ns_per_second = 1000000000;
static const int64_t ns_per_ms = 1000000;

struct options {
    long clients;
    long deaf;
    long lines;
    long bytes;
    long rate; /* lines a second; 0: each as soon as the last one arrived */
    long patience;
    int quiet;
};

struct client {
    int fd;
    char *received; /* the start of a line that is not complete yet */
    size_t length;
    long *next; /* for each sender, the number of the line that comes next */
};

struct crowd {
    struct options options;
    struct client clients[MOST_CLIENTS];
    /* These count the announcements that all clients together received. */
    long joined;
    long left;
    long deaf_left;
    long sent;    /* lines */
    long arrived; /* lines; each counts once for each client it reached */
    long long bytes;
    int64_t *sent_at;    /* nanoseconds, of each line */
    float *took;         /* milliseconds, of each arrival */
    int64_t received_at; /* when a client last received a line */
};

static _Noreturn void usage(void) {
    fputs("usage: chatters [-c CLIENTS] [-k DEAF] [-n LINES] [-b BYTES] "
          "[-r RATE] [-t SECONDS] [-q] PORT\n",
          stderr);
    exit(2);
}

static long number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0)
        usage();
    return value;
}

static int64_t now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL)
        err(1, "memory");
    return memory;
}

/* Writes line number `which`. Sender and receiver both know what is in it. */
static void write_line(const struct crowd *crowd, long which, char *line) {
    size_t length = (size_t)crowd->options.bytes;
    int head = snprintf(line, length, "%ld ", which);
    for (size_t i = (size_t)head; i < length - 1; i++)
        line[i] = (char)('a' + (i + (size_t)which) % 26);
    line[length - 1] = '\n';
}

/* Connects a client and sends its name. Its send has a timeout, so that we
 * notice a server that does not read. */
static int join(const struct crowd *crowd, in_port_t port, char kind,
                long which) {
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = crowd->options.patience};
    const int on = 1;
    const int little = DEAF_RECEIVE_BUFFER;
    char name[32];
    int length = snprintf(name, sizeof name, "%c%ld\n", kind, which);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (kind == 'd' &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) < 0)
        err(1, "setsockopt SO_RCVBUF");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        err(1, "setsockopt");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    if (send(fd, name, (size_t)length, MSG_NOSIGNAL) != length)
        err(1, "%c%ld cannot say its name", kind, which);
    return fd;
}

static int shown_length(size_t length) {
    return length > MESSAGE_BYTES ? MESSAGE_BYTES : (int)length;
}

/* Checks a line `cN: text`, without its newline, that client number who has
 * received, and measures how long it took. */
static void take_chat_line(struct crowd *crowd, long who, const char *line,
                           size_t length) {
    static char wanted[LONGEST_LINE];
    char *colon;
    long sender = strtol(line + 1, &colon, 10);
    if (sender < 0 || sender >= crowd->options.clients || sender == who)
        errx(1, "c%ld got a line of c%ld", who, sender);
    long *next = &crowd->clients[who].next[sender];
    write_line(crowd, *next, wanted);
    const char *text = colon + 2;
    size_t text_length = length - (size_t)(text - line);
    if (*next >= crowd->sent ||
        text_length + 1 != (size_t)crowd->options.bytes ||
        memcmp(text, wanted, text_length) != 0)
        errx(1, "c%ld should get line %ld of c%ld, and got: %.*s", who, *next,
             sender, shown_length(length), line);
    double took_ns = (double)(now() - crowd->sent_at[*next]);
    crowd->took[crowd->arrived] = (float)(took_ns / 1e6);
    crowd->arrived++;
    crowd->bytes += (long long)length + 1;
    *next += crowd->options.clients;
}

static int ends_with(const char *line, size_t length, const char *word) {
    size_t size = strlen(word);
    return length >= size && memcmp(line + length - size, word, size) == 0;
}

/* Counts an announcement, or takes a line of the chat. */
static void take_line(struct crowd *crowd, long who, const char *line,
                      size_t length) {
    const char *colon = memchr(line, ':', length);
    crowd->received_at = now();
    if (line[0] == 'c' && colon != NULL && colon[1] == ' ')
        take_chat_line(crowd, who, line, length);
    else if (line[0] == 'c' && ends_with(line, length, " joined"))
        crowd->joined++;
    else if (line[0] == 'c' && ends_with(line, length, " left"))
        crowd->left++;
    else if (line[0] == 'd' && ends_with(line, length, " left"))
        crowd->deaf_left++;
    else if (line[0] != 'd' || !ends_with(line, length, " joined"))
        errx(1, "c%ld was told: %.*s", who, shown_length(length), line);
}

/* Receives what has come for one client, and takes each complete line. */
static void receive_lines(struct crowd *crowd, long who) {
    struct client *client = &crowd->clients[who];
    ssize_t got =
        recv(client->fd, client->received + client->length,
             PIECE_BYTES + LONGEST_LINE - client->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got < 0)
        err(1, "c%ld: recv", who);
    if (got == 0)
        errx(1, "c%ld was let go", who);
    client->length += (size_t)got;
    char *line = client->received;
    char *end = line + client->length;
    for (;;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        if (newline == NULL)
            break;
        take_line(crowd, who, line, (size_t)(newline - line));
        line = newline + 1;
    }
    client->length = (size_t)(end - line);
    memmove(client->received, line, client->length);
}

/* Waits until the time `then` (-1: no such time), or until a line comes, and
 * receives it. If a line has to come, `owed` is 1, and we give up when none has
 * come for as long as our patience. */
static void wait_until(struct crowd *crowd, int64_t then, int owed,
                       const char *what) {
    static struct pollfd polled[MOST_CLIENTS];
    nfds_t count = (nfds_t)crowd->options.clients;
    int64_t time = now();
    int64_t late = crowd->received_at + crowd->options.patience * ns_per_second;
    if (owed && time > late)
        errx(1,
             "frozen: waited %ld s in vain for %s; %ld lines were sent, "
             "%.1f MB arrived",
             crowd->options.patience, what, crowd->sent,
             (double)crowd->bytes / 1e6);
    if (owed && (then < 0 || late < then))
        then = late + ns_per_ms;
    for (nfds_t i = 0; i < count; i++) {
        polled[i].fd = crowd->clients[i].fd;
        polled[i].events = POLLIN;
    }
    int64_t left = 0;
    if (then > time)
        left = then - time;
    struct timespec wait = {.tv_sec = left / ns_per_second,
                            .tv_nsec = left % ns_per_second};
    if (ppoll(polled, count, &wait, NULL) < 0) {
        if (errno == EINTR)
            return;
        err(1, "poll");
    }
    for (nfds_t i = 0; i < count; i++)
        if (polled[i].revents != 0)
            receive_lines(crowd, (long)i);
}

/* The client whose turn it is sends the next line. */
static void send_next_line(struct crowd *crowd) {
    static char line[LONGEST_LINE];
    const struct options *options = &crowd->options;
    long which = crowd->sent;
    long sender = which % options->clients;
    write_line(crowd, which, line);
    crowd->sent_at[which] = now();
    crowd->sent++;
    ssize_t sent = send(crowd->clients[sender].fd, line, (size_t)options->bytes,
                        MSG_NOSIGNAL);
    if (sent != options->bytes)
        errx(1,
             "frozen: c%ld cannot say line %ld: the server has not "
             "read for %ld s; %.1f MB arrived",
             sender, which, options->patience, (double)crowd->bytes / 1e6);
}

/* Sends all lines, and waits until each has reached all other clients. */
static void chat(struct crowd *crowd) {
    const struct options *options = &crowd->options;
    long others = options->clients - 1;
    int64_t start = now();
    crowd->received_at = start;
    for (;;) {
        int all_sent = crowd->sent == options->lines;
        int owed = crowd->arrived < crowd->sent * others;
        if (all_sent && !owed)
            return;
        int64_t due = -1;
        int is_due = !owed;
        if (options->rate > 0) {
            due = start + crowd->sent * ns_per_second / options->rate;
            is_due = now() >= due;
        }
        if (all_sent) {
            due = -1;
        } else if (is_due) {
            if (!owed)
                crowd->received_at = now();
            send_next_line(crowd);
            due = now(); /* the next line may be due already: do not wait */
        }
        wait_until(crowd, due, owed, "lines to arrive");
    }
}

static int compare(const void *one, const void *other) {
    float a = *(const float *)one;
    float b = *(const float *)other;
    if (a < b)
        return -1;
    if (a > b)
        return 1;
    return 0;
}

static void report(struct crowd *crowd) {
    const struct options *options = &crowd->options;
    size_t count = (size_t)crowd->arrived;
    printf("%ld clients chat, %ld never read, %s\n", options->clients,
           options->deaf,
           crowd->deaf_left > 0 ? "and were let go" : "and stay");
    printf("%ld lines sent, %ld arrived, all in order: %.1f MB\n", crowd->sent,
           crowd->arrived, (double)crowd->bytes / 1e6);
    if (options->quiet || count == 0)
        return;
    qsort(crowd->took, count, sizeof *crowd->took, compare);
    printf("from send to arrival: p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
           (double)crowd->took[(count - 1) / 2],
           (double)crowd->took[(count - 1) * 99 / 100],
           (double)crowd->took[count - 1]);
}

static void set_option(struct options *options, int option) {
    switch (option) {
    case 'c':
        options->clients = number(optarg);
        break;
    case 'k':
        options->deaf = number(optarg);
        break;
    case 'n':
        options->lines = number(optarg);
        break;
    case 'b':
        options->bytes = number(optarg);
        break;
    case 'r':
        options->rate = number(optarg);
        break;
    case 't':
        options->patience = number(optarg);
        break;
    case 'q':
        options->quiet = 1;
        break;
    default:
        usage();
    }
}

static void let_all_join(struct crowd *crowd, in_port_t port) {
    long clients = crowd->options.clients;
    for (long i = 0; i < crowd->options.deaf; i++)
        (void)join(crowd, port, 'd', i);
    for (long i = 0; i < clients; i++) {
        struct client *client = &crowd->clients[i];
        client->fd = join(crowd, port, 'c', i);
        client->received = allocate(PIECE_BYTES + LONGEST_LINE, 1);
        client->next = allocate((size_t)clients, sizeof *client->next);
        for (long sender = 0; sender < clients; sender++)
            client->next[sender] = sender;
    }
    /* Of any two clients one was there first, and is told of the other. So the
     * number of announcements is the number of pairs. */
    crowd->received_at = now();
    while (crowd->joined < clients * (clients - 1) / 2)
        wait_until(crowd, -1, 1, "all to join");
}

/* All leave but the last, which is there to hear of the others. */
static void let_all_leave(struct crowd *crowd) {
    long rest = crowd->options.clients - 1;
    for (long i = 0; rest > 0; i++) {
        (void)close(crowd->clients[i].fd);
        crowd->clients[i].fd = -1; /* poll ignores it */
        crowd->left = 0;
        crowd->received_at = now();
        while (crowd->left < rest)
            wait_until(crowd, -1, 1, "all to hear that one left");
        rest--;
    }
}

int main(int argc, char **argv) {
    static struct crowd crowd = {
        .options = {.clients = 2, .lines = 10, .bytes = 100, .patience = 2}};
    struct options *options = &crowd.options;
    for (;;) {
        int option = getopt(argc, argv, "+c:k:n:b:r:t:q");
        if (option == -1)
            break;
        set_option(options, option);
    }
    if (argc - optind != 1 || options->clients < 2 ||
        options->clients > MOST_CLIENTS || options->bytes < SHORTEST_LINE ||
        options->bytes > LONGEST_LINE)
        usage();
    long port = number(argv[optind]);
    if (port > 65535)
        usage();

    long arrivals = options->lines * (options->clients - 1);
    crowd.sent_at = allocate((size_t)options->lines, sizeof *crowd.sent_at);
    crowd.took = allocate((size_t)arrivals, sizeof *crowd.took);
    let_all_join(&crowd, (in_port_t)port);
    chat(&crowd);
    let_all_leave(&crowd);
    report(&crowd);
    return fflush(stdout) == EOF ? 1 : 0;
}
