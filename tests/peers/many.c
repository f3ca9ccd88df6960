/*
 * many: many clients of one echo server. Some of them send, the rest are idle.
 *
 *     many [-c CLIENTS] [-n BYTES] [-r ROUNDS] [-d MS] [-b BUFFER] [-s SEED]
 *          [-i IDLE] [-k TIMES] [-p PID] [-t PID] [-g] [-w] PORT
 *
 * First CLIENTS connect, then IDLE more, which never send. There are ROUNDS
 * rounds, with a pause of MS milliseconds between two. In each round every one
 * of CLIENTS sends BYTES random bytes, all at the same time, and must receive
 * the same bytes. With -b the receive buffer of each client has BUFFER bytes,
 * and the clients do not read at first: they only send, until no client could
 * send any more for 30 ms. Then we print `nothing more fits`, and they read.
 *
 * When all rounds are over, we print `all is well`.
 *
 * With -k all this happens TIMES, each time with new connections: when a crowd
 * has had its rounds, it closes its connections, and the next crowd connects.
 *
 * With -p we print before that how much processor time process PID, the server,
 * used for one request, in nanoseconds. Then the IDLE clients connect first,
 * and the first round does not count: when it is over, the server has accepted
 * all.
 *
 * With -t we tell process PID, the server, to end (SIGTERM) after we have
 * printed `nothing more fits`, and before the clients read. With -g they do not
 * read until a byte has come from standard input, or its end.
 *
 * With -w we stay until the server has closed every connection, and print how
 * long that took: `silent 503 to 507 ms`, `spoke 500 to 500 ms`. The time of a
 * client begins with its last send, or just before its connect if it never
 * sent. If the server closes a connection during a round, we print `closed
 * after 120 ms` and exit with status 3.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000,
    LARGEST = 1 << 24, /* the most bytes of one client in one round */
    PERIOD = 65521,    /* the random bytes repeat after this many */
    PARTS = 1000,      /* the clients' parts begin at so many places */
    STUBBORN_MS = 30,
    CLIENTS_AN_ADDRESS = 1000,
    CLOSED_EARLY = 3, /* our exit status */
};

struct options {
    int clients; /* that send */
    int idle;    /* clients that do not */
    size_t length;
    int rounds;
    int crowds; /* that come, one after another */
    int pause_ms;
    int buffer;      /* 0: the kernel's default */
    long pid;        /* 0: measure no process */
    long pid_to_end; /* 0: tell no process to end */
    int waits_for_key;
    int waits_for_end;
    in_port_t port;
};

struct client {
    size_t sent;     /* bytes, in this round */
    size_t received; /* bytes, in this round */
    double last;     /* when it last sent, or connected */
    double closed;   /* how many milliseconds later; 0: not closed yet */
};

/* What a round needs to know. */
struct round {
    struct pollfd *fds;
    struct client *clients;
    int count;
    size_t length;
    int reads;       /* whether the clients read yet */
    long pid_to_end; /* 0: none */
    int waits_for_key;
};

