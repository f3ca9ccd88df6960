/*
 * many: many clients of one echo server, some of whom speak.
 *
 *     many [-i IDLE] [-c CLIENTS] [-n BYTES] [-r ROUNDS] [-s SEED] [-p PID]
 *          [-w] PORT
 *
 * IDLE clients connect and say nothing. After them CLIENTS connect, and in each
 * of ROUNDS each says BYTES that chance draws, all at the same time; what comes
 * back must be the same. Says `all is well`; or with -p, what a request cost
 * the server, PID, in nanoseconds of its processor's time. -w: then waits for
 * the end of standard input, while all stay connected, and says how many of the
 * silent ones have been closed meanwhile.
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
#include <unistd.h>

enum { PATIENCE_MS = 20000, LARGEST = 1 << 20, CLIENTS_AN_ADDRESS = 1000 };

struct speaker {
    size_t sent, received; /* of this round's bytes */
};

static int connect_to(in_port_t port, int number) {
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
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect %d", number);
    return fd;
}

/* Nanoseconds of a processor that a process has had. */
static unsigned long long time_of(long pid) {
    char path[64];
    unsigned long long time = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/schedstat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%llu", &time) != 1)
        err(1, "%s", path);
    (void)fclose(file);
    return time;
}

/* Sends and receives what is possible. Returns true when its round is over. */
static int go_on(int fd, struct speaker *speaker, const char *bytes,
                 size_t length) {
    static char heard[LARGEST];
    if (speaker->sent < length) {
        ssize_t sent = send(fd, bytes + speaker->sent, length - speaker->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            err(1, "send");
        speaker->sent += sent > 0 ? (size_t)sent : 0;
    }
    ssize_t count = recv(fd, heard, length - speaker->received, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN))
        err(1, "recv after %zu bytes: %zd", speaker->received, count);
    if (count > 0 &&
        memcmp(heard, bytes + speaker->received, (size_t)count) != 0)
        errx(1, "what came back is not what was said");
    speaker->received += count > 0 ? (size_t)count : 0;
    return speaker->received == length;
}

/* One round of all of them: each says its own part of the bytes. */
static void play_round(struct pollfd *fds, nfds_t clients, const char *bytes,
                       size_t length) {
    struct speaker *speakers = calloc(clients + 1, sizeof *speakers);
    nfds_t done = 0;
    if (speakers == NULL)
        err(1, "calloc");
    for (nfds_t i = 0; i < clients; i++)
        fds[i].revents = POLLOUT;
    for (;;) {
        for (nfds_t i = 0; i < clients; i++) {
            if (fds[i].revents == 0 || speakers[i].received == length)
                continue;
            done += (nfds_t)go_on(fds[i].fd, &speakers[i], bytes + i, length);
            fds[i].events =
                speakers[i].sent < length ? POLLIN | POLLOUT : POLLIN;
        }
        if (done == clients)
            break;
        if (poll(fds, clients, PATIENCE_MS) <= 0)
            errx(1, "%ju of %ju clients wait in vain",
                 (uintmax_t)(clients - done), (uintmax_t)clients);
    }
    free(speakers);
}

static int count_closed(const int *idle, int count) {
    int closed = 0;
    char byte;
    for (int i = 0; i < count; i++)
        closed += recv(idle[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 ||
                  errno == ECONNRESET;
    return closed;
}

int main(int argc, char **argv) {
    static char bytes[LARGEST + 65536];
    int idle = 0, clients = 0, rounds = 1, stays = 0;
    size_t length = 64;
    long pid = 0;
    for (int option; (option = getopt(argc, argv, "i:c:n:r:s:p:w")) != -1;) {
        long number = optarg != NULL ? strtol(optarg, NULL, 10) : 0;
        switch (option) {
        case 'i':
            idle = (int)number;
            break;
        case 'c':
            clients = (int)number;
            break;
        case 'n':
            length = (size_t)number;
            break;
        case 'r':
            rounds = (int)number;
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
    if (optind != argc - 1 || length > LARGEST || clients > 65536)
        errx(2, "usage: many [OPTION...] PORT");
    in_port_t port = (in_port_t)strtol(argv[optind], NULL, 10);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)lrand48();
    int *silent = calloc((size_t)idle + 1, sizeof *silent);
    struct pollfd *fds = calloc((size_t)clients + 1, sizeof *fds);
    if (silent == NULL || fds == NULL)
        err(1, "calloc");
    for (int i = 0; i < idle; i++)
        silent[i] = connect_to(port, i);
    for (int i = 0; i < clients; i++)
        fds[i] = (struct pollfd){.fd = connect_to(port, idle + i)};
    /* The first round is not counted: in it the server accepts. */
    play_round(fds, (nfds_t)clients, bytes, length);
    unsigned long long before = pid != 0 ? time_of(pid) : 0;
    for (int i = 1; i < rounds; i++)
        play_round(fds, (nfds_t)clients, bytes + i % 1000, length);
    if (pid != 0 && rounds > 1 && clients > 0)
        (void)printf("%llu\n", (time_of(pid) - before) /
                                   (unsigned long long)(rounds - 1) /
                                   (unsigned long long)clients);
    else
        (void)printf("all is well\n");
    (void)fflush(stdout);
    if (stays) {
        char byte;
        while (read(STDIN_FILENO, &byte, 1) > 0)
            continue;
        (void)printf("%d closed\n", count_closed(silent, idle));
    }
    return 0;
}
