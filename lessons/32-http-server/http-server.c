/*
 * 32-http-server: serves the files of a folder over HTTP, and with -s over TLS.
 *
 * Shows what a server needs beside sockets: which files it may open, what it
 * replies to a request, and how it stays fast and unharmed with thousands of
 * clients. Its loop is that of lesson 27. This file starts the server and
 * accepts clients. What happens to a client is in the modules of this lesson;
 * read them in this order:
 *
 *   client    the life of a client, from its first byte to its end
 *   request   reads requests, and refuses those that break rules
 *   answer    writes the reply to a request
 *   files     opens the files that we may serve, and no others
 *   reply     decides: all of a file, a part of it, or nothing new
 *   send      sends replies and files, as far as the client takes them
 *   log       prints a line for each request
 *
 * server.h has what all clients share, and output.h is a text that grows.
 *
 * usage: 32-http-server [-s CERT KEY] [-m MAXCLIENTS] ROOT PORT
 *
 * ROOT is the folder. MAXCLIENTS may be connected (10,000 unless given); others
 * wait in the queue. Each request is a line on standard output. SIGINT or
 * SIGTERM ends the server.
 *
 * Left out: methods other than GET and HEAD; several ranges in one request;
 * compressed bodies; HTTP/2.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "client.h"
#include "deadline.h"
#include "files.h"
#include "listener.h"
#include "loop.h"
#include "number.h"
#include "output.h"
#include "server.h"
#include "tls.h"
#include "wire.h"

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
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    MOST_CLIENTS = 1000000,
    DEFAULT_CLIENTS = 10000,
    OUTPUT_BYTES = 512 * 1024, /* more is allocated when it is needed */
    /* A line has parts of a head, each byte as four characters at most. */
    LINE_BYTES = 5 * HEAD_BYTES,
    LOG_BYTES = 64 * 1024, /* more bytes of lines take more writes */
    PAUSE_MS = 20,         /* after an accept that failed */
    STOP_MS = 1000,        /* for replies that are being sent when we end */
};

