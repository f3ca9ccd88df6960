/* accept: takes in clients. */
#define _GNU_SOURCE

#include "accept.h"

#include "client.h"
#include "ring.h"
#include "server.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_spare(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void accept_open_spare(struct server *server) {
    server->spare = open_spare();
    if (server->spare < 0)
        err(1, "open /dev/null");
}

/* As in lesson 02. The sockets that it accepts inherit TCP_NODELAY: lesson 05.
 * It is not SOCK_NONBLOCK: then the kernel might answer EAGAIN, and not wait.
 */
void accept_open_listener(struct server *server, in_port_t *port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(*port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", *port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    *port = ntohs(own.sin_port);
    server->listener = fd;
}

/* The flag for many completions is in ioprio, a field that has another purpose
 * in other requests. */
void accept_ask_for_clients(struct server *server) {
    struct io_uring_sqe *request =
        ring_new_request(&server->ring, ACCEPT, server->listener);
    request->opcode = IORING_OP_ACCEPT;
    request->ioprio = IORING_ACCEPT_MULTISHOT;
    request->accept_flags = SOCK_CLOEXEC;
}

static void report_full(struct server *server) {
    if (server->has_reported_full)
        return; /* one line, and not one for each client that we refuse */
    server->has_reported_full = 1;
    if (printf("full with %d clients\n", server->most_clients) < 0)
        warn("standard output");
}

/* Takes a client that has been accepted. If there is no place for it, closes
 * it. */
static void admit_client(struct server *server, int fd) {
    if (server->clients == server->most_clients) {
        report_full(server);
        (void)close(fd);
        return;
    }
    if (server->spare < 0) {
        server->spare = open_spare();
        if (server->spare < 0) {
            /* No descriptor is free, because this client has got the one that
             * spend_spare has given up. We refuse the client, and then that
             * descriptor is free for our spare one again. */
            (void)close(fd);
            server->spare = open_spare();
            return;
        }
    }
    server->has_reported_full = 0;
    client_serve(server, fd);
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

/* Gives up the spare descriptor, so that accept has one: lesson 25. */
static void spend_spare(struct server *server) {
    if (!server->has_reported_full)
        warn("accept");
    server->has_reported_full = 1;
    (void)close(server->spare);
    server->spare = -1;
}

static void handle_failed_accept(struct server *server, int error) {
    /* From recv, ENOBUFS says that none of our buffers is free. But from
     * accept, it says that memory has run out. */
    if (ring_is_worth_another_try(error) && error != ENOBUFS)
        return;
    int lacks_descriptor = error == EMFILE || error == ENFILE;
    errno = error; /* for the warnings below */
    if (lacks_descriptor && server->spare >= 0)
        spend_spare(server);
    else if (is_one_connection_lost(error))
        warn("accept");
    else
        ring_warn_and_pause("accept");
}

void accept_handle(struct server *server, int result, unsigned flags) {
    if (result >= 0)
        admit_client(server, result);
    else
        handle_failed_accept(server, -result);
    int is_last = (flags & IORING_CQE_F_MORE) == 0;
    if (is_last && !server->is_stop_requested)
        accept_ask_for_clients(server);
}
