/*
 * 25-epoll-server: send back what clients say, ten thousand at once, in one
 * thread.
 *
 * Shows that cost can go by activity, not by number: epoll(7) has the list of
 * descriptors in the kernel, and tells only of those that are ready.
 *
 * usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT
 * Left out: a limit for who says nothing (the exercise); TLS (27).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 16, /* a client's turn; a smaller one costs time */
    EVENTS = 512,           /* told by one epoll_wait */
    ACCEPTS = 64,           /* the listener's turn */
    MOST_DESCRIPTORS = 1 << 16,
    PAUSE_MS = 100, /* until we ask again, after an accept that failed */
    STOP_MS = 1000, /* the most that we stay when told to end */
    QUIET_MS = 20,  /* and how long nobody must have said anything by then */
};

/* All that we keep of a client, at the index of its descriptor. */
struct client {
    char *owed;     /* what send did not take, or NULL */
    unsigned count; /* bytes of that */
};

struct server {
    int epoll, listener, signals;
    int spare; /* a descriptor to give up when there is no other, or -1 */
    unsigned connected, owing, limit; /* clients, those owed to, at most */
    bool full, resting, told;         /* said so; accept fails; to end */
    char buffer[BUFFER_BYTES];        /* one for all of them */
    struct client clients[MOST_DESCRIPTORS]; /* no memory until it is used */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT\n", out);
    exit(status);
}

/* None of our numbers needs to be larger than a port may be. */
static in_port_t parse_number(const char *text, unsigned smallest) {
    in_port_t number;
    if (addr_parse_port(text, strlen(text), smallest, &number) < 0)
        errx(1, "%s is not a number: %u to 65535", text, smallest);
    return number;
}

/* Blocked, these signals end nobody: they make a descriptor readable. */
static int open_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int listen_on(in_port_t port, int backlog) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1; /* TCP_NODELAY: as in lesson 05 */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        bind(fd, address, length) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, address, &length) < 0)
        err(1, "listen 127.0.0.1:%d", port);
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return fd;
}

/* how: EPOLL_CTL_ADD or EPOLL_CTL_MOD. Returns 0, or -1 and errno. */
static int watch(const struct server *server, int how, int fd, uint32_t what) {
    struct epoll_event event = {.events = what, .data.fd = fd};
    return epoll_ctl(server->epoll, how, fd, &event);
}

/* Only in a client's own event: none of this turn's is still to come. */
static void drop(struct server *server, int fd, const char *failed) {
    struct client *client = &server->clients[fd];
    if (failed != NULL)
        warn("%s", failed);
    server->connected--;
    server->owing -= client->owed != NULL;
    free(client->owed);
    *client = (struct client){0};
    (void)close(fd); /* which takes it from epoll's list */
}

/* Keeps a copy of what is left, and asks for room instead of bytes: who doesn't
 * read is not read from. With nothing left it is the other way round. */
static void keep(struct server *server, int fd, const char *rest, size_t left) {
    struct client *client = &server->clients[fd];
    char *copy = left > 0 ? malloc(left) : NULL;
    if (copy != NULL)
        memcpy(copy, rest, left);
    server->owing += (unsigned)(copy != NULL) - (client->owed != NULL);
    free(client->owed);
    *client = (struct client){copy, (unsigned)left};
    if (left > 0 && copy == NULL)
        drop(server, fd, "malloc");
    else if (watch(server, EPOLL_CTL_MOD, fd, left > 0 ? EPOLLOUT : EPOLLIN))
        drop(server, fd, "epoll_ctl");
}

/* A turn: one recv at the most, and one send. If there is more to read, the
 * next epoll_wait says so again, and between the two the others have theirs. */
