/*
 * 33 exercise: HTTP CONNECT on the same port.
 *
 * 1. It still connects clients that speak SOCKS 5.
 * 2. It connects a client to the target of its CONNECT. The reply has the
 *    status 200, and ends with an empty line. After that, all bytes are passed
 *    on, both ways.
 * 3. It uses the target in the first line, and not the field Host. They may
 *    differ.
 * 4. It reads a target with an IPv6 address, which has brackets: `[::1]:443`.
 * 5. It passes on the bytes that come together with the head. The head ends at
 *    the empty line, and what is behind it is for the server.
 * 6. It reads a head that comes in many pieces.
 * 7. It ends each way by itself. When the client ends its side, the server is
 *    told, and may still send.
 * 8. It refuses a target that has another address than ALLOWED, with the status
 *    403. A name is looked up first: it is the address that counts. (If the
 *    name has several addresses, only ALLOWED may be connected to.)
 * 9. It refuses another method than CONNECT, with the status 405. Large and
 *    small letters differ: `Connect` is another method. This reply has the
 *    field `Allow: CONNECT`. It does not matter what the target is.
 * 10. It refuses a bad request, with the status 400. Examples are a target
 *     without a port, a port that is not a number from 1 to 65535, a field
 *     without a colon, or a version such as HTTP/2.0. (You decide whether
 *     HTTP/1.2 is good.) For a host that is longer than any name can be, the
 *     status is 400 or 502. A request without the field Host is good. If the
 *     method is not CONNECT, requirement 9 comes first: send 405, however bad
 *     the target is. If two other refusals fit, you may send either of them.
 *     (If the first line cannot be read at all, or if the version or a field is
 *     bad too, send 400 or 405.)
 * 11. It refuses a head of more than 8192 bytes, with the status 431. The
 *     empty line is part of the 8192 bytes, and what comes behind it is not.
 * 12. It says that a server cannot be reached, with the status 502. This is so
 *     for a name that does not exist, too. For a server that does not answer
 *     in time, the status is 502 or 504.
 * 13. It closes the connection after it has refused a request. If another
 *     request follows in the same connection, it gets no answer.
 * 14. It gives up on a client that has not sent its whole head after one
 *     second. Others are served meanwhile. You decide whether it gets a reply.
 * 15. It closes the connection of a client whose first byte is neither 5 nor a
 *     capital letter. It sends nothing to it.
 *
 * What is here compiles, and is a proxy for SOCKS 5. Your part begins in
 * serve_http.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "dial.h"
#include "listener.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HANDSHAKE_MS = 1000,
    CONNECT_MS = 5 * 1000,
    PIECE_BYTES = 16384,
    PAUSE_MS = 100, /* after a call that failed */
    HOST_BYTES = 256,
    PORT_BYTES = sizeof "65535",
};

/* RFC 1928. */
enum { SOCKS_VERSION = 5, CONNECT = 1, ADDRESS_IPV4 = 1, ADDRESS_NAME = 3 };

/* One client, which has a thread of its own. */
struct client {
    int fd;
    const char *allowed;      /* the only address that may be reached */
    struct deadline deadline; /* of the handshake */
};

/* Where a client wants to go. */
struct target {
    char host[HOST_BYTES];
    char port[PORT_BYTES];
};

/* What came of a connection to the target. */
enum outcome {
    CONNECTED,
    NOT_ALLOWED, /* it has no address that may be reached */
    NOT_REACHED,
    TOO_LATE, /* it has not answered in time */
};

/* The bytes that go one way. */
struct direction {
    int from;
    int to;
    size_t begin; /* the bytes from begin to end have not been sent yet */
    size_t end;
    bool has_ended; /* no more bytes come */
    bool is_closed; /* and the other side has been told */
    char bytes[PIECE_BYTES];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 33-socks-proxy ALLOWED PORT\n", out);
    exit(status);
}

/* ---- Messages --------------------------------------------------------------
 */

/* Receives exactly so many bytes. Returns false when they do not come. */
static bool receive_bytes(const struct client *client, uint8_t *bytes,
                          size_t length) {
    if (deadline_recv_all(client->deadline, client->fd, bytes, length) == 0)
        return true;
    if (errno != EPROTO) /* which means that the client has ended */
        warn("recv");
    return false;
}

