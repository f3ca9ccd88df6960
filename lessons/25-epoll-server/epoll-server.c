/*
 * 25-epoll-server: send every client back what it says, ten thousand of them at
 * once, in one thread.
 *
 * Shows that cost can go by activity, not by number: epoll(7) keeps the list of
 * descriptors in the kernel, and tells of those alone that are ready.
 *
 * usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT    (0: any free
 * port)
 *
 * Left out: who says nothing may stay for ever (the exercise); one processor
 * does it all; one system call for many answers (28).
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
    BUFFER_BYTES = 1 << 16, /* one turn of a client; a smaller one costs time */
    EVENTS = 512,           /* told by one epoll_wait */
    ACCEPTS = 64,           /* one turn of the listener */
    MOST_DESCRIPTORS = 1 << 16,
    PAUSE_MS = 100, /* without a look at the listener, when accept has failed */
    STOP_MS = 1000, /* the most that we stay when we are told to end */
    QUIET_MS = 20,  /* then we go when nothing has come for so long */
};

/* All that we keep of a client, at the index of its descriptor: 16 bytes, and
 * what send has not taken, while there is some. */
struct client {
    char *owed;
    unsigned count; /* bytes of that */
    bool connected;
};

struct server {
    int epoll, listener, signals;
    int spare; /* a descriptor to give up when there are no others */
    enum { SERVING, PAUSED, STOPPING } state;
    struct deadline until;          /* when PAUSED or STOPPING ends */
    size_t connected, owing, limit; /* clients: all, those owed, the most */
    bool full;                      /* and it has been said */
    char buffer[BUFFER_BYTES];      /* for all of them */
    struct client clients[MOST_DESCRIPTORS]; /* no memory until written to */
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

/* Were 1 or 2 free, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* As many descriptors as we can get without being root. */
static void raise_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        err(1, "getrlimit");
    files.rlim_cur = MOST_DESCRIPTORS;
    if (files.rlim_max < files.rlim_cur)
        files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        err(1, "setrlimit");
}

/* From now on these signals end nobody: they make a descriptor readable. */
static int open_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* As in lesson 05, but accept shall not wait. */
static int listen_on(in_port_t port, int backlog) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&own, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, backlog) < 0)
        err(1, "listen");
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return fd;
}

/* how: EPOLL_CTL_ADD or EPOLL_CTL_MOD. Returns 0, or -1 and errno. */
static int watch(const struct server *server, int how, int fd, uint32_t what) {
    struct epoll_event event = {.events = what, .data.fd = fd};
    return epoll_ctl(server->epoll, how, fd, &event);
}

/* Nothing to do now: there will be another event. */
static bool is_for_later(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Called in the client's own event alone, or when all is over. */
static void drop(struct server *server, int fd, const char *failed_call) {
    struct client *client = &server->clients[fd];
    if (failed_call != NULL)
        warn("%s", failed_call);
    server->owing -= client->owed != NULL;
    server->connected--;
    free(client->owed);
    *client = (struct client){0};
    (void)close(fd); /* which takes it from epoll's list, too */
}

/* Keeps a copy of what is left, and waits for room instead of bytes: a client
 * that doesn't read is not read from. When nothing is left, the other way. */
static void keep(struct server *server, int fd, const char *rest,
                 size_t count) {
    struct client *client = &server->clients[fd];
    char *copy = count > 0 ? malloc(count) : NULL;
    if (count > 0 && copy == NULL) {
        drop(server, fd, "malloc");
        return;
    }
    if (count > 0)
        memcpy(copy, rest, count);
    server->owing += (size_t)(copy != NULL) - (client->owed != NULL);
    free(client->owed);
    client->owed = copy;
    client->count = (unsigned)count;
    if (watch(server, EPOLL_CTL_MOD, fd, count > 0 ? EPOLLOUT : EPOLLIN) < 0)
        drop(server, fd, "epoll_ctl");
}

/* One turn: one recv and one send, or what is owed and one send. There may be
 * more to read; epoll says so again, when the others have had a turn. */
static void serve(struct server *server, int fd) {
    const char *bytes = server->clients[fd].owed;
    ssize_t count = server->clients[fd].count;
    if (bytes == NULL) {
        bytes = server->buffer;
        count = recv(fd, server->buffer, sizeof server->buffer, 0);
        if (count < 0 && is_for_later(errno))
            return;
        if (count <= 0) {
            drop(server, fd, count < 0 ? "recv" : NULL);
            return;
        }
    }
    ssize_t sent = send(fd, bytes, (size_t)count, 0);
    if (sent == count && bytes == server->buffer)
        return; /* two calls, and that is all, as a rule */
    if (sent < 0 && is_for_later(errno))
        sent = 0;
    if (sent < 0)
        drop(server, fd, "send");
    else
        keep(server, fd, bytes + sent, (size_t)(count - sent));
}

/* A client that waits for a descriptor of which there is none would wake us
 * each turn, for ever. We give up our spare one, to take it and let it go.
 * Returns 0, or -1 and errno. */
static int turn_away(struct server *server) {
    (void)close(server->spare);
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    int error = errno;
    if (fd >= 0)
        (void)close(fd);
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    errno = error;
    return fd < 0 ? -1 : 0;
}

/* One line when we become full, not one for each client that is sent away. */
static void say_full(struct server *server, const char *why) {
    if (!server->full)
        (void)printf("full with %zu clients, %s: more are closed at once\n",
                     server->connected, why);
    server->full = true;
}

static void admit(struct server *server, int fd) {
    if (server->connected == server->limit || fd >= MOST_DESCRIPTORS) {
        (void)close(fd);
        say_full(server, "as -m allows");
    } else if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0) {
        warn("epoll_ctl");
        (void)close(fd);
    } else {
        server->clients[fd].connected = true;
        server->connected++;
        server->full = false;
    }
}

