/*
 * A right answer with a thread for each server, which receives with recv that
 * blocks, and prints its own line. The main thread has connected to all.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8 };

struct server {
    char name[ADDR_TEXT_BYTES];
    pthread_t thread;
    int fd;
};

/* Goes once through all addresses. Returns 0 or the errno of the last one. */
static int try_all(struct server *server, const struct addrinfo *list) {
    int error = 0;
    const struct addrinfo *at;
    for (at = list; at != NULL; at = at->ai_next) {
        addr_format(at->ai_addr, at->ai_addrlen, server->name);
        server->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server->fd < 0) {
            error = errno;
            continue;
        }
        if (connect(server->fd, at->ai_addr, at->ai_addrlen) == 0)
            return 0;
        error = errno;
        close(server->fd);
    }
    return error;
}

static void connect_to(struct server *server, const char *host,
                       const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    const struct timespec pause = {.tv_nsec = 100000000};
    for (int try = 1;; try++) {
        error = try_all(server, list);
        if (error == 0)
            break;
        if (try == 3) {
            errno = error;
            err(1, "%s", server->name);
        }
        nanosleep(&pause, NULL);
    }
    freeaddrinfo(list);
    printf("connected to %s\n", server->name);
    fflush(stdout);
}

static void *receive(void *argument) {
    struct server *server = argument;
    unsigned long long bytes = 0;
    char piece[65536];
    for (;;) {
        ssize_t got = recv(server->fd, piece, sizeof piece, 0);
        if (got == 0)
            break;
        if (got > 0)
            bytes += (unsigned long long)got;
        else if (errno != EINTR)
            err(1, "%s", server->name);
    }
    flockfile(stdout);
    printf("%s said %llu bytes\n", server->name, bytes);
    fflush(stdout);
    funlockfile(stdout);
    close(server->fd);
    return NULL;
}

int main(int argc, char **argv) {
    static struct server servers[MOST];
    int words = argc - 1;
    int count = words / 2;
    if (words % 2 != 0 || count < 1 || count > MOST) {
        fputs("usage: 15-deprecated-api HOST PORT [HOST PORT]...\n", stderr);
        return 2;
    }
    in_port_t port;
    for (int i = 2; i < argc; i += 2) {
        if (addr_parse_port(argv[i], strlen(argv[i]), 1, &port) < 0)
            errx(1, "%s: no port", argv[i]);
    }
    char **word = argv + 1;
    for (int i = 0; i < count; i++) {
        connect_to(&servers[i], word[0], word[1]);
        word += 2;
    }
    for (int i = 0; i < count; i++) {
        struct server *server = &servers[i];
        int error = pthread_create(&server->thread, NULL, receive, server);
        if (error != 0)
            errx(1, "pthread_create: %s", strerror(error));
    }
    for (int i = 0; i < count; i++)
        pthread_join(servers[i].thread, NULL);
    return 0;
}
