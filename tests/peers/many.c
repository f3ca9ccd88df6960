/*
 * many: many clients of one echo server, some of whom speak.
 *
 *     many [-c CLIENTS] [-n BYTES] [-r ROUNDS] [-d MS] [-b BUFFER] [-s SEED]
 *          [-i IDLE] [-p PID] [-w] PORT
 *
 * CLIENTS connect, and then IDLE more, who say nothing. In each of ROUNDS, MS
 * milliseconds after the one before, each of CLIENTS says BYTES that chance
 * draws, all at the same time; what comes back must be the same. Each has
 * room for BUFFER bytes that it has not read, and with -b reads nothing before
 * it has waited in vain for 30 ms to be able to say more, and then says
 * `nothing more fits`.
 *
 * Says `all is well`; with -p before that what a request cost the server, which
 * is process PID, in nanoseconds of its processors' time, of the second round
 * and those after it. With -w it stays until the server has closed all
 * connections, or SIGTERM comes, and says how long that took from the last
 * byte, or from the moment before connect: `silent 503 to 507 ms`, `spoke 500
 * to 500 ms`. Who is closed earlier, in the middle of a round, says so too:
 * `closed after 120 ms`.
 *
 * Ports run out sooner than descriptors: each thousand clients come from
 * another address, 127.1.0.1 and so on.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000,
    LARGEST = 1 << 24,
    PERIOD = 65521,
    STUBBORN_MS = 30,
    CLIENTS_AN_ADDRESS = 1000
};

struct client {
    size_t sent, received; /* of this round's bytes */
    double last;           /* when it last said something */
    double closed;         /* how many milliseconds later; 0: not yet */
};

static double now_ms(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int connect_to(in_port_t port, int number, int buffer) {
    const int on = 1;
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr =
            htonl(0x7F010001U + (unsigned)(number / CLIENTS_AN_ADDRESS)),
    };
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) <
            0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
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

/* Nanoseconds of a processor that a process has had. */
static unsigned long long time_of(long pid) {
    char path[64];
    char text[128] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/schedstat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        err(1, "%s", path);
    (void)fclose(file);
    return strtoull(text, NULL, 10);
}

/* Sends and receives what is possible. Returns 1 when its round is over. */
static int go_on(int fd, struct client *client, const char *bytes,
                 size_t length, int reads) {
    static char heard[1 << 20];
    size_t room = length - client->received;
    if (client->sent < length) {
        client->last = now_ms();
        ssize_t sent = send(fd, bytes + client->sent, length - client->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        client->sent += sent > 0 ? (size_t)sent : 0;
    }
    if (!reads)
        return 0;
    ssize_t count = recv(fd, heard, room < sizeof heard ? room : sizeof heard,
                         MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN)) {
        (void)printf("closed after %.0f ms\n", now_ms() - client->last);
        exit(3);
    }
    if (count > 0 &&
        memcmp(heard, bytes + client->received, (size_t)count) != 0)
        errx(1, "what came back is not what was said");
    client->received += count > 0 ? (size_t)count : 0;
    return client->received == length;
}

/* One round of all of them: each says its own part of the bytes. */
static void play_round(struct pollfd *fds, struct client *clients, int count,
                       const char *bytes, size_t length, int stubborn) {
    int done = 0;
    for (int i = 0; i < count; i++) {
        fds[i].revents = POLLOUT;
        clients[i].sent = clients[i].received = 0;
    }
    for (;;) {
        for (int i = 0; i < count; i++) {
            if (fds[i].revents == 0 || clients[i].received == length)
                continue;
            done += go_on(fds[i].fd, &clients[i], bytes + i % 1000, length,
                          !stubborn);
            fds[i].events = (short)((stubborn ? 0 : POLLIN) |
                                    (clients[i].sent < length ? POLLOUT : 0));
        }
        if (done == count)
            return;
        int ready =
            poll(fds, (nfds_t)count, stubborn ? STUBBORN_MS : PATIENCE_MS);
        if (ready <= 0 && !stubborn)
            errx(1, "%d of %d clients wait in vain", count - done, count);
        if (ready == 0) { /* now all of them read, too */
            (void)printf("nothing more fits\n");
            (void)fflush(stdout);
            stubborn = 0;
            for (int i = 0; i < count; i++)
                fds[i].revents = POLLIN;
        }
    }
}

