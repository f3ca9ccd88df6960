/*
 * 25 solution: echo with an idle limit for each client, one good answer of
 * many.
 *
 * usage: 25-epoll-server -i SECONDS PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 16, EVENTS = 256, DESCRIPTORS = 1 << 16 };

/* At the index of its descriptor. Those that are connected are a ring, in the
 * order of their deadlines; number 0 is no client, but where the ring begins.
 */
struct client {
    char *owed; /* what send did not take, or NULL */
    unsigned count;
    int previous, next;
    struct deadline deadline;
};

struct server {
    int epoll, listener, milliseconds;
    char buffer[BUFFER_BYTES];
    struct client clients[DESCRIPTORS];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server -i SECONDS PORT\n", out);
    exit(status);
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

static void announce(int fd) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0 ||
        fflush(stdout) == EOF)
        err(1, "standard output");
}

static int watch(const struct server *server, int how, int fd, uint32_t what) {
    struct epoll_event event = {.events = what, .data.fd = fd};
    return epoll_ctl(server->epoll, how, fd, &event);
}

static void leave_ring(struct server *server, int fd) {
    struct client *client = &server->clients[fd];
    server->clients[client->previous].next = client->next;
    server->clients[client->next].previous = client->previous;
}

/* Its time begins anew: it is the last of those whose time will be up. */
static void join_ring(struct server *server, int fd) {
    struct client *client = &server->clients[fd];
    client->deadline = deadline_after(server->milliseconds);
    client->next = 0;
    client->previous = server->clients[0].previous;
    server->clients[client->previous].next = fd;
    server->clients[0].previous = fd;
}

static void drop(struct server *server, int fd) {
    leave_ring(server, fd);
    free(server->clients[fd].owed);
    server->clients[fd] = (struct client){0};
    (void)close(fd);
}

/* Who doesn't read is not read from, until it has taken what is left. */
static void keep(struct server *server, int fd, const char *end, size_t left) {
    struct client *client = &server->clients[fd];
    char *copy = left > 0 ? malloc(left) : NULL;
    if (copy != NULL)
        memcpy(copy, end - left, left);
    free(client->owed);
    client->owed = copy;
    client->count = (unsigned)left;
    if ((left > 0 && copy == NULL) ||
        watch(server, EPOLL_CTL_MOD, fd, left > 0 ? EPOLLOUT : EPOLLIN) < 0) {
        warn("%s", left > 0 && copy == NULL ? "malloc" : "epoll_ctl");
        drop(server, fd);
    }
}

static void serve(struct server *server, int fd) {
    char *bytes = server->clients[fd].owed;
    ssize_t count = server->clients[fd].count;
    if (bytes == NULL) {
        bytes = server->buffer;
        count = recv(fd, bytes, BUFFER_BYTES, 0);
    }
    ssize_t sent = count > 0 ? send(fd, bytes, (size_t)count, 0) : count;
    if (count == 0 || (sent < 0 && errno != EAGAIN && errno != EINTR)) {
        if (count != 0)
            warn("%s", count < 0 ? "recv" : "send");
        drop(server, fd);
        return;
    }
    if (count < 0)
        return;
    leave_ring(server, fd);
    join_ring(server, fd);
    if (sent != count || bytes != server->buffer)
        keep(server, fd, bytes + count,
             (size_t)(sent < 0 ? count : count - sent));
}

/* What failed may be over soon; asked again at once, it would keep the
 * processor busy. */
static void rest(const char *failed) {
    warn("%s", failed);
    (void)deadline_wait(deadline_after(10), -1, 0);
}

static void accept_all(struct server *server) {
    int fd;
    while ((fd = accept4(server->listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd < DESCRIPTORS &&
            watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) == 0) {
            join_ring(server, fd);
        } else {
            warn("epoll_ctl %d", fd);
            (void)close(fd);
        }
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        rest("accept");
}

/* First those who spoke, and if these were all, those who did not: so nobody is
 * let go whose event is still to come. */
static _Noreturn void run(struct server *server) {
    struct epoll_event events[EVENTS];
    const struct client *ring = &server->clients[0];
    for (;;) {
        int patience = -1;
        if (ring->next != 0)
            patience = deadline_left(server->clients[ring->next].deadline);
        int ready = epoll_wait(server->epoll, events, EVENTS, patience);
        if (ready < 0 && errno != EINTR)
            rest("epoll_wait");
        int knocks = 0;
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == server->listener)
                knocks = 1;
            else
                serve(server, events[i].data.fd);
        }
        while (ready >= 0 && ready < EVENTS && ring->next != 0 &&
               deadline_left(server->clients[ring->next].deadline) == 0)
            drop(server, ring->next);
        if (knocks)
            accept_all(server);
    }
}

int main(int argc, char **argv) {
    static struct server server;
    in_port_t port;
    struct rlimit files;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 4 || strcmp(argv[1], "-i") != 0)
        usage(stderr, 2);
    if (deadline_parse(argv[2], strlen(argv[2]), &server.milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", argv[2]);
    if (addr_parse_port(argv[3], strlen(argv[3]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[3]);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur =
            files.rlim_max < DESCRIPTORS ? files.rlim_max : DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        err(1, "epoll_create1");
    server.listener = listen_on(port);
    if (watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    announce(server.listener);
    run(&server);
}