/* Where clients come from. */
struct door {
    struct server *server;
    struct loop_watcher listener;
    struct loop_timeout pause; /* after a call that failed */
    struct loop_timer pause_timer;
    bool is_pausing;
    int most_clients;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 32-http-server [-s CERT KEY] [-m MAXCLIENTS] ROOT PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* If 0, 1 or 2 were free, a socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static SSL_CTX *make_context(const char *cert, const char *key) {
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL) {
        char reason[TLS_REASON_BYTES];
        errx(1, "%s with %s: %s", cert, key, tls_explain(NULL, reason));
    }
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

static int open_root(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    return fd;
}

static int parse_clients(const char *text) {
    unsigned long long number;
    if (number_parse(text, 1, MOST_CLIENTS, &number) < 0)
        errx(1, "%s is not a number of clients: 1 to %d", text, MOST_CLIENTS);
    return (int)number;
}

/* Gets all that the server needs before it can listen. */
static void prepare(struct server *server) {
    const char *failed;
    server->received = malloc(INPUT_BYTES);
    server->plain = malloc(PLAIN_BYTES);
    server->unread = malloc(2 * PLAIN_BYTES + HEAD_BYTES);
    if (server->received == NULL || server->plain == NULL ||
        server->unread == NULL)
        err(1, "malloc");
    output_require(&server->output, OUTPUT_BYTES);
    output_require(&server->log.line, LINE_BYTES);
    if (server->context != NULL && wire_open(&server->wire, OUTPUT_BYTES) < 0)
        err(1, "wire_open");
    if (loop_open(&server->loop, &failed) < 0)
        err(1, "%s", failed);
    client_add_timeouts(server);
}

/* ---- Accepting -------------------------------------------------------------
 */

static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    const char *failed;
    int fd = listener_open((const struct sockaddr *)&own, sizeof own, SOMAXCONN,
                           0, &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    /* The sockets that it accepts inherit TCP_NODELAY: lesson 05. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

/* The reason for a failure may go away. Without the pause, a call that goes on
 * failing would use a whole processor. */
static void begin_pause(struct door *door) {
    door->is_pausing = true;
    loop_start_timer(&door->pause, &door->pause_timer);
}

/* Waits for clients as long as there are places, and no call has just failed.
 */
static void watch_listener(struct door *door) {
    uint32_t events = EPOLLIN;
    if (door->is_pausing || door->server->clients >= door->most_clients)
        events = 0;
    if (loop_watch(&door->server->loop, &door->listener, events) < 0) {
        /* The kernel has no room for it now. After a pause we try again. */
        warn("epoll_ctl");
        begin_pause(door);
    }
}

/* The loop calls this when the pause is over. */
static void end_pause(void *owner) {
    struct door *door = owner;
    door->is_pausing = false;
}

/* The loop calls this when a client is in the queue. We accept one. If there
 * are more, the loop calls us again, after it has handled the other clients. */
static void accept_client(void *owner, uint32_t events) {
    struct door *door = owner;
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    (void)events;
    int fd = accept4(door->listener.fd, (struct sockaddr *)&peer, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return;
    if (fd < 0) {
        warn("accept");
        begin_pause(door);
        return;
    }
    client_admit(door->server, fd, &peer);
}

static void open_door(struct door *door, in_port_t port) {
    const char *failed;
    door->pause.milliseconds = PAUSE_MS;
    door->pause.handle = end_pause;
    door->pause_timer.owner = door;
    loop_add_timeout(&door->server->loop, &door->pause);
    door->listener.handle = accept_client;
    door->listener.owner = door;
    door->listener.fd = open_listener(port);
    if (loop_watch(&door->server->loop, &door->listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (listener_announce(door->listener.fd, &failed) < 0)
        err(1, "%s", failed);
}

/* ---- The server ------------------------------------------------------------
 */

/* Waits for events, but not longer than so many milliseconds (-1: for ever),
 * and handles them. The lines of the log are written once for all of them. A
 * file that has been opened for one of them may serve the others, too, but no
 * event that comes later. */
static void handle_events(struct server *server, int milliseconds) {
    if (loop_turn(&server->loop, milliseconds) < 0) {
        warn("epoll_wait");
        deadline_pause(PAUSE_MS);
    }
    files_release(server->last_file);
    server->last_file = NULL;
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
}

/* Accepts no more clients. Replies that have been begun are sent to their end,
 * if that does not take long. */
static void finish(struct door *door) {
    struct server *server = door->server;
    struct deadline end = deadline_after(STOP_MS);
    (void)loop_watch(&server->loop, &door->listener, 0);
    (void)close(door->listener.fd);
    while (server->writing > 0 && deadline_left(end) > 0)
        handle_events(server, deadline_left(end));
}

int main(int argc, char **argv) {
    static struct server server;
    static struct door door = {
        .server = &server,
        .most_clients = DEFAULT_CLIENTS,
    };
    static char log_lines[LOG_BYTES];
    const char *cert = NULL;
    const char *key = NULL;
    in_port_t port;
    for (;;) {
        int option = getopt(argc, argv, "+hs:m:");
        if (option == -1)
            break;
        if (option == 'h') {
            usage(stdout, 0);
        } else if (option == 's' && optind < argc) {
            cert = optarg;
            key = argv[optind]; /* -s has two arguments */
            optind++;
        } else if (option == 'm') {
            door.most_clients = parse_clients(optarg);
        } else {
            usage(stderr, 2);
        }
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    const char *port_text = argv[optind + 1];
    if (addr_parse_port(port_text, strlen(port_text), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", port_text, LARGEST_PORT);
    require_standard_descriptors();
    /* When a client has left, send must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    (void)setvbuf(stdout, log_lines, _IOFBF, sizeof log_lines);
    raise_descriptor_limit();
    server.root = open_root(argv[optind]);
    if (cert != NULL)
        server.context = make_context(cert, key);
    prepare(&server);
    open_door(&door, port);
    while (!server.loop.is_stop_requested) {
        watch_listener(&door);
        handle_events(&server, -1);
    }
    finish(&door);
    return 0; /* this closes all connections */
}
