/*
 * A right answer with a timerfd for each client: the kernel keeps the order of
 * their times, and a timer that has run out is one more event.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct client {
    int fd;
    int timer;
    int is_dead;
    struct client *next_dead;
    size_t length;
    char bytes[16384]; /* received, and not sent yet */
};

/* What an event is about. */
enum { SOCKET, TIMER };

struct source {
    struct client *client; /* NULL for the listener */
    int kind;
};

/* A client with its two sources: epoll has a pointer to one of them. */
struct entry {
    struct client client;
    struct source sources[2];
};

static int epoll;
static struct itimerspec limit;
static struct client *dead; /* freed when no event can name them any more */

static void restart(struct client *client) {
    if (timerfd_settime(client->timer, 0, &limit, NULL) < 0)
        err(1, "timerfd_settime");
}

static int watch(int operation, int fd, uint32_t events,
                 struct source *source) {
    struct epoll_event event = {.events = events};
    event.data.ptr = source;
    return epoll_ctl(epoll, operation, fd, &event);
}

static void bury(struct client *client) {
    if (client->is_dead)
        return;
    client->is_dead = 1;
    close(client->fd);
    close(client->timer);
    client->next_dead = dead;
    dead = client;
}

static void free_dead(void) {
    while (dead != NULL) {
        struct client *client = dead;
        dead = client->next_dead;
        free(client); /* it is the first member of its entry */
    }
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct entry *entry = malloc(sizeof *entry);
    if (timer < 0 || entry == NULL) {
        close(fd);
        if (timer >= 0)
            close(timer);
        free(entry);
        return;
    }
    struct client *client = &entry->client;
    client->fd = fd;
    client->timer = timer;
    client->is_dead = 0;
    client->length = 0;
    entry->sources[SOCKET] = (struct source){client, SOCKET};
    entry->sources[TIMER] = (struct source){client, TIMER};
    restart(client);
    if (watch(EPOLL_CTL_ADD, fd, EPOLLIN, &entry->sources[SOCKET]) < 0 ||
        watch(EPOLL_CTL_ADD, timer, EPOLLIN, &entry->sources[TIMER]) < 0)
        bury(client);
}

static int is_nothing(ssize_t n) {
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void serve(struct source *source) {
    struct client *client = source->client;
    int was_full = client->length > 0;
    if (!was_full) {
        ssize_t n = recv(client->fd, client->bytes, sizeof client->bytes, 0);
        if (is_nothing(n))
            return;
        if (n <= 0) {
            bury(client);
            return;
        }
        client->length = (size_t)n;
        restart(client);
    }
    ssize_t n = send(client->fd, client->bytes, client->length, MSG_NOSIGNAL);
    if (n < 0 && !is_nothing(n)) {
        bury(client);
        return;
    }
    if (n > 0) {
        client->length -= (size_t)n;
        memmove(client->bytes, client->bytes + n, client->length);
    }
    int is_full = client->length > 0;
    if (is_full != was_full && watch(EPOLL_CTL_MOD, client->fd,
                                     is_full ? EPOLLOUT : EPOLLIN, source) < 0)
        bury(client);
}

/* If the client has sent something in this very moment, its timer runs again,
 * and there is nothing to read from it. */
static void look_at_timer(struct client *client) {
    uint64_t times;
    if (read(client->timer, &times, sizeof times) == (ssize_t)sizeof times)
        bury(client);
}

static void take_event(int listener, struct source *source) {
    if (source == NULL)
        welcome(listener);
    else if (source->client->is_dead)
        return;
    else if (source->kind == SOCKET)
        serve(source);
    else
        look_at_timer(source->client);
}

static int listen_at(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof own;
    int on = 1;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (dprintf(1, "listening on 127.0.0.1:%u\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return fd;
}

int main(int argc, char **argv) {
    int milliseconds;
    unsigned long long port;
    struct rlimit files;
    if (argc != 4 || strcmp(argv[1], "-i") != 0) {
        fprintf(stderr, "usage: timerfd -i SECONDS PORT\n");
        exit(2);
    }
    if (deadline_parse(argv[2], strlen(argv[2]), &milliseconds) != 0)
        err(1, "%s", argv[2]);
    if (number_parse(argv[3], 0, 65535, &port) != 0)
        err(1, "%s", argv[3]);
    limit.it_value.tv_sec = milliseconds / 1000;
    limit.it_value.tv_nsec = (long)(milliseconds % 1000) * 1000000;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");
    int listener = listen_at((in_port_t)port);
    if (watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL) < 0)
        err(1, "epoll_ctl");
    for (;;) {
        struct epoll_event events[128];
        int count = epoll_wait(epoll, events, 128, -1);
        for (int i = 0; i < count; i++)
            take_event(listener, events[i].data.ptr);
        free_dead();
    }
}
