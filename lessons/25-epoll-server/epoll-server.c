/*
 * 25-epoll-server: send back what clients send, to ten thousand in one thread.
 *
 * Shows a server whose work depends on how many clients are active, and not on
 * how many are connected: epoll(7) keeps the list of descriptors in the kernel,
 * and reports only those that are ready.
 *
 * usage: 25-epoll-server [-e] [-b BACKLOG] [-m MAXCLIENTS] [-r BYTES] PORT
 *
 * BACKLOG clients may wait for accept, and MAXCLIENTS may be connected. The
 * buffer has BYTES, so one recv returns at most that much. Port 0 is any free
 * port. -e makes the clients edge-triggered, which this server is not made for:
 * the lesson shows what goes wrong then.
 *
 * Left out: a limit for clients that send nothing (this lesson's exercise), and
 * TLS.
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_NUMBER = 65535, /* on the command line */
    /* With a smaller buffer, large data take longer. */
    BUFFER_BYTES = 64 * 1024,
    EVENTS = 256,             /* the most that one epoll_wait reports */
    ACCEPTS = 256,            /* the most clients that we accept at once */
    DESCRIPTORS = 128 * 1024, /* ours are below this */
    PAUSE_MS = 20, /* after a call failed because something had run out */
    /* When we are asked to stop, we end after QUIET_MS without an event, and
     * after STOP_MS in any case. */
    QUIET_MS = 20,
    STOP_MS = 1000,
};