/* Those who wait, as many as belong to a turn. What fails for another reason
 * than these may fail for a while: the listener rests, we don't. */
static void accept_some(struct server *server) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd =
            accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(server, fd);
        } else if ((errno == EMFILE || errno == ENFILE) &&
                   turn_away(server) == 0) {
            say_full(server, "no descriptor is left");
        } else if (is_for_later(errno)) {
            return;
        } else if (errno != ECONNABORTED) {
            warn("accept");
            (void)watch(server, EPOLL_CTL_MOD, server->listener, 0);
            server->state = PAUSED;
            server->until = deadline_after(PAUSE_MS);
            return;
        }
    }
}

/* Nobody new from now on. Those we have are served until they are quiet. */
static void begin_to_stop(struct server *server) {
    (void)close(server->listener);
    (void)close(server->signals);
    server->state = STOPPING;
    server->until = deadline_after(STOP_MS);
}

static void run(struct server *server) {
    struct epoll_event events[EVENTS];
    const int patience[] = {
        [SERVING] = -1, [PAUSED] = PAUSE_MS, [STOPPING] = QUIET_MS};
    for (;;) {
        int ready =
            epoll_wait(server->epoll, events, EVENTS, patience[server->state]);
        if (ready < 0 && errno != EINTR)
            err(1, "epoll_wait");
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == server->signals)
                begin_to_stop(server);
            else if (events[i].data.fd == server->listener)
                accept_some(server);
            else
                serve(server, events[i].data.fd);
        }
        if (server->state == SERVING)
            continue;
        int left = deadline_left(server->until);
        if (server->state == STOPPING &&
            (left == 0 || (ready == 0 && server->owing == 0)))
            return;
        if (server->state == PAUSED && left == 0 &&
            watch(server, EPOLL_CTL_MOD, server->listener, EPOLLIN) == 0)
            server->state = SERVING;
    }
}

int main(int argc, char **argv) {
    static struct server server = {.limit = MOST_DESCRIPTORS};
    int backlog = SOMAXCONN;
    int option;
    while ((option = getopt(argc, argv, "+hb:m:")) != -1) {
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
    require_output();
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, in a pipe too */

    raise_limit();
    server.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server.signals = open_signals();
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.listener = listen_on(port, backlog);
    if (server.spare < 0 || server.signals < 0 || server.epoll < 0 ||
        watch(&server, EPOLL_CTL_ADD, server.signals, EPOLLIN) < 0 ||
        watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN) < 0)
        err(1, "epoll");
    run(&server);
    for (int fd = 0; fd < MOST_DESCRIPTORS; fd++)
        if (server.clients[fd].connected)
            drop(&server, fd, NULL);
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