static void serve(struct server *server, int fd) {
    struct client client = server->clients[fd];
    char *bytes = client.owed != NULL ? client.owed : server->buffer;
    ssize_t count =
        client.owed != NULL ? client.count : recv(fd, bytes, BUFFER_BYTES, 0);
    ssize_t sent = count > 0 ? send(fd, bytes, (size_t)count, 0) : count;
    if (sent > 0 && sent == count && client.owed == NULL)
        return; /* nearly always */
    bool later = sent < 0 && (errno == EAGAIN || errno == EINTR);
    if (count == 0 || (sent < 0 && !later))
        drop(server, fd, count == 0 ? NULL : count < 0 ? "recv" : "send");
    else if (count > 0)
        keep(server, fd, bytes + (later ? 0 : sent),
             (size_t)(count - (later ? 0 : sent)));
}

/* Who has no place is taken all the same, and closed. Those left waiting would
 * make the listener ready each turn, for ever. */
static void admit(struct server *server, int fd) {
    bool allowed = server->connected < server->limit && fd < MOST_DESCRIPTORS;
    if (!allowed || server->spare < 0) {
        (void)close(fd);
        if (!server->full) /* a line, and not one for each of them */
            (void)printf("full with %u clients, %s: more are closed at once\n",
                         server->connected,
                         allowed ? "no descriptor is left" : "as -m allows");
        server->full = true;
    } else if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0) {
        warn("epoll_ctl");
        (void)close(fd);
    } else {
        server->connected++;
        server->full = false;
    }
}

static void accept_some(struct server *server) {
    int fd = 0;
    for (int i = 0; i < ACCEPTS && fd >= 0; i++) {
        fd =
            accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(server, fd);
        } else if (server->spare >= 0 && (errno == EMFILE || errno == ENFILE)) {
            fd = server->spare; /* for those who come in this turn */
            server->spare = -1;
            (void)close(fd);
        }
    }
    bool fails = fd < 0 && errno != EAGAIN && errno != EINTR;
    if (fails && !server->resting)
        warn("accept");
    /* It may fail for a while; meanwhile nobody tells us that somebody waits.
     */
    if (fails != server->resting &&
        !watch(server, EPOLL_CTL_MOD, server->listener, fails ? 0 : EPOLLIN))
        server->resting = fails;
    if (server->spare < 0)
        server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Returns false when there was nothing to do for so many milliseconds. */
static bool turn(struct server *server, int patience) {
    struct epoll_event events[EVENTS];
    bool knocks = server->resting;
    int ready = epoll_wait(server->epoll, events, EVENTS, patience);
    if (ready < 0 && errno != EINTR)
        err(1, "epoll_wait");
    for (int i = 0; i < ready; i++) {
        int fd = events[i].data.fd;
        if (fd == server->listener)
            knocks = true; /* last: no new client gets the number of an old */
        else if (fd == server->signals)
            server->told = true;
        else
            serve(server, fd);
    }
    if (knocks)
        accept_some(server);
    return ready != 0;
}

int main(int argc, char **argv) {
    static struct server server = {.limit = MOST_DESCRIPTORS};
    int backlog = SOMAXCONN;
    struct rlimit files;
    for (int option; (option = getopt(argc, argv, "+hb:m:")) != -1;) {
        if (option == 'b')
            backlog = parse_number(optarg, 1);
        else if (option == 'm')
            server.limit = parse_number(optarg, 1);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    in_port_t port = parse_number(argv[optind], 0);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, in a pipe too */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0 || fcntl(STDERR_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        err(1, "getrlimit");
    files.rlim_cur = files.rlim_max; /* all that we get without being root */
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        err(1, "setrlimit");
    if ((server.spare = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
        err(1, "open /dev/null");
    if ((server.signals = open_signals()) < 0)
        err(1, "signalfd");
    if ((server.epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        err(1, "epoll_create1");
    server.listener = listen_on(port, backlog);
    if (watch(&server, EPOLL_CTL_ADD, server.signals, EPOLLIN) < 0 ||
        watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    while (!server.told)
        (void)turn(&server, server.resting ? PAUSE_MS : -1);
    (void)close(server.listener);
    (void)close(server.signals);
    server.resting = false;
    struct deadline deadline = deadline_after(STOP_MS);
    while (deadline_left(deadline) > 0 &&
           (turn(&server, QUIET_MS) || server.owing > 0))
        continue;
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0; /* what is still open, the kernel closes */
}
