/*
 * waiters: several clients that connect to one server and wait for a line.
 *
 *     waiters [-q] COUNT PORT
 *
 * COUNT clients connect to 127.0.0.1, one after another. If a client is not
 * connected after 300 ms, we leave it as it is, and begin the next one. Then we
 * wait for one line to each of them. We print what happens to each client, or
 * with -q only the sums:
 *
 *     client 1: connected
 *     client 2: no answer to its SYN
 *     1 of 2 clients are connected
 *     2 of 2 clients wait for a line
 *     client 1: you are 127.0.0.1:40112
 *     client 2: connected after 1.0 seconds
 *     client 2: you are 127.0.0.1:40114
 *     2 of 2 clients got a line
 *
 * The sum of those that wait comes when nothing has happened for 300 ms. We end
 * when no client waits any more.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { QUIET_MS = 300, MOST = 1000, LINE_BYTES = 128 };

/* One place for each client; the descriptor is -1 when it waits no more. */
static struct pollfd polled[MOST];
static double begun[MOST];
static int got_line; /* how many clients have */
static int is_quiet;

static _Noreturn void usage(void) {
    fputs("usage: waiters [-q] COUNT PORT\n", stderr);
    exit(2);
}

static int parse_number(const char *text, long most) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        number < 1 || number > most)
        usage();
    return (int)number;
}

static double now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) < 0)
        err(1, "clock_gettime");
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((format(printf, 2, 3))) static void
report(int client, const char *format, ...) {
    va_list arguments;
    if (is_quiet)
        return;
    printf("client %d: ", client + 1);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* Returns 1 if the client is connected, 0 if it is still connecting, and -1 if
 * that has failed. */
static int is_connected(int fd) {
    int error;
    socklen_t length = sizeof error;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 0)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        err(1, "getsockopt");
    errno = error;
    return error == 0 ? 1 : -1;
}

static void give_up(int client, const char *call) {
    report(client, "%s: %s", call, strerror(errno));
    (void)close(polled[client].fd);
    polled[client].fd = -1;
}

/* From now on we wait for the client's line. */
static void wait_for_line(int client) {
    polled[client].events = POLLIN;
}

/* Returns whether the client is connected. */
static int begin_client(int client, in_port_t port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    polled[client].fd = fd;
    polled[client].events = POLLOUT;
    begun[client] = now();
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 &&
        errno != EINPROGRESS) {
        give_up(client, "connect");
        return 0;
    }
    (void)poll(&polled[client], 1, QUIET_MS);
    int connected = is_connected(fd);
    if (connected < 0) {
        give_up(client, "connect");
        return 0;
    }
    if (connected == 0) {
        report(client, "no answer to its SYN");
        return 0;
    }
    report(client, "connected");
    wait_for_line(client);
    return 1;
}

static void finish_connecting(int client) {
    if (is_connected(polled[client].fd) < 0) {
        give_up(client, "connect");
        return;
    }
    report(client, "connected after %.1f seconds", now() - begun[client]);
    wait_for_line(client);
}

/* A line on the loopback comes in one piece: our servers send it by one call.
 */
static void read_line(int client) {
    char line[LINE_BYTES];
    ssize_t got = recv(polled[client].fd, line, sizeof line - 1, 0);
    if (got < 0) {
        give_up(client, "recv");
        return;
    }
    line[got] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (got > 0)
        got_line++;
    report(client, "%s", got > 0 ? line : "closed without a line");
    (void)close(polled[client].fd);
    polled[client].fd = -1;
}

static int count_waiting(int count) {
    int waiting = 0;
    for (int i = 0; i < count; i++) {
        if (polled[i].fd >= 0)
            waiting++;
    }
    return waiting;
}

/* Waits until no client waits. */
static void wait_for_all(int count) {
    int patience = QUIET_MS; /* -1 while we have said how many wait */
    while (count_waiting(count) > 0) {
        int ready = poll(polled, (nfds_t)count, patience);
        if (ready < 0)
            err(1, "poll");
        if (ready == 0) {
            printf("%d of %d clients wait for a line\n", count_waiting(count),
                   count);
            patience = -1;
            continue;
        }
        patience = QUIET_MS;
        for (int i = 0; i < count; i++) {
            if (polled[i].fd < 0 || polled[i].revents == 0)
                continue;
            if (polled[i].events == POLLOUT)
                finish_connecting(i);
            else
                read_line(i);
        }
    }
    printf("%d of %d clients got a line\n", got_line, count);
}

int main(int argc, char **argv) {
    int first = 1;
    if (argc > 1 && strcmp(argv[1], "-q") == 0) {
        is_quiet = 1;
        first++;
    }
    if (argc - first != 2)
        usage();
    int count = parse_number(argv[first], MOST);
    in_port_t port = (in_port_t)parse_number(argv[first + 1], 65535);

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    int connected = 0;
    for (int i = 0; i < count; i++)
        connected += begin_client(i, port);
    printf("%d of %d clients are connected\n", connected, count);
    wait_for_all(count);
    return 0;
}