static bool send_bytes(const struct client *client, const void *bytes,
                       size_t length) {
    size_t sent;
    if (deadline_send(deadline_after(HANDSHAKE_MS), client->fd, bytes, length,
                      &sent) == 0)
        return true;
    warn("send");
    return false;
}

/* ---- The server ------------------------------------------------------------
 */

/* dial_connect asks this about each address to which a name leads. */
static bool is_allowed(void *context, const struct sockaddr *address) {
    const struct client *client = context;
    char text[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, address, sizeof ipv4);
        (void)inet_ntop(AF_INET, &ipv4.sin_addr, text, sizeof text);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, address, sizeof ipv6);
        (void)inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof text);
    }
    return strcmp(text, client->allowed) == 0;
}

/* Connects to the target, if it is allowed. *fd becomes the connection. */
static enum outcome connect_to(struct client *client,
                               const struct target *target, int *fd) {
    struct dial dial = {
        .host = target->host,
        .port = target->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = deadline_after(CONNECT_MS),
        .filter = is_allowed,
        .context = client,
    };
    *fd = dial_connect(&dial);
    if (*fd >= 0)
        return CONNECTED;
    if (dial.lookup_error != 0)
        return NOT_REACHED;
    if (errno == EACCES)
        return NOT_ALLOWED;
    if (errno == ETIMEDOUT)
        return TOO_LATE;
    return NOT_REACHED;
}

/* ---- Passing on ------------------------------------------------------------
 */

static bool has_bytes(const struct direction *direction) {
    return direction->begin < direction->end;
}

