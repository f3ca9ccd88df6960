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

/* What an event is about. */
enum kind { SOCKET, TIMER };

struct client;

struct source {
    struct client *client;
    enum kind kind;
};

struct client {
    int fd;
    int timer;
    int is_closed;
    struct client *next_closed;
    /* epoll has a pointer to one of these two, so that each event tells its
     * client and what of the client is ready. */
    struct source socket_source;
    struct source timer_source;
    size_t length;
    char bytes[16384]; /* received, and not sent yet */
};

static int epoll;
static struct itimerspec limit;
/* The clients that are closed, but that may still be named by an event of this
 * batch. They are freed after it. */
static struct client *closed;

static void renew_time(struct client *client) {
    if (timerfd_settime(client->timer, 0, &limit, NULL) < 0)
        err(1, "timerfd_settime");
}

static int watch(int operation, int fd, uint32_t events,
                 struct source *source) {
    struct epoll_event event = {.events = events};
    event.data.ptr = source;
    return epoll_ctl(epoll, operation, fd, &event);
}

static void close_client(struct client *client) {
    client->is_closed = 1;
    close(client->fd);
    close(client->timer);
    client->next_closed = closed;
    closed = client;
}

static void free_closed(void) {
    while (closed != NULL) {
        struct client *client = closed;
        closed = client->next_closed;
        free(client);
    }
}

static void accept_client(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct client *client = malloc(sizeof *client);
    if (timer < 0 || client == NULL) {
        close(fd);
        if (timer >= 0)
            close(timer);
        free(client);
        return;
    }
    client->fd = fd;
    client->timer = timer;
    client->is_closed = 0;
    client->length = 0;
    client->socket_source = (struct source){client, SOCKET};
    client->timer_source = (struct source){client, TIMER};
    renew_time(client);
    if (watch(EPOLL_CTL_ADD, fd, EPOLLIN, &client->socket_source) < 0 ||
        watch(EPOLL_CTL_ADD, timer, EPOLLIN, &client->timer_source) < 0)
        close_client(client);
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Waits for room to send if there are unsent bytes, and else for input. */
static void update_events(struct client *client) {
    uint32_t events = EPOLLIN;
    if (client->length > 0)
        events = EPOLLOUT;
    if (watch(EPOLL_CTL_MOD, client->fd, events, &client->socket_source) < 0)
        close_client(client);
}

static void send_bytes(struct client *client) {
    ssize_t n = send(client->fd, client->bytes, client->length, MSG_NOSIGNAL);
    if (n < 0 && is_worth_another_try(errno))
        return;
    if (n < 0) {
        close_client(client);
        return;
    }
    client->length -= (size_t)n;
    memmove(client->bytes, client->bytes + n, client->length);
}

static void receive_and_reply(struct client *client) {
    ssize_t n = recv(client->fd, client->bytes, sizeof client->bytes, 0);
    if (n < 0 && is_worth_another_try(errno))
        return;
    if (n <= 0) { /* an error, or the end */
        close_client(client);
        return;
    }
    client->length = (size_t)n;
    renew_time(client);
    send_bytes(client);
    if (!client->is_closed && client->length > 0)
        update_events(client);
}

static void send_unsent(struct client *client) {
    send_bytes(client);
    if (!client->is_closed && client->length == 0)
        update_events(client);
}

/* If the client has sent something in this very moment, its timer runs again,
 * and there is nothing to read from it. */
static void handle_timer(struct client *client) {
    uint64_t times;
    if (read(client->timer, &times, sizeof times) == (ssize_t)sizeof times)
        close_client(client);
}

/* The event of the listener has no source. */
static void handle_event(int listener, struct source *source) {
    if (source == NULL) {
        accept_client(listener);
        return;
    }
    struct client *client = source->client;
    if (client->is_closed)
        return; /* by an earlier event of this batch */
    if (source->kind == TIMER)
        handle_timer(client);
    else if (client->length > 0)
        send_unsent(client);
    else
        receive_and_reply(client);
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
            handle_event(listener, events[i].data.ptr);
        free_closed();
    }
}
