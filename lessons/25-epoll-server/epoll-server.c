/*
 * 25-epoll-server: send back what clients say, to ten thousand in one thread.
 *
 * Shows that cost can go by activity, not by number: epoll(7) has the list of
 * descriptors in the kernel, and tells only of those that are ready.
 *
 * usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT
 * Left out: a limit for who says nothing (the exercise); TLS (27).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 16, /* a client's turn: a smaller one costs time */
    AT_ONCE = 256,          /* events by an epoll_wait; clients by accept */
    DESCRIPTORS = 1 << 17,  /* so many: clients are 65535 at the most */
    PAUSE_MS = 20,          /* after an accept that failed; and of silence */
    STOP_MS = 1000,         /* before we end, or after this */
};

struct server {
    int epoll, listener, signals, spare; /* -1: given up, for want of others */
    int connected, owing, limit;         /* clients; those we owe; the most */
    int full, told;                      /* and we said so; to end */
    char buffer[BUFFER_BYTES];           /* one for all clients */
    char *owed[DESCRIPTORS];     /* by descriptor: what send left, or NULL */
    unsigned count[DESCRIPTORS]; /* of these bytes */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT\n", out);
    exit(status);
}

static in_port_t parse_number(const char *text, unsigned smallest) {
    unsigned long long number;
    if (number_parse(text, smallest, UINT16_MAX, &number) < 0)
        errx(1, "%s is not a number: %u to 65535", text, smallest);
    return (in_port_t)number;
}

static int watch(const struct server *server, int how, int fd, uint32_t what) {
    struct epoll_event event = {.events = what, .data.fd = fd};
    return epoll_ctl(server->epoll, how, fd, &event);
}

static void listen_on(struct server *server, in_port_t port, int backlog) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1; /* TCP_NODELAY: as in lesson 05 */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, backlog) < 0)
        err(1, "listen");
    if (getsockname(fd, address, &length) < 0)
        err(1, "getsockname");
    if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    server->listener = fd;
}

static void rest(const char *failed) {
    warn("%s", failed);
    (void)deadline_wait(deadline_after(PAUSE_MS), -1, 0);
}

/* Only in a client's own event: none of this turn's is still to come. */
static void drop(struct server *server, int fd, const char *failed) {
    if (failed != NULL)
        warn("%s", failed);
    server->connected--;
    server->owing -= server->owed[fd] != NULL;
    free(server->owed[fd]);
    server->owed[fd] = NULL;
    (void)close(fd); /* which takes it from epoll's list */
}

/* Keeps a copy of what is left, and asks for room instead of bytes: who doesn't
 * read is not read from. With nothing left it is the other way round. */
static void keep(struct server *server, int fd, const char *end, size_t left) {
    char *copy = left > 0 ? malloc(left) : NULL;
    if (copy != NULL)
        memcpy(copy, end - left, left);
    server->owing += (copy != NULL) - (server->owed[fd] != NULL);
    free(server->owed[fd]);
    server->owed[fd] = copy;
    server->count[fd] = (unsigned)left;
    if (left > 0 && copy == NULL)
        drop(server, fd, "malloc");
    else if (watch(server, EPOLL_CTL_MOD, fd, left > 0 ? EPOLLOUT : EPOLLIN))
        drop(server, fd, "epoll_ctl");
}

/* A turn: one recv at the most, and one send. If there is more to read, the
 * next epoll_wait says so again, and between the two the others have theirs. */
static void serve(struct server *server, int fd) {
    char *bytes = server->owed[fd];
    ssize_t count = server->count[fd];
    if (bytes == NULL)
        count = recv(fd, bytes = server->buffer, BUFFER_BYTES, 0);
    ssize_t sent = count > 0 ? send(fd, bytes, (size_t)count, 0) : count;
    if (sent > 0 && sent == count && bytes == server->buffer)
        return; /* nearly always */
    if (count == 0 || (sent < 0 && errno != EAGAIN && errno != EINTR))
        drop(server, fd, count == 0 ? NULL : count < 0 ? "recv" : "send");
    else if (count > 0)
        keep(server, fd, bytes + count,
             (size_t)(sent < 0 ? count : count - sent));
}

/* Who has no place is taken all the same, and closed: left waiting, it would
 * make the listener ready each turn, for ever. */
static void admit(struct server *server, int fd) {
    int full = server->connected++ == server->limit;
    if (full && !server->full) /* one line, and not one for each of them */
        if (printf("full with %d clients\n", server->limit) < 0)
            warn("standard output");
    server->full = full || server->spare < 0;
    if (server->full || watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
        drop(server, fd, server->full ? NULL : "epoll_ctl");
}

static void accept_some(struct server *server) {
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    for (int i = 0, fd = 0; i < AT_ONCE && fd >= 0; i++) {
        fd = accept4(server->listener, NULL, NULL, flags);
        if (fd >= 0) {
            admit(server, fd);
        } else if (server->spare >= 0 && (errno == EMFILE || errno == ENFILE)) {
            if (!server->full)
                warn("accept");
            server->full = 1;
            fd = server->spare; /* for those who come in this turn */
            server->spare = -1;
            (void)close(fd);
        } else if (errno != EAGAIN && errno != EINTR) {
            rest("accept");
        }
    }
    if (server->spare < 0)
        server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Returns 0 when there was nothing to do for so many milliseconds. */
static int turn(struct server *server, int patience) {
    struct epoll_event events[AT_ONCE];
    int ready = epoll_wait(server->epoll, events, AT_ONCE, patience);
    if (ready < 0 && errno != EINTR)
        rest("epoll_wait");
    for (int i = 0; i < ready; i++) {
        int fd = events[i].data.fd;
        if (fd == server->listener)
            accept_some(server);
        else if (fd == server->signals)
            server->told = 1;
        else
            serve(server, fd);
    }
    return ready != 0;
}

int main(int argc, char **argv) {
    static struct server server = {.limit = UINT16_MAX};
    int backlog = SOMAXCONN;
    struct rlimit files;
    sigset_t set;
    for (int option; (option = getopt(argc, argv, "+hb:m:")) != -1;) {
        if (option != 'b' && option != 'm')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        *(option == 'b' ? &backlog : &server.limit) = parse_number(optarg, 1);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, in a pipe too */
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* so that they end nobody */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* more descriptors has only root */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    server.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server.signals = signalfd(-1, &set, SFD_CLOEXEC);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.spare < 0)
        err(1, "open /dev/null");
    if (server.signals < 0)
        err(1, "signalfd");
    if (server.epoll < 0)
        err(1, "epoll_create1");
    if (watch(&server, EPOLL_CTL_ADD, server.signals, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    listen_on(&server, parse_number(argv[optind], 0), backlog);
    while (!server.told)
        (void)turn(&server, -1);
    (void)close(server.listener);
    (void)close(server.signals);
    struct deadline end = deadline_after(STOP_MS);
    while (deadline_left(end) > 0 && (turn(&server, PAUSE_MS) || server.owing))
        ;
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0; /* what is still open, the kernel closes */
}
