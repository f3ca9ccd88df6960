/*
 * 15 solution: a program of 1999, brought up to date, one good answer of many.
 *
 * usage: 15-deprecated-api HOST PORT [HOST PORT]...
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SERVERS = 8,
    TRIES = 3,
    PAUSE = 100000000, /* nanoseconds, between two tries */
};

struct server {
    char name[ADDR_TEXT_BYTES];
    unsigned long bytes;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 15-deprecated-api HOST PORT [HOST PORT]...\n", out);
    exit(status);
}

/* Returns a socket that is connected to one of HOST's addresses, or -1; the
 * name of the last one tried goes into server. */
static int try_each(struct server *server, const struct addrinfo *list) {
    for (; list != NULL; list = list->ai_next) {
        (void)addr_format(list->ai_addr, list->ai_addrlen, server->name);
        int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        if (connect(fd, list->ai_addr, list->ai_addrlen) == 0)
            return fd;
        int error = errno;
        (void)close(fd);
        errno = error;
    }
    return -1;
}

static int connect_to(struct server *server, const char *host,
                      const char *port) {
    in_port_t number;
    struct addrinfo *list;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    int fd = try_each(server, list);
    for (int try = 2; fd < 0 && try <= TRIES; try++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
        fd = try_each(server, list);
    }
    if (fd < 0)
        err(1, "connect %s", server->name);
    freeaddrinfo(list);
    printf("connected to %s\n", server->name);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return fd;
}

/* Takes what has come; at the end says how much it was, and returns 0. */
static int hear(int fd, struct server *server) {
    char piece[4096];
    ssize_t received = recv(fd, piece, sizeof piece, 0);
    if (received < 0)
        err(1, "recv from %s", server->name);
    server->bytes += (unsigned long)received;
    if (received > 0)
        return 1;
    printf("%s said %lu bytes\n", server->name, server->bytes);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    (void)close(fd);
    return 0;
}

int main(int argc, char **argv) {
    struct server servers[SERVERS] = {0};
    struct pollfd fds[SERVERS];
    int count = (argc - 1) / 2;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 3 || argc % 2 == 0 || count > SERVERS)
        usage(stderr, 2);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0) /* or a socket would be it */
        err(1, "standard output");
    for (int i = 0; i < count; i++)
        fds[i] = (struct pollfd){
            .fd = connect_to(&servers[i], argv[1 + 2 * i], argv[2 + 2 * i]),
            .events = POLLIN,
        };
    for (int left = count; left > 0;) {
        if (poll(fds, (nfds_t)count, -1) < 0)
            err(1, "poll");
        for (int i = 0; i < count; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0 ||
                hear(fds[i].fd, &servers[i]))
                continue;
            fds[i].fd = -1; /* poll passes over it */
            left--;
        }
    }
    return 0;
}
