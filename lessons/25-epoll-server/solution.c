/*
 * 25 solution: echo with an idle limit for each client, one good answer of
 * many.
 *
 * usage: 25-epoll-server -i SECONDS PORT
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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    BUFFER_BYTES = 64 * 1024,
    EVENTS = 256,            /* of one epoll_wait */
    DESCRIPTORS = 64 * 1024, /* ours are below this */
    PAUSE_MS = 10, /* after a call failed because something had run out */
    LIST_HEAD = 0, /* no client has this number: see require_standard_streams */
};

/* A client's index in the array is its descriptor. The clients that are
 * connected form a list, in the order in which their time is up: previous and
 * next are indexes of other clients. The list is a ring, and LIST_HEAD, which
 * belongs to no client, is where it begins and ends: its next is the first
 * client, and its previous is the last. In an empty list, both are LIST_HEAD
 * itself. */
struct client {
    char *unsent; /* bytes that send did not take, or NULL */
    size_t unsent_bytes;
    int previous;
    int next;
    struct deadline deadline;
};

struct server {
    int epoll;
    int listener;
    int milliseconds; /* how long a client may be silent */
    char buffer[BUFFER_BYTES];
    struct client clients[DESCRIPTORS];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server -i SECONDS PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* If one of 0, 1 and 2 were closed, a socket would get that number: see lesson
 * 01. Here 0 matters too, because it is the head of our list. */
static void require_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Raises our limit to as many descriptors as we may have without special
 * rights, but not to more than our array has places. If that fails, the limit
 * stays as it is. */
static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    if (files.rlim_cur > DESCRIPTORS)
        files.rlim_cur = DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* Returns a listener at 127.0.0.1, as in lesson 02. The sockets that it accepts
 * inherit TCP_NODELAY: lesson 05. */
static int open_listener(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

/* Prints the address at which we listen. */
static void announce(int listener) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

static int watch(const struct server *server, int operation, int fd,
                 uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(server->epoll, operation, fd, &event);
}

/* Without the pause, a call that goes on failing would use a whole processor.
 */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

static void remove_from_list(struct server *server, int fd) {
    const struct client *client = &server->clients[fd];
    server->clients[client->previous].next = client->next;
    server->clients[client->next].previous = client->previous;
}

/* The client's time begins now. All clients have the same limit, so its time is
 * up after that of all others, and it becomes the last in the list. */
static void append_to_list(struct server *server, int fd) {
    struct client *client = &server->clients[fd];
    struct client *head = &server->clients[LIST_HEAD];
    int last = head->previous; /* LIST_HEAD if the list is empty */
    client->deadline = deadline_after(server->milliseconds);
    client->previous = last;
    client->next = LIST_HEAD;
    server->clients[last].next = fd;
    head->previous = fd;
}

static void renew_time(struct server *server, int fd) {
    remove_from_list(server, fd);
    append_to_list(server, fd);
}

static void close_client(struct server *server, int fd) {
    remove_from_list(server, fd);
    free(server->clients[fd].unsent);
    server->clients[fd].unsent = NULL;
    (void)close(fd); /* this also takes it off epoll's list */
}

static void close_failed_client(struct server *server, int fd,
                                const char *failed) {
    warn("%s", failed);
    close_client(server, fd);
}

/* Copies the bytes that send did not take. From now on we wait until the client
 * reads, and not for what it sends. So it cannot fill our memory. */
static void store_unsent(struct server *server, int fd, const char *bytes,
                         size_t length) {
    struct client *client = &server->clients[fd];
    client->unsent = malloc(length);
    if (client->unsent == NULL) {
        close_failed_client(server, fd, "malloc");
        return;
    }
    memcpy(client->unsent, bytes, length);
    client->unsent_bytes = length;
    if (watch(server, EPOLL_CTL_MOD, fd, EPOLLOUT) < 0)
        close_failed_client(server, fd, "epoll_ctl");
}

/* Sends more of the unsent bytes. When all of them are sent, we wait for input
 * again. */
static void send_unsent(struct server *server, int fd) {
    struct client *client = &server->clients[fd];
    ssize_t sent = send(fd, client->unsent, client->unsent_bytes, 0);
    if (sent < 0 && is_worth_another_try(errno))
        return;
    if (sent < 0) {
        close_failed_client(server, fd, "send");
        return;
    }
    client->unsent_bytes -= (size_t)sent;
    if (client->unsent_bytes > 0) {
        memmove(client->unsent, client->unsent + sent, client->unsent_bytes);
        return;
    }
    free(client->unsent);
    client->unsent = NULL;
    if (watch(server, EPOLL_CTL_MOD, fd, EPOLLIN) < 0)
        close_failed_client(server, fd, "epoll_ctl");
}

/* Receives once, and sends once. */
static void receive_and_reply(struct server *server, int fd) {
    ssize_t received = recv(fd, server->buffer, BUFFER_BYTES, 0);
    if (received < 0 && is_worth_another_try(errno))
        return;
    if (received < 0) {
        close_failed_client(server, fd, "recv");
        return;
    }
    if (received == 0) {
        close_client(server, fd);
        return;
    }
    renew_time(server, fd);
    ssize_t sent = send(fd, server->buffer, (size_t)received, 0);
    if (sent == received)
        return;
    if (sent < 0 && !is_worth_another_try(errno)) {
        close_failed_client(server, fd, "send");
        return;
    }
    if (sent < 0)
        sent = 0; /* there was no room, so all bytes are unsent */
    store_unsent(server, fd, server->buffer + sent, (size_t)(received - sent));
}

static void admit_client(struct server *server, int fd) {
    if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0) {
        warn("epoll_ctl");
        (void)close(fd);
        return;
    }
    append_to_list(server, fd);
}

/* These errors of accept are not ours. The connection that we were about to
 * accept has failed, and the next one may be good: accept(2), "Error handling".
 */
static int is_one_connection_lost(int error) {
    switch (error) {
    case ECONNABORTED:
    case EPERM: /* a firewall forbids it */
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return 1;
    default:
        return 0;
    }
}

/* Call this right after accept4 failed: errno is still its reason. */
static void report_failed_accept(void) {
    if (is_worth_another_try(errno))
        return; /* the queue is empty, or epoll_wait will report it again */
    if (is_one_connection_lost(errno))
        warn("accept"); /* the listener is still ready for the next one */
    else
        warn_and_pause("accept");
}

/* Accepts clients until accept4 fails. Most often this is because the queue is
 * empty. */
static void accept_clients(struct server *server) {
    for (;;) {
        int fd =
            accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            report_failed_accept();
            return;
        }
        admit_client(server, fd);
    }
}

