/*
 * 25-epoll-server: send every client back what it sends, ten thousand clients
 * and more at once, in one thread.
 *
 * Shows that cost can go by activity and not by number: epoll(7) keeps the list
 * of descriptors in the kernel, and tells of those that are ready.
 *
 * usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT
 *
 * Left out: a client that says nothing stays for ever (the exercise); a second
 * processor; TLS (27); one system call for many answers (28).
 */
#define _GNU_SOURCE

#include "deadline.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 16, /* read at once, and one client's turn */
    EVENTS = 512,           /* told by one epoll_wait */
    ACCEPTS = 64,           /* new clients a turn */
    PAUSE_MS = 100,         /* after an accept that failed */
    STOP_MS = 1000,         /* for what is owed when we are told to stop */
    LARGEST_PORT = 65535,
    LARGEST_CLIENTS = 1 << 20,
};

/* What send did not take. Nothing more is read until it has gone. */
struct owed {
    size_t start, end; /* bytes[start] to bytes[end - 1] */
    char bytes[];
};

/* All that we keep of a client; its descriptor is the index. */
struct client {
    struct owed *owed; /* NULL: nothing */
    bool connected;
};

enum state { SERVING, PAUSED, STOPPING };

struct server {
    int epoll, listener, signals;
    int spare; /* given up so that accept can have it, to turn clients away */
    enum state state;
    struct deadline until; /* which PAUSED or STOPPING ends */
    struct client *clients;
    size_t size;      /* of that array: no descriptor is as large */
    size_t connected; /* clients */
    size_t limit;     /* of these */
    size_t refused;   /* since we have been full */
    char buffer[BUFFER_BYTES];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server [-b BACKLOG] [-m MAXCLIENTS] PORT\n", out);
    exit(status);
}

/* A number from the command line: digits and nothing else. */
static unsigned long parse_number(const char *text, const char *what,
                                  unsigned long smallest,
                                  unsigned long largest) {
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        number < smallest || number > largest)
        errx(1, "%s is not a %s: %lu to %lu", text, what, smallest, largest);
    return number;
}

/* Were 1 or 2 free, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* As in lesson 02, and no piece waits here for an ACK: lesson 05. */
static int listen_on(in_port_t port, int backlog) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, backlog) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return listener;
}

/* How many descriptors we may hold: all that we can get without being root. An
 * array of that size takes no memory where nobody has written yet. */
static size_t descriptors_allowed(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_cur > LARGEST_CLIENTS)
        limit.rlim_cur = LARGEST_CLIENTS;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "setrlimit");
    return limit.rlim_cur;
}

/* From now on these signals end nothing; they make a descriptor readable. */
static int take_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        err(1, "signalfd");
    return fd;
}

/* operation: EPOLL_CTL_ADD or EPOLL_CTL_MOD. Returns 0, or -1 and errno. */
static int watch(const struct server *server, int operation, int fd,
                 uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(server->epoll, operation, fd, &event);
}

/* Closing takes the descriptor off epoll's list, too. */
static void drop(struct server *server, int fd) {
    free(server->clients[fd].owed);
    server->clients[fd] = (struct client){0};
    server->connected--;
    if (close(fd) < 0)
        warn("close");
}

/* Keeps what is left, and listens for room instead of bytes: who doesn't read
 * what we send is not read from. Returns 0, or -1 and errno. */
