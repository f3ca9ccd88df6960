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
    MOST_SERVERS = 8,
    TRIES = 3,
    PAUSE_NANOSECONDS = 100 * 1000 * 1000,
};

struct server {
    int fd; /* -1 when the server has ended */
    char name[ADDR_TEXT_BYTES];
    unsigned long bytes;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 15-deprecated-api HOST PORT [HOST PORT]...\n", out);
    exit(status);
}

static void flush_output(void) {
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Returns a socket that is connected to this address, or -1 and errno. */
static int try_address(const struct addrinfo *where) {
    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, where->ai_addr, where->ai_addrlen) < 0) {
        int error = errno;
        (void)close(fd); /* fd was never connected, so nothing can be lost */
        errno = error;
        return -1;
    }
    return fd;
}

/* Tries each address of the list once. Returns a socket that is connected to
 * the first one that answers, or -1 and errno. Writes the name of the last
 * address that was tried into name, which has ADDR_TEXT_BYTES. */
static int try_addresses(const struct addrinfo *list, char *name) {
    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        (void)addr_format(where->ai_addr, where->ai_addrlen, name);
        fd = try_address(where);
        where = where->ai_next;
    }
    return fd;
}

static void connect_to(struct server *server, const char *host,
                       const char *port) {
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));

    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    server->fd = try_addresses(list, server->name);
    int tries = 1;
    while (server->fd < 0 && tries < TRIES) {
        (void)nanosleep(&pause, NULL); /* no signal handler cuts it short */
        server->fd = try_addresses(list, server->name);
        tries++;
    }
    if (server->fd < 0)
        err(1, "connect %s", server->name);
    freeaddrinfo(list);
    printf("connected to %s\n", server->name);
    flush_output();
}

/* Receives once, and counts the bytes. Prints the count when the server has
 * ended. */
static void receive_from(struct server *server) {
    char piece[4096];
    ssize_t received = recv(server->fd, piece, sizeof piece, 0);
    if (received < 0)
        err(1, "recv from %s", server->name);
    server->bytes += (unsigned long)received;
    if (received > 0)
        return;
    printf("%s said %lu bytes\n", server->name, server->bytes);
    flush_output();
    (void)close(server->fd); /* everything has been received */
    server->fd = -1;
}

/* Waits until some of the servers have sent something, and receives that.
 * Returns how many servers have not ended. */
static int receive_from_all(struct server *servers, int count) {
    struct pollfd waiting[MOST_SERVERS];
    int still_open = 0;
    for (int i = 0; i < count; i++) {
        waiting[i].fd = servers[i].fd; /* poll ignores a negative one */
        waiting[i].events = POLLIN;
        waiting[i].revents = 0;
    }
    if (poll(waiting, (nfds_t)count, -1) < 0)
        err(1, "poll");
    for (int i = 0; i < count; i++) {
        if (waiting[i].revents != 0)
            receive_from(&servers[i]);
        if (servers[i].fd >= 0)
            still_open++;
    }
    return still_open;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    int words = argc - 1; /* HOST and PORT for each server */
    if (words % 2 != 0)
        usage(stderr, 2);
    int count = words / 2;
    if (count < 1 || count > MOST_SERVERS)
        usage(stderr, 2);
    /* If standard output were closed, a socket would get its number: lesson
     * 01. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");

    struct server servers[MOST_SERVERS] = {0};
    char **word = argv + 1;
    for (int i = 0; i < count; i++) {
        connect_to(&servers[i], word[0], word[1]);
        word += 2;
    }
    int still_open = count;
    while (still_open > 0)
        still_open = receive_from_all(servers, count);
    return 0;
}