/* Receives bytes into an empty buffer. Returns -1 with errno. */
static int receive_piece(struct direction *direction) {
    ssize_t length = recv(direction->from, direction->bytes,
                          sizeof direction->bytes, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return 0;
    if (length < 0)
        return -1;
    if (length == 0)
        direction->has_ended = true;
    direction->begin = 0;
    direction->end = (size_t)length;
    return 0;
}

/* Sends what the buffer has, or a part of it. Returns -1 with errno. */
static int send_piece(struct direction *direction) {
    ssize_t sent =
        send(direction->to, direction->bytes + direction->begin,
             direction->end - direction->begin, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
        return 0;
    if (sent < 0)
        return -1;
    direction->begin += (size_t)sent;
    return 0;
}

/* Moves bytes on, as far as both sides are ready. Returns -1 with errno. */
static int move_bytes(struct direction *direction) {
    if (!has_bytes(direction) && !direction->has_ended &&
        receive_piece(direction) < 0)
        return -1;
    if (has_bytes(direction) && send_piece(direction) < 0)
        return -1;
    if (!has_bytes(direction) && direction->has_ended &&
        !direction->is_closed) {
        direction->is_closed = true;
        return shutdown(direction->to, SHUT_WR);
    }
    return 0;
}

/* Sets what we wait for at the descriptor, from which one direction comes, and
 * to which the other one goes. */
static void set_events(struct pollfd *entry, int fd,
                       const struct direction *source,
                       const struct direction *sink) {
    entry->events = 0;
    if (!has_bytes(source) && !source->has_ended)
        entry->events |= POLLIN;
    if (has_bytes(sink))
        entry->events |= POLLOUT;
    entry->fd = fd;
    if (entry->events == 0)
        entry->fd = -1; /* poll ignores it, even if the peer has gone */
}

/* Passes on what comes, both ways, until both sides have ended or one of them
 * has failed. */
static void pass_on(struct direction *there, struct direction *back) {
    while (!there->is_closed || !back->is_closed) {
        struct pollfd entries[2];
        set_events(&entries[0], there->from, there, back);
        set_events(&entries[1], back->from, back, there);
        if (poll(entries, 2, -1) < 0)
            return;
        if (move_bytes(there) < 0 || move_bytes(back) < 0)
            return;
    }
}

/* ---- SOCKS 5 ---------------------------------------------------------------
 */

/* The first byte, the version, has been read. */
static bool greet(const struct client *client) {
    const uint8_t no_password[] = {SOCKS_VERSION, 0};
    uint8_t count;
    uint8_t methods[UINT8_MAX];
    if (!receive_bytes(client, &count, 1))
        return false;
    if (!receive_bytes(client, methods, count))
        return false;
    if (memchr(methods, 0, count) == NULL)
        return false;
    return send_bytes(client, no_password, sizeof no_password);
}

/* Receives a request. Returns false when we do not understand it. */
static bool receive_request(const struct client *client,
                            struct target *target) {
    uint8_t head[4]; /* version, command, a zero, kind of address */
    uint8_t length;
    uint8_t port[2];
    if (!receive_bytes(client, head, sizeof head))
        return false;
    if (head[0] != SOCKS_VERSION || head[1] != CONNECT)
        return false;
    if (head[3] == ADDRESS_IPV4) {
        uint8_t address[sizeof(struct in_addr)];
        if (!receive_bytes(client, address, sizeof address))
            return false;
        (void)inet_ntop(AF_INET, address, target->host, sizeof target->host);
    } else if (head[3] == ADDRESS_NAME) {
        if (!receive_bytes(client, &length, 1))
            return false;
        if (!receive_bytes(client, (uint8_t *)target->host, length))
            return false;
        target->host[length] = '\0';
    } else {
        return false;
    }
    if (!receive_bytes(client, port, sizeof port))
        return false;
    (void)snprintf(target->port, sizeof target->port, "%d",
                   port[0] << 8 | port[1]);
    return true;
}

static void serve_socks(struct client *client) {
    uint8_t reply[] = {SOCKS_VERSION, 0, 0, ADDRESS_IPV4, 0, 0, 0, 0, 0, 0};
    struct target target;
    int server;
    if (!greet(client) || !receive_request(client, &target))
        return;
    switch (connect_to(client, &target, &server)) {
    case CONNECTED:
        break;
    case NOT_ALLOWED:
        reply[1] = 2;
        break;
    case NOT_REACHED:
    case TOO_LATE:
        reply[1] = 4;
        break;
    }
    bool is_sent = send_bytes(client, reply, sizeof reply);
    if (server < 0)
        return;
    struct direction there = {.from = client->fd, .to = server};
    struct direction back = {.from = server, .to = client->fd};
    if (is_sent)
        pass_on(&there, &back);
    (void)close(server);
}

/* ---- HTTP ------------------------------------------------------------------
 */

/* The first byte of the request has been read. */
static void serve_http(struct client *client, uint8_t first) {
    /* Your part: read the head, connect to its target, say so, and pass on. */
    (void)client;
    (void)first;
}

/* ---- Clients ---------------------------------------------------------------
 */

/* The first byte of a client says which protocol it speaks. */
static void serve_client(struct client *client) {
    uint8_t first;
    if (!receive_bytes(client, &first, 1))
        return;
    if (first == SOCKS_VERSION)
        serve_socks(client);
    else
        serve_http(client, first);
}

static void *run_client(void *argument) {
    struct client *client = argument;
    serve_client(client);
    (void)close(client->fd);
    free(client);
    return NULL;
}

static void start_client(int fd, const char *allowed) {
    pthread_t thread;
    struct client *client = malloc(sizeof *client);
    if (client == NULL) {
        warn("malloc");
        (void)close(fd);
        return;
    }
    client->fd = fd;
    client->allowed = allowed;
    client->deadline = deadline_after(HANDSHAKE_MS);
    int error = pthread_create(&thread, NULL, run_client, client);
    if (error == 0) {
        (void)pthread_detach(thread);
        return;
    }
    warnx("pthread_create: %s", strerror(error));
    (void)close(fd);
    free(client);
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (listener_announce(fd, &failed) < 0)
        err(1, "%s", failed);
    return fd;
}

int main(int argc, char **argv) {
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    if (addr_parse_port(argv[2], strlen(argv[2]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[2]);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    int listener = listen_on(port);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            start_client(fd, argv[1]);
            continue;
        }
        warn("accept");
        deadline_pause(PAUSE_MS); /* the next call may fail, too */
    }
}
