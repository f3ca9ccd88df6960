/* relay: takes a client to its server, or refuses it. */
#define _GNU_SOURCE

#include "relay.h"

#include "deadline.h"
#include "dial.h"
#include "report.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16384,
    CONNECT_MS = 5 * 1000,   /* to the server */
    IDLE_MS = 5 * 60 * 1000, /* nobody says anything */
};

/* Descriptions of alerts: RFC 8446, section 6. */
enum {
    INTERNAL_ERROR = 80,
    UNRECOGNIZED_NAME = 112,
};

/* The bytes that go one way. */
struct direction {
    int from;
    int to;
    const char *sender; /* the address of each, for messages */
    const char *receiver;
    size_t begin; /* the bytes from begin to end have not been sent yet */
    size_t end;
    bool has_ended; /* no more bytes come */
    bool is_closed; /* and the other side has been told */
    unsigned long long total;
    char bytes[PIECE_BYTES];
};

/* ---- Connect, or refuse ----------------------------------------------------
 */

/* Tells the client in TLS why we cannot pass it on: a record (type 21) with an
 * alert, which is fatal (2). RFC 8446, section 6.
 *
 * First we read the ClientHello. If we left it in the socket, close would reset
 * the connection (lesson 06), and the client might lose the alert. */
static void send_alert(struct client *client, uint8_t description) {
    const uint8_t alert[] = {21, 3, 3, 0, 2, 2, description};
    (void)recv(client->fd, client->seen, sizeof client->seen, MSG_DONTWAIT);
    (void)send(client->fd, alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void relay_refuse(struct client *client) {
    send_alert(client, UNRECOGNIZED_NAME);
    report_begin();
    printf("%s asks for ", client->name);
    if (client->hello.name.length == 0)
        printf("no name");
    report_print_text(client->hello.name.bytes, client->hello.name.length);
    printf(": refused\n");
    report_end();
}

int relay_send_at_once(int fd) {
    const int on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int connect_to_server(const struct client *client,
                             const struct route *route) {
    struct dial dial = {
        .host = route->host,
        .port = route->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = deadline_after(CONNECT_MS),
    };
    int fd = dial_connect(&dial);
    if (fd < 0 && dial.lookup_error != 0)
        warnx("%s: %s: %s", client->name, route->host,
              gai_strerror(dial.lookup_error));
    else if (fd < 0)
        warn("%s: connect %s", client->name, route->address);
    else if (relay_send_at_once(fd) < 0)
        warn("%s: setsockopt TCP_NODELAY", client->name); /* it is only slow */
    return fd;
}

/* ---- Passing on ------------------------------------------------------------
 */

/* Returns whether a call has only found that the socket is not ready, or was
 * interrupted. Then poll says when to call again. */
static bool is_no_failure(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Receives bytes into an empty buffer. Returns -1 when it cannot, which has
 * been reported. */
static int receive_piece(struct direction *direction) {
    ssize_t length = recv(direction->from, direction->bytes,
                          sizeof direction->bytes, MSG_DONTWAIT);
    if (length < 0 && is_no_failure(errno))
        return 0;
    if (length < 0) {
        warn("recv from %s", direction->sender);
        return -1;
    }
    if (length == 0)
        direction->has_ended = true;
    direction->begin = 0;
    direction->end = (size_t)length;
    return 0;
}

/* Sends what the buffer has, or a part of it. Returns -1 when it cannot, which
 * has been reported. */
static int send_piece(struct direction *direction) {
    ssize_t sent =
        send(direction->to, direction->bytes + direction->begin,
             direction->end - direction->begin, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && is_no_failure(errno))
        return 0;
    if (sent < 0) {
        warn("send to %s", direction->receiver);
        return -1;
    }
    direction->begin += (size_t)sent;
    direction->total += (unsigned long long)sent;
    return 0;
}

static bool has_bytes(const struct direction *direction) {
    return direction->begin < direction->end;
}

/* Tells the receiver that no more bytes come. If it has sent its own end, and
 * then a reset, the connection is over, and there is nobody to tell: ENOTCONN.
 */
static void end_direction(struct direction *direction) {
    direction->is_closed = true;
    if (shutdown(direction->to, SHUT_WR) < 0 && errno != ENOTCONN)
        warn("shutdown %s", direction->receiver);
}

/* Moves bytes on, as far as both sides are ready. When the end has come, and
 * all bytes before it have been sent, the receiver is told. Returns -1 when a
 * connection has failed, which has been reported. */
static int move_bytes(struct direction *direction) {
    if (direction->is_closed)
        return 0;
    bool is_empty = !has_bytes(direction);
    if (is_empty && !direction->has_ended) {
        if (receive_piece(direction) < 0)
            return -1;
    }
    if (has_bytes(direction))
        return send_piece(direction);
    if (direction->has_ended)
        end_direction(direction);
    return 0;
}

/* Sets what we wait for at a descriptor. The incoming bytes come from it, and
 * the outgoing bytes go to it. */
static void set_events(struct pollfd *entry, int fd,
                       const struct direction *incoming,
                       const struct direction *outgoing) {
    entry->events = 0;
    if (!has_bytes(incoming) && !incoming->has_ended)
        entry->events |= POLLIN;
    if (has_bytes(outgoing))
        entry->events |= POLLOUT;
    entry->fd = fd;
    if (entry->events == 0)
        entry->fd = -1; /* poll ignores it, even if the peer has gone */
}

/* Passes everything on, until both sides have ended, or a connection has
 * failed, or nobody has said anything for a long time. */
static void pass_on(struct direction *there, struct direction *back) {
    while (!there->is_closed || !back->is_closed) {
        struct pollfd entries[2];
        set_events(&entries[0], there->from, there, back);
        set_events(&entries[1], back->from, back, there);
        int ready = poll(entries, 2, IDLE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0) {
            warn("poll %s", there->sender);
            return;
        }
        if (ready == 0) {
            warnx("%s: nobody has said anything for too long", there->sender);
            return;
        }
        if (move_bytes(there) < 0 || move_bytes(back) < 0)
            return;
    }
}

void relay_connect(struct client *client, const struct route *route) {
    int server = connect_to_server(client, route);
    if (server < 0) {
        send_alert(client, INTERNAL_ERROR);
        return;
    }
    report_begin();
    printf("%s asks for %.*s: passed on to %s\n", client->name,
           (int)route->name_length, route->name, route->address);
    report_end();
    struct direction there = {
        .from = client->fd,
        .to = server,
        .sender = client->name,
        .receiver = route->address,
    };
    struct direction back = {
        .from = server,
        .to = client->fd,
        .sender = route->address,
        .receiver = client->name,
    };
    pass_on(&there, &back);
    report_begin();
    printf("%s closed: %llu bytes there, %llu back\n", client->name,
           there.total, back.total);
    report_end();
    (void)close(server);
}