static double now_ms(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Connects client NUMBER. Ports run out sooner than descriptors, so each
 * thousand clients use another address: 127.1.0.1, 127.1.0.2 and so on. */
static int connect_to(in_port_t port, int number, int buffer) {
    const int on = 1;
    unsigned address = 0x7F010001U + (unsigned)(number / CLIENTS_AN_ADDRESS);
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(address),
    };
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    /* Let connect choose the port: two addresses may then use the same one. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (buffer > 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect %d", number);
    return fd;
}

/* Returns how much processor time a process has used so far, all its threads
 * together. */
static unsigned long long processor_ns(long pid) {
    clockid_t clock;
    struct timespec used;
    int error = clock_getcpuclockid((pid_t)pid, &clock);
    if (error != 0)
        errx(1, "process %ld: %s", pid, strerror(error));
    if (clock_gettime(clock, &used) < 0)
        err(1, "process %ld", pid);
    return (unsigned long long)used.tv_sec * 1000000000 +
           (unsigned long long)used.tv_nsec;
}

/* Sends as much of its part of the round as the kernel takes. */
static void send_some(int fd, struct client *client, const char *bytes,
                      size_t length) {
    client->last = now_ms();
    ssize_t sent = send(fd, bytes + client->sent, length - client->sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        client->sent += (size_t)sent;
}

/* Receives what there is, and compares it with the bytes that were sent. */
static void receive_some(int fd, struct client *client, const char *bytes,
                         size_t length) {
    static char heard[1 << 20];
    size_t room = length - client->received;
    if (room > sizeof heard)
        room = sizeof heard;
    ssize_t count = recv(fd, heard, room, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        (void)printf("closed after %.0f ms\n", now_ms() - client->last);
        exit(CLOSED_EARLY);
    }
    if (memcmp(heard, bytes + client->received, (size_t)count) != 0)
        errx(1, "what came back is not what was said");
    client->received += (size_t)count;
}

/* Lets each client that is ready send, and receive if they read yet. Returns
 * how many clients have received their whole part only now. */
static int serve_ready(struct round *round, const char *bytes) {
    int completed = 0;
    for (int i = 0; i < round->count; i++) {
        struct client *client = &round->clients[i];
        struct pollfd *entry = &round->fds[i];
        const char *part = bytes + i % PARTS;
        if (entry->revents == 0 || client->received == round->length)
            continue;
        if (client->sent < round->length)
            send_some(entry->fd, client, part, round->length);
        entry->events = 0;
        if (round->reads) {
            receive_some(entry->fd, client, part, round->length);
            entry->events |= POLLIN;
            if (client->received == round->length)
                completed++;
        }
        if (client->sent < round->length)
            entry->events |= POLLOUT;
    }
    return completed;
}

/* No client can send any more. From now on they also read. */
static void begin_reading(struct round *round) {
    (void)printf("nothing more fits\n");
    (void)fflush(stdout);
    if (round->pid_to_end > 0 && kill((pid_t)round->pid_to_end, SIGTERM) < 0)
        err(1, "kill %ld", round->pid_to_end);
    if (round->waits_for_key)
        (void)getchar();
    round->reads = 1;
    for (int i = 0; i < round->count; i++)
        round->fds[i].revents = POLLIN;
}

/* Plays one round: each client sends its own part of the bytes. */
static void play_round(struct round *round, const char *bytes) {
    int done = 0;
    for (int i = 0; i < round->count; i++) {
        round->fds[i].revents = POLLOUT;
        round->clients[i].sent = 0;
        round->clients[i].received = 0;
    }
    for (;;) {
        done += serve_ready(round, bytes);
        if (done == round->count)
            return;
        int ready = poll(round->fds, (nfds_t)round->count,
                         round->reads ? PATIENCE_MS : STUBBORN_MS);
        if (ready <= 0 && round->reads)
            errx(1, "%d of %d clients wait in vain", round->count - done,
                 round->count);
        if (ready == 0)
            begin_reading(round);
    }
}

/* Prints the shortest and the longest time, if all are closed. */
static void report_closed(const char *group, const struct client *clients,
                          int count) {
    double least = 1e9;
    double most = 0;
    for (int i = 0; i < count; i++) {
        double closed = clients[i].closed;
        if (closed == 0)
            return;
        if (closed < least)
            least = closed;
        if (closed > most)
            most = closed;
    }
    if (count > 0)
        (void)printf("%s %.0f to %.0f ms\n", group, least, most);
}

/* Closes our end of each connection that the server has closed, and stores when
 * it did. Returns how many are still open. */
static int close_ended(struct pollfd *fds, struct client *clients, int count) {
    int open = 0;
    for (int i = 0; i < count; i++) {
        char byte;
        if (fds[i].fd < 0)
            continue;
        if (fds[i].revents != 0 &&
            recv(fds[i].fd, &byte, 1, MSG_DONTWAIT) <= 0) {
            clients[i].closed = now_ms() - clients[i].last;
            (void)close(fds[i].fd);
            fds[i].fd = -1;
        } else {
            open++;
        }
    }
    return open;
}

static void wait_until_closed(struct pollfd *fds, struct client *clients,
                              int count) {
    int open = count;
    for (int i = 0; i < count; i++)
        fds[i].events = POLLIN;
    while (open > 0) {
        if (poll(fds, (nfds_t)count, -1) < 0)
            err(1, "poll");
        open = close_ended(fds, clients, count);
    }
}

/* Waits for the whole pause, and looks meanwhile which connections end. */
static void pause_and_watch(struct pollfd *fds, struct client *clients,
                            int count, int milliseconds) {
    double end = now_ms() + milliseconds;
    for (int i = 0; i < count; i++)
        fds[i].events = POLLIN;
    for (;;) {
        double rest = end - now_ms();
        if (rest <= 0)
            return;
        if (poll(fds, (nfds_t)count, (int)rest + 1) < 0)
            err(1, "poll");
        (void)close_ended(fds, clients, count);
    }
}

static _Noreturn void usage(void) {
    errx(2, "usage: many [OPTION...] PORT");
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "i:c:k:n:r:d:b:s:p:t:gw");
        if (option == -1)
            break;
        long number = 0;
        if (optarg != NULL)
            number = strtol(optarg, NULL, 10);
        switch (option) {
        case 'i':
            options->idle = (int)number;
            break;
        case 'c':
            options->clients = (int)number;
            break;
        case 'k':
            options->crowds = (int)number;
            break;
        case 'n':
            options->length = (size_t)number;
            break;
        case 'r':
            options->rounds = (int)number;
            break;
        case 'd':
            options->pause_ms = (int)number;
            break;
        case 'b':
            options->buffer = (int)number;
            break;
        case 's':
            srand48(number);
            break;
        case 'p':
            options->pid = number;
            break;
        case 't':
            options->pid_to_end = number;
            break;
        case 'g':
            options->waits_for_key = 1;
            break;
        case 'w':
            options->waits_for_end = 1;
            break;
        default:
            exit(2); /* getopt has said what is wrong */
        }
    }
    if (optind != argc - 1 || options->length > LARGEST)
        usage();
    options->port = (in_port_t)strtol(argv[optind], NULL, 10);
}

