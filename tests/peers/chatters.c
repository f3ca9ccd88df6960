/*
 * chatters: a crowd in a chat, and how long each line takes to reach each of
 * them.
 *
 *     chatters [-c CLIENTS] [-k DEAF] [-n LINES] [-b BYTES] [-r RATE]
 *              [-t SECONDS] [-q] PORT
 *
 * DEAF clients (0) say their names, d0, d1 and so on, and never read. CLIENTS
 * (2), c0, c1 and so on, say LINES lines (10) between them, a line each in
 * turn, RATE a second, or without -r each when the one before it has reached
 * all others. A line has BYTES bytes (100), its newline included. Then they
 * leave, one after another, and each but the last is seen to leave by the last.
 *
 * Prints what arrived and, without -q, the time from send to each arrival, by a
 * clock that nobody sets. Status 1 when nothing that is owed has come for
 * SECONDS (2), or when a line is lost, altered or out of order, and then it
 * says what it waited for.
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
    DEAF_RECEIVE_BUFFER = 4096, /* what a deaf one has room for */
};

struct options {
    long clients, deaf, lines, bytes, rate, patience, quiet;
};

struct client {
    int fd;
    char *heard; /* a line that is not whole yet */
    size_t length;
    long *next; /* of each speaker, the number of the line that comes next */
};

struct crowd {
    struct options options;
    struct client clients[MOST_CLIENTS];
    long joined, left, gone; /* words of that, heard by all together */
    long sent, arrived;
    long long bytes;
    int64_t *sent_at; /* nanoseconds, of each line */
    float *took;      /* milliseconds, of each arrival */
    int64_t heard_at;
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

static void *room_for(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL)
        err(1, "memory");
    return memory;
}

/* Writes line number `which`, as its speaker sends it. */
static void write_line(const struct crowd *crowd, long which, char *line) {
    size_t length = (size_t)crowd->options.bytes;
    int head = snprintf(line, length, "%ld ", which);
    for (size_t i = (size_t)head; i < length - 1; i++)
        line[i] = (char)('a' + (i + (size_t)which) % 26);
    line[length - 1] = '\n';
}

/* With a deadline for send, so that a server that does not read is noticed. */
static int enter(const struct crowd *crowd, in_port_t port, char kind,
                 long which) {
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = crowd->options.patience};
    const int on = 1, little = DEAF_RECEIVE_BUFFER;
    char name[32];
    int length = snprintf(name, sizeof name, "%c%ld\n", kind, which);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (kind == 'd' &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) < 0)
        err(1, "setsockopt SO_RCVBUF");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        err(1, "setsockopt");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    if (send(fd, name, (size_t)length, MSG_NOSIGNAL) != length)
        err(1, "%c%ld cannot say its name", kind, which);
    return fd;
}

/* `cS: text`, without its newline, has come to client number who. */
static void arrive(struct crowd *crowd, long who, const char *line,
                   size_t length) {
    static char wanted[LONGEST_LINE];
    char *text;
    long speaker = strtol(line + 1, &text, 10);
    long *next = &crowd->clients[who].next[speaker];
    if (speaker < 0 || speaker >= crowd->options.clients || speaker == who)
        errx(1, "c%ld got a line of c%ld", who, speaker);
    write_line(crowd, *next, wanted);
    size_t head = (size_t)(text + 2 - line);
    if (*next >= crowd->sent ||
        length - head + 1 != (size_t)crowd->options.bytes ||
        memcmp(text + 2, wanted, length - head) != 0)
        errx(1, "c%ld should get line %ld of c%ld, and got: %.*s", who, *next,
             speaker, length > 60 ? 60 : (int)length, line);
    crowd->took[crowd->arrived++] =
        (float)((double)(now() - crowd->sent_at[*next]) / 1e6);
    crowd->bytes += (long long)length + 1;
    *next += crowd->options.clients;
}

static int ends_in(const char *line, size_t length, const char *word) {
    size_t size = strlen(word);
    return length >= size && memcmp(line + length - size, word, size) == 0;
}

static void understand(struct crowd *crowd, long who, const char *line,
                       size_t length) {
    const char *colon = memchr(line, ':', length);
    crowd->heard_at = now();
    if (line[0] == 'c' && colon != NULL && colon[1] == ' ')
        arrive(crowd, who, line, length);
    else if (line[0] == 'c' && ends_in(line, length, " joined"))
        crowd->joined++;
    else if (line[0] == 'c' && ends_in(line, length, " left"))
        crowd->left++;
    else if (line[0] == 'd' && ends_in(line, length, " left"))
        crowd->gone++;
    else if (line[0] != 'd' || !ends_in(line, length, " joined"))
        errx(1, "c%ld was told: %.*s", who, length > 60 ? 60 : (int)length,
             line);
}

static void listen_to(struct crowd *crowd, long who) {
    struct client *client = &crowd->clients[who];
    ssize_t got =
        recv(client->fd, client->heard + client->length,
             PIECE_BYTES + LONGEST_LINE - client->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got < 0)
        err(1, "c%ld: recv", who);
    if (got == 0)
        errx(1, "c%ld was let go", who);
    client->length += (size_t)got;
    char *line = client->heard, *end = line + client->length, *newline;
    while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        understand(crowd, who, line, (size_t)(newline - line));
        line = newline + 1;
    }
    client->length = (size_t)(end - line);
    memmove(client->heard, line, client->length);
}