struct server {
    int epoll;
    int listener;
    int signals; /* SIGINT and SIGTERM arrive here */
    int spare; /* open on /dev/null; -1 while it is given up: see spend_spare */
    int clients; /* how many are connected */
    int most_clients;
    int clients_with_unsent;
    int has_reported_full; /* since the last client was admitted */
    int is_stop_requested; /* a signal has come */
    uint32_t input_events; /* EPOLLIN, perhaps with EPOLLET */
    char *buffer;          /* one for all clients */
    size_t buffer_bytes;
    /* For each client two things, at the index of its descriptor. An array that
     * is all zero takes no memory until something is written to it. */
    char *unsent[DESCRIPTORS]; /* bytes that send did not take, or NULL */
    unsigned unsent_bytes[DESCRIPTORS];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server [-e] [-b BACKLOG] [-m MAXCLIENTS] "
          "[-r BYTES] PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless it is one from
 * smallest to LARGEST_NUMBER, in digits alone. */
static int parse_number(const char *text, unsigned smallest) {
    unsigned long long number;
    if (number_parse(text, smallest, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number from %u to %d", text, smallest,
             LARGEST_NUMBER);
    return (int)number;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Raises our limit to as many descriptors as we may have without special
 * rights, but not to more than our arrays have places. If that fails, the limit
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

/* Adds a descriptor to the list in the kernel (EPOLL_CTL_ADD), or changes the
 * events that we wait for (EPOLL_CTL_MOD). Returns 0, or -1 and errno. */
static int watch(const struct server *server, int operation, int fd,
                 uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(server->epoll, operation, fd, &event);
}

/* From now on these two signals do not interrupt anything. They wait, and as
 * long as one waits, the descriptor is ready. */
static int open_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        err(1, "sigprocmask");
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        err(1, "signalfd");
    return fd;
}

static int open_spare(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Returns a listener at 127.0.0.1, as in lesson 02, and puts the port that it
 * has into *port. The sockets that it accepts inherit TCP_NODELAY: lesson 05.
 */
static int open_listener(in_port_t *port, int backlog) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(*port),
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
        err(1, "bind 127.0.0.1:%d", *port);
    if (listen(fd, backlog) < 0)
        err(1, "listen");
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    *port = ntohs(own.sin_port);
    return fd;
}

/* Opens all that the server needs to listen. */
static void start(struct server *server, in_port_t port, int backlog) {
    server->buffer = malloc(server->buffer_bytes);
    if (server->buffer == NULL)
        err(1, "malloc");
    server->spare = open_spare();
    if (server->spare < 0)
        err(1, "open /dev/null");
    server->signals = open_signals();
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        err(1, "epoll_create1");
    if (watch(server, EPOLL_CTL_ADD, server->signals, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    server->listener = open_listener(&port, backlog);
    if (watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (printf("listening on 127.0.0.1:%d\n", port) < 0)
        err(1, "standard output");
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

static void free_unsent(struct server *server, int fd) {
    if (server->unsent[fd] == NULL)
        return;
    free(server->unsent[fd]);
    server->unsent[fd] = NULL;
    server->clients_with_unsent--;
}

/* Call this only while you handle the client's own event, or before the client
 * is on epoll's list. After close, the next accept may give the client's number
 * to a new client. If an event of the old client were still in the array of
 * epoll_wait, we would take that event for one of the new client. */
static void close_client(struct server *server, int fd) {
    free_unsent(server, fd);
    (void)close(fd); /* this also takes it off epoll's list */
    server->clients--;
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
    char *copy = malloc(length);
    if (copy == NULL) {
        close_failed_client(server, fd, "malloc");
        return;
    }
    memcpy(copy, bytes, length);
    server->unsent[fd] = copy;
    server->unsent_bytes[fd] = (unsigned)length;
    server->clients_with_unsent++;
    if (watch(server, EPOLL_CTL_MOD, fd, EPOLLOUT) < 0)
        close_failed_client(server, fd, "epoll_ctl");
}

/* Sends more of the unsent bytes. When all of them are sent, we wait for input
 * again. */
static void send_unsent(struct server *server, int fd) {
    char *bytes = server->unsent[fd];
    size_t length = server->unsent_bytes[fd];
    ssize_t sent = send(fd, bytes, length, 0);
    if (sent < 0 && is_worth_another_try(errno))
        return;
    if (sent < 0) {
        close_failed_client(server, fd, "send");
        return;
    }
    size_t rest = length - (size_t)sent;
    if (rest > 0) {
        memmove(bytes, bytes + sent, rest);
        server->unsent_bytes[fd] = (unsigned)rest;
        return;
    }
    free_unsent(server, fd);
    if (watch(server, EPOLL_CTL_MOD, fd, server->input_events) < 0)
        close_failed_client(server, fd, "epoll_ctl");
}

/* Receives once, and sends once. If the client has sent more, the next
 * epoll_wait says so, and the other clients have their turn before that. */
static void receive_and_reply(struct server *server, int fd) {
    ssize_t received = recv(fd, server->buffer, server->buffer_bytes, 0);
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
    ssize_t sent = send(fd, server->buffer, (size_t)received, 0);
    if (sent == received)
        return; /* this is so nearly always */
    if (sent < 0 && !is_worth_another_try(errno)) {
        close_failed_client(server, fd, "send");
        return;
    }
    if (sent < 0)
        sent = 0; /* there was no room, so all bytes are unsent */
    store_unsent(server, fd, server->buffer + sent, (size_t)(received - sent));
}

static void report_full(struct server *server) {
    if (server->has_reported_full)
        return; /* one line, and not one for each client that we refuse */
    server->has_reported_full = 1;
    if (printf("full with %d clients\n", server->most_clients) < 0)
        warn("standard output");
}

/* Begins to serve a client that has been accepted, or closes it if there is no
 * place for it. Why don't we leave such a client in the queue? The listener
 * would stay ready, and every epoll_wait would return at once. */
static void admit_client(struct server *server, int fd) {
    /* If we close the client below, close_client takes it off this number. */
    server->clients++;
    if (server->clients > server->most_clients) {
        report_full(server);
        close_client(server, fd);
        return;
    }
    if (server->spare < 0) {
        /* There was no descriptor left until we gave up the spare one. So this
         * client has the last descriptor, and we need it for the spare one. */
        close_client(server, fd);
        return;
    }
    server->has_reported_full = 0;
    if (watch(server, EPOLL_CTL_ADD, fd, server->input_events) < 0)
        close_failed_client(server, fd, "epoll_ctl");
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

/* Closes the spare descriptor, so that accept can use its number. */
static void spend_spare(struct server *server) {
    if (!server->has_reported_full)
        warn("accept");
    server->has_reported_full = 1;
    (void)close(server->spare);
    server->spare = -1;
}

/* Call this right after accept4 failed: errno is still its reason. Returns 1 if
 * accept4 should be called again at once, and 0 if not. */
static int handle_failed_accept(struct server *server) {
    int error = errno;
    if (is_worth_another_try(error))
        return 0; /* the queue is empty, or epoll_wait will report it again */
    int is_out_of_descriptors = error == EMFILE || error == ENFILE;
    if (is_out_of_descriptors && server->spare >= 0) {
        spend_spare(server);
        return 1;
    }
    if (is_one_connection_lost(error)) {
        warn("accept");
        return 1;
    }
    warn_and_pause("accept");
    return 0;
}

/* Accepts the clients that are in the queue, but not more than ACCEPTS. */
static void accept_clients(struct server *server) {
    int call_again = 1;
    for (int i = 0; i < ACCEPTS && call_again; i++) {
        int fd =
            accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            admit_client(server, fd);
        else
            call_again = handle_failed_accept(server);
    }
    if (server->spare < 0)
        server->spare = open_spare(); /* if that fails, it is tried again */
}

/* Waits for events, for so many milliseconds or for ever (-1), and handles
 * them. Returns how many events there were, or -1 if epoll_wait failed. */
static int handle_events(struct server *server, int milliseconds) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server->epoll, events, EVENTS, milliseconds);
    if (count < 0 && errno != EINTR)
        warn_and_pause("epoll_wait");
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == server->listener)
            accept_clients(server);
        else if (fd == server->signals)
            server->is_stop_requested = 1;
        else if (server->unsent[fd] != NULL)
            send_unsent(server, fd);
        else
            receive_and_reply(server, fd);
    }
    return count;
}

/* Accepts no more clients, but goes on with those that are connected. Returns
 * when there was no event for QUIET_MS and nothing is unsent; or at the latest
 * after STOP_MS. When we end, the kernel closes what is still open. */
static void finish(struct server *server) {
    (void)close(server->listener);
    (void)close(server->signals);
    struct deadline end = deadline_after(STOP_MS);
    while (deadline_left(end) > 0) {
        int count = handle_events(server, QUIET_MS);
        if (count == 0 && server->clients_with_unsent == 0)
            return;
    }
}

int main(int argc, char **argv) {
    static struct server server; /* all zero: see its arrays */
    server.most_clients = LARGEST_NUMBER;
    server.input_events = EPOLLIN;
    server.buffer_bytes = BUFFER_BYTES;
    int backlog = SOMAXCONN;
    for (;;) {
        int option = getopt(argc, argv, "+heb:m:r:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'e')
            server.input_events = EPOLLIN | EPOLLET;
        else if (option == 'b')
            backlog = parse_number(optarg, 1);
        else if (option == 'm')
            server.most_clients = parse_number(optarg, 1);
        else if (option == 'r')
            server.buffer_bytes = (size_t)parse_number(optarg, 1);
        else
            usage(stderr, 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    in_port_t port = (in_port_t)parse_number(argv[optind], 0);

    require_output();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    /* When a client has left, send must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    start(&server, port, backlog);
    while (!server.is_stop_requested)
        (void)handle_events(&server, -1);
    finish(&server);
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