/* Each client needs a descriptor, so we take as many as we may have. */
static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void fill_with_random(char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (i < PERIOD)
            bytes[i] = (char)(lrand48() & 0x7F);
        else
            bytes[i] = bytes[i - PERIOD];
    }
}

/* The silent ones stand first in fds and clients. */
static void play_rounds(const struct options *options, struct pollfd *fds,
                        struct client *clients, const char *bytes) {
    unsigned long long before = 0;
    for (int i = 0; i < options->rounds; i++) {
        struct round round = {
            .fds = fds + options->idle,
            .clients = clients + options->idle,
            .count = options->clients,
            .length = options->length,
            .reads = options->buffer <= 0,
            .pid_to_end = options->pid_to_end,
            .waits_for_key = options->waits_for_key,
        };
        if (i > 0)
            pause_and_watch(fds, clients, options->idle, options->pause_ms);
        if (i == 1 && options->pid != 0)
            before = processor_ns(options->pid);
        play_round(&round, bytes + i % PARTS);
    }
    if (options->pid != 0 && options->rounds > 1 && options->clients > 0) {
        unsigned long long used = processor_ns(options->pid) - before;
        used /= (unsigned long long)(options->rounds - 1);
        used /= (unsigned long long)options->clients;
        (void)printf("%llu\n", used);
    }
}

/* Connects COUNT clients of one crowd. NUMBER is the number of the first. */
static void connect_some(const struct options *options, int number, int count,
                         struct pollfd *fds, struct client *clients) {
    for (int i = 0; i < count; i++) {
        clients[i].last = now_ms();
        fds[i].fd = connect_to(options->port, number + i, options->buffer);
    }
}

static void connect_crowd(const struct options *options, int number,
                          struct pollfd *fds, struct client *clients) {
    int idle = options->idle;
    if (options->pid != 0)
        connect_some(options, number, idle, fds, clients);
    connect_some(options, number + idle, options->clients, fds + idle,
                 clients + idle);
    if (options->pid == 0)
        connect_some(options, number, idle, fds, clients);
}

static void close_crowd(const struct pollfd *fds, int count) {
    for (int i = 0; i < count; i++)
        (void)close(fds[i].fd);
}

int main(int argc, char **argv) {
    static char bytes[LARGEST + 2 * PARTS];
    struct options options = {.length = 64, .rounds = 1, .crowds = 1};
    parse_options(&options, argc, argv);
    raise_descriptor_limit();
    fill_with_random(bytes, options.length + 2 * (size_t)PARTS);

    int all = options.clients + options.idle;
    struct client *clients = calloc((size_t)all + 1, sizeof *clients);
    struct pollfd *fds = calloc((size_t)all + 1, sizeof *fds);
    if (clients == NULL || fds == NULL)
        err(1, "calloc");
    for (int i = 0; i < options.crowds; i++) {
        if (i > 0)
            close_crowd(fds, all);
        connect_crowd(&options, i * all, fds, clients);
        play_rounds(&options, fds, clients, bytes);
    }
    (void)printf("all is well\n");
    (void)fflush(stdout);
    if (options.waits_for_end)
        wait_until_closed(fds, clients, all);
    report_closed("spoke", clients + options.idle, options.clients);
    report_closed("silent", clients, options.idle);
    free(clients);
    free(fds);
    return 0;
}
