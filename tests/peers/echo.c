/*
 * echo: an echo server for many clients, which is not always honest.
 *
 *     echo [-k BYTES] [-p PORT] FACE
 *     echo faces
 *
 * It sends back what it receives. When all clients together have sent BYTES
 * bytes (default 0), it begins to behave as its FACE says:
 *
 *     honest   goes on as before
 *     dribble  sends one byte at a time
 *     trickle  sends one byte each hundredth of a second
 *     flip     changes one byte, once
 *     swap     holds what one client sent, until it receives something again;
 *              then it sends each of the two pieces to the wrong client, once
 *     more     sends one byte too many, once
 *     close    closes the connection of this client, once
 *     reset    resets the connection of this client, once
 *     quit     exits, which closes all connections
 *     mute     sends nothing any more
 *     pause    does nothing for a fifth of a second, once
 *
 * It listens on PORT, or on a port that the kernel chooses, and prints
 * `listening on 127.0.0.1:PORT`. For each client that connects it prints a line
 * such as `127.0.0.2 connected`.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 1 << 16,
    CLIENTS = 64,
    PAUSE_NS = 200 * 1000 * 1000,
    TRICKLE_NS = 10 * 1000 * 1000
};

enum face {
    HONEST,
    DRIBBLE,
    TRICKLE,
    FLIP,
    SWAP,
    MORE,
    CLOSE,
    RESET,
    QUIT,
    MUTE,
    PAUSE,
    FACES
};

static const char *const faces[FACES] = {
    "honest", "dribble", "trickle", "flip", "swap", "more",
    "close",  "reset",   "quit",    "mute", "pause"};

struct server {
    enum face face;
    long honest_bytes; /* it is honest until it has received so many */
    long received;     /* bytes */
    struct pollfd clients[1 + CLIENTS]; /* first comes the listener */
    nfds_t count;                       /* of these, the listener included */
    /* For swap: the client whose bytes we hold, and the bytes. */
    int held_fd;
    size_t held_length;
    char held[PIECE_BYTES];
};

static int listen_on(in_port_t port) {
    const int on = 1;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    return fd;
}

static void accept_client(struct server *server) {
    const int on = 1;
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    char text[INET_ADDRSTRLEN];
    int fd = accept4(server->clients[0].fd, (struct sockaddr *)&peer, &length,
                     SOCK_CLOEXEC);
    if (fd < 0)
        err(1, "accept");
    if (server->count > CLIENTS)
        errx(1, "more than %d clients", CLIENTS);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
    (void)printf("%s connected\n", text);
    server->clients[server->count].fd = fd;
    server->clients[server->count].events = POLLIN;
    server->clients[server->count].revents = 0;
    server->count++;
}

/* Sends all bytes, at most `step` of them at a time. It blocks while the client
 * does not read; the clients that we serve all read. */
static void send_all(int fd, const char *bytes, size_t length, size_t step) {
    while (length > 0) {
        size_t count = length < step ? length : step;
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Sends all bytes, one each TRICKLE_NS, until the client has gone. */
static void trickle(int fd, const char *bytes, size_t length) {
    const struct timespec moment = {.tv_nsec = TRICKLE_NS};
    for (size_t i = 0; i < length; i++) {
        if (send(fd, bytes + i, 1, MSG_NOSIGNAL) < 0)
            return;
        (void)nanosleep(&moment, NULL);
    }
}

static void hold(struct server *server, int fd, const char *bytes,
                 size_t length) {
    memcpy(server->held, bytes, length);
    server->held_length = length;
    server->held_fd = fd;
}

/* The face for what we have just received. */
static enum face next_face(struct server *server, size_t length) {
    enum face face = HONEST;
    if (server->received >= server->honest_bytes)
        face = server->face;
    server->received += (long)length;
    return face;
}

/* Whether the server is honest again after it has shown this face. */
static bool happens_once(enum face face) {
    return face != DRIBBLE && face != TRICKLE && face != MUTE;
}

/* Returns false if the client's connection is to be closed. */
static bool reply(struct server *server, int fd, char *bytes, size_t length) {
    const struct linger at_once = {.l_onoff = 1};
    const struct timespec moment = {.tv_nsec = PAUSE_NS};
    enum face face = next_face(server, length);
    if (face == SWAP && server->held_length == 0) {
        hold(server, fd, bytes, length);
        return true;
    }
    if (face != HONEST && happens_once(face))
        server->face = HONEST;
    switch (face) {
    case HONEST:
        send_all(fd, bytes, length, length);
        return true;
    case DRIBBLE:
        send_all(fd, bytes, length, 1);
        return true;
    case TRICKLE:
        trickle(fd, bytes, length);
        return true;
    case FLIP:
        bytes[length - 1] ^= 1;
        send_all(fd, bytes, length, length);
        return true;
    case SWAP:
        send_all(server->held_fd, bytes, length, length);
        send_all(fd, server->held, server->held_length, server->held_length);
        return true;
    case MORE:
        send_all(fd, bytes, length, length);
        send_all(fd, "!", 1, 1);
        return true;
    case CLOSE:
        return false;
    case RESET:
        /* With SO_LINGER and no time, close sends a reset: socket(7). */
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        return false;
    case QUIT:
        exit(0);
    case MUTE:
        return true;
    case PAUSE:
        (void)nanosleep(&moment, NULL);
        send_all(fd, bytes, length, length);
        return true;
    case FACES:
        break;
    }
    return false;
}

/* Returns false if the client's connection is to be closed. */
static bool serve_client(struct server *server, int fd) {
    static char piece[PIECE_BYTES];
    ssize_t got = recv(fd, piece, sizeof piece, 0);
    if (got <= 0)
        return false;
    return reply(server, fd, piece, (size_t)got);
}

static void serve(struct server *server) {
    while (poll(server->clients, server->count, -1) > 0) {
        nfds_t kept = 1;
        for (nfds_t i = 1; i < server->count; i++) {
            struct pollfd client = server->clients[i];
            if (client.revents == 0 || serve_client(server, client.fd)) {
                server->clients[kept] = client;
                kept++;
            } else {
                (void)close(client.fd);
            }
        }
        server->count = kept;
        if (server->clients[0].revents != 0)
            accept_client(server);
    }
}

static _Noreturn void usage(void) {
    fputs("usage: echo [-k BYTES] [-p PORT] FACE | faces\n", stderr);
    exit(2);
}

static enum face face_named(const char *name) {
    for (int face = 0; face < FACES; face++)
        if (strcmp(faces[face], name) == 0)
            return (enum face)face;
    usage();
}

int main(int argc, char **argv) {
    static struct server server = {.count = 1};
    long port = 0;
    for (;;) {
        int option = getopt(argc, argv, "k:p:");
        if (option == -1)
            break;
        if (option == 'k')
            server.honest_bytes = strtol(optarg, NULL, 10);
        else if (option == 'p')
            port = strtol(optarg, NULL, 10);
    }
    if (optind != argc - 1)
        usage();
    if (strcmp(argv[optind], "faces") == 0) {
        for (int face = 0; face < FACES; face++)
            (void)puts(faces[face]);
        return 0;
    }
    server.face = face_named(argv[optind]);
    server.clients[0].fd = listen_on((in_port_t)port);
    server.clients[0].events = POLLIN;
    serve(&server);
    return 0;
}