static void tell(const char *who, const struct client *clients, int count) {
    double least = 1e9, most = 0;
    for (int i = 0; i < count; i++) {
        if (clients[i].closed == 0)
            return;
        least = clients[i].closed < least ? clients[i].closed : least;
        most = clients[i].closed > most ? clients[i].closed : most;
    }
    if (count > 0)
        (void)printf("%s %.0f to %.0f ms\n", who, least, most);
}

/* Notes who is closed, for so many milliseconds (-1: until all have been). */
static void wait_for_end(struct pollfd *fds, struct client *clients, int count,
                         int milliseconds) {
    double end = now_ms() + milliseconds;
    for (int i = 0; i < count; i++)
        fds[i].events = POLLIN;
    for (int left = count; left > 0 || milliseconds >= 0;) {
        char byte;
        double rest = milliseconds < 0 ? -1 : end - now_ms();
        if (milliseconds >= 0 && rest <= 0)
            return;
        if (poll(fds, (nfds_t)count, milliseconds < 0 ? -1 : (int)rest + 1) < 0)
            err(1, "poll");
        left = 0;
        for (int i = 0; i < count; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0 &&
                recv(fds[i].fd, &byte, 1, MSG_DONTWAIT) <= 0) {
                clients[i].closed = now_ms() - clients[i].last;
                (void)close(fds[i].fd);
                fds[i].fd = -1;
            }
            left += fds[i].fd >= 0;
        }
    }
}

int main(int argc, char **argv) {
    static char bytes[LARGEST + 2000];
    int idle = 0, count = 0, rounds = 1, stays = 0, buffer = 0, pause_ms = 0;
    size_t length = 64;
    long pid = 0;
    for (int option;
         (option = getopt(argc, argv, "i:c:n:r:d:b:s:p:w")) != -1;) {
        long number = optarg != NULL ? strtol(optarg, NULL, 10) : 0;
        switch (option) {
        case 'i':
            idle = (int)number;
            break;
        case 'c':
            count = (int)number;
            break;
        case 'n':
            length = (size_t)number;
            break;
        case 'r':
            rounds = (int)number;
            break;
        case 'd':
            pause_ms = (int)number;
            break;
        case 'b':
            buffer = (int)number;
            break;
        case 's':
            srand48(number);
            break;
        case 'p':
            pid = number;
            break;
        case 'w':
            stays = 1;
            break;
        default:
            return 2;
        }
    }
    if (optind != argc - 1 || length > LARGEST)
        errx(2, "usage: many [OPTION...] PORT");
    in_port_t port = (in_port_t)strtol(argv[optind], NULL, 10);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < length + 2000; i++)
        bytes[i] =
            (char)(i < PERIOD ? lrand48() & 0x7F : (long)bytes[i - PERIOD]);
    int all = count + idle;
    struct client *clients = calloc((size_t)all + 1, sizeof *clients);
    struct pollfd *fds = calloc((size_t)all + 1, sizeof *fds);
    if (clients == NULL || fds == NULL)
        err(1, "calloc");
    for (int i = 0; i < all; i++) {
        clients[i].last = now_ms();
        fds[i] = (struct pollfd){.fd = connect_to(port, i, buffer)};
    }
    unsigned long long before = 0;
    for (int i = 0; i < rounds; i++) {
        if (i > 0)
            wait_for_end(fds + count, clients + count, idle, pause_ms);
        if (i == 1 && pid != 0)
            before = time_of(pid);
        play_round(fds, clients, count, bytes + i % 1000, length, buffer > 0);
    }
    if (pid != 0 && rounds > 1 && count > 0)
        (void)printf("%llu\n", (time_of(pid) - before) /
                                   (unsigned long long)(rounds - 1) /
                                   (unsigned long long)count);
    (void)printf("all is well\n");
    (void)fflush(stdout);
    if (stays)
        wait_for_end(fds, clients, all, -1);
    tell("spoke", clients, count);
    tell("silent", clients + count, idle);
    free(clients);
    free(fds);
    return 0;
}
