/*
 * echo: an echo server for many clients, which is not always honest.
 *
 *     echo [-k BYTES] [-p PORT] FACE
 *     echo faces
 *
 * It sends back what it gets, and from the BYTES-th byte on (of all, 0 unless
 * given) has a FACE:
 *
 *     honest   no other
 *     dribble  one byte a send
 *     flip     one byte is another one, once
 *     swap     what one client sent goes to the next that is heard, and the
 *              other way round, once
 *     more     sends a byte too many, once
 *     close    ends this client's connection, once
 *     reset    the same, by a reset
 *     quit     ends, and all connections with it
 *     mute     sends nothing any more
 *     pause    does nothing for a fifth of a second, once
 *
 * It takes PORT, or any, says `listening on 127.0.0.1:PORT`, and a line
 * for each client that comes: `127.0.0.2 connected`.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
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

enum { PIECE_BYTES = 1 << 16, CLIENTS = 64, PAUSE_NS = 200 * 1000 * 1000 };

enum face {
    HONEST,
    DRIBBLE,
    FLIP,
    SWAP,
    MORE,
    CLOSE,
    RESET,
    QUIT,
    MUTE,
    PAUSE
};

static const char *const faces[] = {"honest", "dribble", "flip",  "swap",
                                    "more",   "close",   "reset", "quit",
                                    "mute",   "pause"};

struct server {
    enum face face;
    long until, seen; /* bytes */
    struct pollfd clients[1 + CLIENTS];
    nfds_t count;
    int held_fd; /* the first of two to swap; and what it sent */
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
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&own, sizeof own) < 0 ||
        listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "listen");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    return fd;
}

static void accept_one(struct server *server) {
    const int on = 1;
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    char text[INET_ADDRSTRLEN];
    int fd = accept4(server->clients[0].fd, (struct sockaddr *)&peer, &length,
                     SOCK_CLOEXEC);
    if (fd < 0 || server->count > CLIENTS)
        err(1, "accept");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
    (void)printf("%s connected\n", text);
    server->clients[server->count++] =
        (struct pollfd){.fd = fd, .events = POLLIN};
}

/* Blocks where a client does not read; ours do. */
static void send_all(int fd, const char *bytes, size_t length, size_t step) {
    while (length > 0) {
        ssize_t sent =
            send(fd, bytes, length < step ? length : step, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Returns false when this client's connection is to be closed. */
static bool reply(struct server *server, int fd, char *bytes, size_t length) {
    const struct linger at_once = {.l_onoff = 1};
    const struct timespec moment = {.tv_nsec = PAUSE_NS};
    enum face face = server->seen >= server->until ? server->face : HONEST;
    server->seen += (long)length;
    if (face == SWAP && server->held_length == 0) {
        memcpy(server->held, bytes, server->held_length = length);
        server->held_fd = fd;
        return true;
    }
    if (face != HONEST && face != DRIBBLE && face != MUTE)
        server->face = HONEST; /* once */
    if (face == QUIT)
        exit(0);
    if (face == PAUSE)
        (void)nanosleep(&moment, NULL);
    if (face == FLIP)
        bytes[length - 1] ^= 1;
    if (face == RESET)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (face == CLOSE || face == RESET)
        return false;
    if (face == SWAP) {
        send_all(server->held_fd, bytes, length, length);
        send_all(fd, server->held, server->held_length, server->held_length);
    } else if (face != MUTE) {
        send_all(fd, bytes, length, face == DRIBBLE ? 1 : length);
    }
    if (face == MORE)
        send_all(fd, "!", 1, 1);
    return true;
}

static void serve(struct server *server) {
    static char piece[PIECE_BYTES];
    while (poll(server->clients, server->count, -1) > 0) {
        nfds_t kept = 1;
        nfds_t count = server->count;
        for (nfds_t i = 1; i < count; i++) {
            struct pollfd *client = &server->clients[i];
            ssize_t got = 1;
            if (client->revents != 0)
                got = recv(client->fd, piece, sizeof piece, 0);
            if (got <= 0 || (client->revents != 0 &&
                             !reply(server, client->fd, piece, (size_t)got)))
                (void)close(client->fd);
            else
                server->clients[kept++] = *client;
        }
        server->count = kept;
        if (server->clients[0].revents != 0)
            accept_one(server);
    }
}

int main(int argc, char **argv) {
    static struct server server = {.count = 1};
    const size_t all = sizeof faces / sizeof faces[0];
    size_t face = 0;
    long port = 0;
    for (int option; (option = getopt(argc, argv, "k:p:")) != -1;)
        if (option == 'k' || option == 'p')
            *(option == 'k' ? &server.until : &port) = strtol(optarg, NULL, 10);
    if (optind == argc - 1 && strcmp(argv[optind], "faces") == 0) {
        for (face = 0; face < all; face++)
            (void)puts(faces[face]);
        return 0;
    }
    while (optind == argc - 1 && face < all &&
           strcmp(argv[optind], faces[face]) != 0)
        face++;
    if (optind != argc - 1 || face == all) {
        fputs("usage: echo [-k BYTES] [-p PORT] FACE | faces\n", stderr);
        return 2;
    }
    server.face = (enum face)face;
    server.clients[0] =
        (struct pollfd){.fd = listen_on((in_port_t)port), .events = POLLIN};
    serve(&server);
    return 0;
}
