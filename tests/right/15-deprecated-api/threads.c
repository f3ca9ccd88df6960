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
    for (; list != NULL; list = list->ai_next) {
        addr_format(list->ai_addr, list->ai_addrlen, server->name);
        server->fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server->fd >= 0 &&
            connect(server->fd, list->ai_addr, list->ai_addrlen) == 0)
            return 0;
        error = errno;
        if (server->fd >= 0)
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
    for (int i = 1; i <= 3; i++) {
        error = try_all(server, list);
        if (error == 0)
            break;
        if (i == 3) {
            errno = error;
            err(1, "%s", server->name);
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
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
    if (argc < 3 || argc > 1 + 2 * MOST || argc % 2 != 1) {
        fputs("usage: 15-deprecated-api HOST PORT [HOST PORT]...\n", stderr);
        return 2;
    }
    in_port_t port;
    for (int i = 2; i < argc; i += 2)
        if (addr_parse_port(argv[i], strlen(argv[i]), 1, &port) < 0)
            errx(1, "%s: no port", argv[i]);
    int count = argc / 2;
    for (int i = 0; i < count; i++)
        connect_to(&servers[i], argv[1 + 2 * i], argv[2 + 2 * i]);
    for (int i = 0; i < count; i++) {
        errno = pthread_create(&servers[i].thread, NULL, receive, &servers[i]);
        if (errno != 0)
            err(1, "pthread_create");
    }
    for (int i = 0; i < count; i++)
        pthread_join(servers[i].thread, NULL);
    return 0;
}