static int keep(struct server *server, int fd, const char *rest, size_t count) {
    struct owed *owed = malloc(sizeof *owed + count);
    if (owed == NULL)
        return -1;
    owed->start = 0;
    owed->end = count;
    memcpy(owed->bytes, rest, count);
    server->clients[fd].owed = owed;
    return watch(server, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

/* As send(2), but 0 when there is no room. */
static ssize_t send_some(int fd, const char *bytes, size_t count) {
    ssize_t sent = send(fd, bytes, count, 0);
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
}

/* One read, however much there is: the next turn is another client's. epoll
 * will tell us again of what is left, so there is no need to ask. */
static void echo(struct server *server, int fd) {
    ssize_t received = recv(fd, server->buffer, sizeof server->buffer, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received <= 0) {
        if (received < 0)
            warn("recv");
        drop(server, fd);
        return;
    }
    ssize_t sent = send_some(fd, server->buffer, (size_t)received);
    if (sent == received)
        return;
    if (sent < 0 || keep(server, fd, server->buffer + sent,
                         (size_t)(received - sent)) < 0) {
        warn("send");
        drop(server, fd);
    }
}

/* There is room again, or the client has gone, which send will say. */
static void send_owed(struct server *server, int fd) {
    struct owed *owed = server->clients[fd].owed;
    ssize_t sent =
        send_some(fd, owed->bytes + owed->start, owed->end - owed->start);
    if (sent < 0) {
        warn("send");
        drop(server, fd);
        return;
    }
    owed->start += (size_t)sent;
    if (owed->start < owed->end)
        return;
    free(owed);
    server->clients[fd].owed = NULL;
    if (watch(server, EPOLL_CTL_MOD, fd, EPOLLIN) < 0) {
        warn("epoll_ctl");
        drop(server, fd);
    }
}

/* Stops looking at the listener: who waits there would wake us at once. */
static void pause_accepting(struct server *server) {
    if (watch(server, EPOLL_CTL_MOD, server->listener, 0) < 0)
        err(1, "epoll_ctl");
    server->state = PAUSED;
    server->until = deadline_after(PAUSE_MS);
}

/* No descriptor is left, and a client that we don't accept would wake us for
 * ever. So we give up one that we kept for this. Returns as accept(2). */
static int accept_with_spare(struct server *server) {
    (void)close(server->spare);
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    int error = errno;
    if (fd >= 0)
        (void)close(fd);
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    errno = error;
    return fd < 0 ? -1 : 0;
}

/* One line when we are full and one when we no longer are, not one for each of
 * those who knock meanwhile. */
static void count_refused(struct server *server, const char *why) {
    if (server->refused++ == 0)
        (void)printf("full with %zu clients, %s: more are closed at once\n",
                     server->connected, why);
}

static void admit(struct server *server, int fd) {
    if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0) {
        warn("epoll_ctl");
        (void)close(fd);
        return;
    }
    server->clients[fd].connected = true;
    server->connected++;
    if (server->refused > 0)
        (void)printf("room again: %zu were closed at once\n", server->refused);
    server->refused = 0;
}

/* Takes the clients that wait, as many as belong to a turn. */
static void accept_some(struct server *server) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd =
            accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && server->connected < server->limit &&
            (size_t)fd < server->size) {
            admit(server, fd);
        } else if (fd >= 0) {
            (void)close(fd);
            count_refused(server, "as -m allows");
        } else if ((errno == EMFILE || errno == ENFILE) &&
                   accept_with_spare(server) == 0) {
            count_refused(server, "out of descriptors");
        } else if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
            return; /* if somebody still waits, epoll tells us again */
        } else {
            warn("accept");
            pause_accepting(server);
            return;
        }
    }
}

/* Nobody new, and no more bytes from those we have: recv gives what has come
 * and then the end, as if each client had ended its half. So the same calls as
 * ever finish what is owed, and close. shutdown fails for who has gone. */
static void begin_stop(struct server *server) {
    (void)close(server->signals);
    (void)close(server->listener);
    for (size_t fd = 0; fd < server->size; fd++)
        if (server->clients[fd].connected)
            (void)shutdown((int)fd, SHUT_RD);
    server->state = STOPPING;
    server->until = deadline_after(STOP_MS);
}

static void dispatch(struct server *server, int fd) {
    if (fd == server->signals)
        begin_stop(server);
    else if (fd == server->listener)
        accept_some(server);
    else if (server->clients[fd].owed != NULL)
        send_owed(server, fd);
    else
        echo(server, fd);
}

static void run(struct server *server) {
    struct epoll_event events[EVENTS];
    while (server->state != STOPPING || server->connected > 0) {
        int left = server->state == SERVING ? -1 : deadline_left(server->until);
        if (left == 0 && server->state == STOPPING)
            return;
        if (left == 0) {
            if (watch(server, EPOLL_CTL_MOD, server->listener, EPOLLIN) < 0)
                err(1, "epoll_ctl");
            server->state = SERVING;
            left = -1;
        }
        int ready = epoll_wait(server->epoll, events, EVENTS, left);
        if (ready < 0 && errno != EINTR)
            err(1, "epoll_wait");
        for (int i = 0; i < ready; i++)
            dispatch(server, events[i].data.fd);
    }
}

int main(int argc, char **argv) {
    static struct server server = {.limit = LARGEST_CLIENTS};
    int backlog = SOMAXCONN;
    int option;
    while ((option = getopt(argc, argv, "+hb:m:")) != -1) {
        if (option == 'b')
            backlog = (int)parse_number(optarg, "backlog", 1, LARGEST_PORT);
        else if (option == 'm')
            server.limit =
                parse_number(optarg, "number of clients", 1, LARGEST_CLIENTS);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    in_port_t port =
        (in_port_t)parse_number(argv[optind], "port", 0, LARGEST_PORT);
    require_output();
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, into a file too */

    server.size = descriptors_allowed();
    server.clients = calloc(server.size, sizeof *server.clients);
    if (server.clients == NULL)
        err(1, "calloc");
    server.signals = take_signals();
    server.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.spare < 0 || server.epoll < 0)
        err(1, "%s", server.spare < 0 ? "open /dev/null" : "epoll_create1");
    server.listener = listen_on(port, backlog);
    if (watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN) < 0 ||
        watch(&server, EPOLL_CTL_ADD, server.signals, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    run(&server);
    return 0;
}