/* Returns how many milliseconds epoll_wait may sleep: until the first client's
 * time is up, or for ever (-1) if there is no client. */
static int time_to_sleep(const struct server *server) {
    int first = server->clients[LIST_HEAD].next;
    if (first == LIST_HEAD)
        return -1;
    return deadline_left(server->clients[first].deadline);
}

/* Closes the clients whose time is up. They are the first ones in the list. */
static void close_silent_clients(struct server *server) {
    int first = server->clients[LIST_HEAD].next;
    while (first != LIST_HEAD) {
        if (deadline_left(server->clients[first].deadline) > 0)
            return;
        close_client(server, first);
        first = server->clients[LIST_HEAD].next;
    }
}

/* Handles one batch of events. The order matters:
 *
 * 1. The clients that have sent something. Their time begins anew.
 * 2. The clients whose time is up, which we close. If the array is full, there
 *    may be more events that epoll_wait has not reported yet, perhaps of just
 *    such a client. So we do this only if the array is not full.
 * 3. The new clients. One of them may get the number of a client that we have
 *    just closed. If we accepted earlier, we could take an event of the old
 *    client for one of the new client.
 */
static void handle_events(struct server *server) {
    struct epoll_event events[EVENTS];
    int has_new_clients = 0;
    int count =
        epoll_wait(server->epoll, events, EVENTS, time_to_sleep(server));
    if (count < 0 && errno != EINTR)
        warn_and_pause("epoll_wait");
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == server->listener)
            has_new_clients = 1;
        else if (server->clients[fd].unsent != NULL)
            send_unsent(server, fd);
        else
            receive_and_reply(server, fd);
    }
    if (count >= 0 && count < EVENTS)
        close_silent_clients(server);
    if (has_new_clients)
        accept_clients(server);
}

int main(int argc, char **argv) {
    static struct server server; /* it is large, and all zero to begin with */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 4 || strcmp(argv[1], "-i") != 0)
        usage(stderr, 2);
    if (deadline_parse(argv[2], strlen(argv[2]), &server.milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", argv[2]);
    in_port_t port = parse_port(argv[3]);
    require_standard_streams();
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */
    raise_descriptor_limit();

    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        err(1, "epoll_create1");
    server.listener = open_listener(port);
    if (watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    announce(server.listener);
    for (;;)
        handle_events(&server);
}