/* Listens until then, or until something comes; ends us when all patience is
 * at an end, with lines owed to us. */
static void wait_until(struct crowd *crowd, int64_t then, int owed,
                       const char *what) {
    static struct pollfd polled[MOST_CLIENTS];
    nfds_t count = (nfds_t)crowd->options.clients;
    int64_t time = now();
    int64_t late = crowd->heard_at + crowd->options.patience * 1000000000;
    if (owed && time > late)
        errx(1,
             "frozen: waited %ld s in vain for %s; %ld lines were sent, "
             "%.1f MB arrived",
             crowd->options.patience, what, crowd->sent,
             (double)crowd->bytes / 1e6);
    if (owed && (then < 0 || late < then))
        then = late + 1000000;
    for (nfds_t i = 0; i < count; i++)
        polled[i] =
            (struct pollfd){.fd = crowd->clients[i].fd, .events = POLLIN};
    int64_t left = then > time ? then - time : 0;
    struct timespec wait = {.tv_sec = left / 1000000000,
                            .tv_nsec = left % 1000000000};
    if (ppoll(polled, count, &wait, NULL) < 0 && errno != EINTR)
        err(1, "poll");
    for (nfds_t i = 0; i < count; i++)
        if (polled[i].revents != 0)
            listen_to(crowd, (long)i);
}

static void talk(struct crowd *crowd) {
    const struct options *options = &crowd->options;
    long others = options->clients - 1;
    static char line[LONGEST_LINE];
    int64_t start = now();
    crowd->heard_at = start;
    while (crowd->sent < options->lines ||
           crowd->arrived < crowd->sent * others) {
        int owed = crowd->arrived < crowd->sent * others;
        int64_t due = -1;
        if (crowd->sent < options->lines && options->rate > 0)
            due = start + crowd->sent * 1000000000 / options->rate;
        if (crowd->sent < options->lines &&
            (options->rate > 0 ? now() >= due : !owed)) {
            long speaker = crowd->sent % options->clients;
            write_line(crowd, crowd->sent, line);
            if (!owed)
                crowd->heard_at = now();
            crowd->sent_at[crowd->sent++] = now();
            if (send(crowd->clients[speaker].fd, line, (size_t)options->bytes,
                     MSG_NOSIGNAL) != options->bytes)
                errx(1,
                     "frozen: c%ld cannot say line %ld: the server has not "
                     "read for %ld s; %.1f MB arrived",
                     speaker, crowd->sent - 1, options->patience,
                     (double)crowd->bytes / 1e6);
            due = now();
        }
        wait_until(crowd, due, owed, "lines to arrive");
    }
}

static int compare(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static void report(struct crowd *crowd) {
    const struct options *options = &crowd->options;
    size_t count = (size_t)crowd->arrived;
    printf("%ld clients chat, %ld never read, %s\n", options->clients,
           options->deaf, crowd->gone > 0 ? "and were let go" : "and stay");
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

int main(int argc, char **argv) {
    static struct crowd crowd;
    struct options *options = &crowd.options;
    *options = (struct options){
        .clients = 2, .lines = 10, .bytes = 100, .patience = 2};
    int option;
    while ((option = getopt(argc, argv, "+c:k:n:b:r:t:q")) != -1)
        set_option(options, option);
    if (argc - optind != 1 || options->clients < 2 ||
        options->clients > MOST_CLIENTS || options->bytes < 22 ||
        options->bytes > LONGEST_LINE)
        usage();
    long port = number(argv[optind]), clients = options->clients;
    if (port > 65535)
        usage();

    crowd.sent_at = room_for((size_t)options->lines, sizeof *crowd.sent_at);
    crowd.took =
        room_for((size_t)(options->lines * (clients - 1)), sizeof *crowd.took);
    for (long i = 0; i < options->deaf; i++)
        (void)enter(&crowd, (in_port_t)port, 'd', i);
    for (long i = 0; i < clients; i++) {
        struct client *client = &crowd.clients[i];
        client->fd = enter(&crowd, (in_port_t)port, 'c', i);
        client->heard = room_for(PIECE_BYTES + LONGEST_LINE, 1);
        client->next = room_for((size_t)clients, sizeof *client->next);
        for (long speaker = 0; speaker < clients; speaker++)
            client->next[speaker] = speaker;
    }
    /* Of any two, one has joined after the other, who was told of it. */
    crowd.heard_at = now();
    while (crowd.joined < clients * (clients - 1) / 2)
        wait_until(&crowd, -1, 1, "all to join");
    talk(&crowd);
    crowd.left = 0;
    for (long i = 0; i < clients - 1; i++) {
        (void)close(crowd.clients[i].fd);
        crowd.clients[i].fd = -1;
        long before = crowd.left;
        crowd.heard_at = now();
        while (crowd.left < before + clients - 1 - i)
            wait_until(&crowd, -1, 1, "all to hear that one left");
    }
    report(&crowd);
    return fflush(stdout) == EOF ? 1 : 0;
}
