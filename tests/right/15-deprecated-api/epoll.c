/*
 * A right answer with epoll, with getaddrinfo and getnameinfo called by itself,
 * and with clock_nanosleep. The name is looked up anew for each try.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct server {
    char *name;
    int fd;
    long bytes;
};

static _Noreturn void stop(const char *what, const char *why) {
    fprintf(stderr, "15-deprecated-api: %s: %s\n", what, why);
    exit(1);
}

/* Returns the address as text, for the caller to free. */
static char *make_name(const struct addrinfo *at) {
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    char *name;
    int error = getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host,
                            port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (error != 0)
        stop("getnameinfo", gai_strerror(error));
    const char *open = "";
    const char *shut = "";
    if (at->ai_family == AF_INET6) {
        open = "[";
        shut = "]";
    }
    if (asprintf(&name, "%s%s%s:%s", open, host, shut, port) < 0)
        stop("asprintf", "no memory");
    return name;
}

/* Tries each address once. Returns the socket, or -1; *name is the last one. */
static int try_once(const char *host, const char *port, char **name) {
    struct addrinfo hints;
    struct addrinfo *list;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0)
        stop(host, gai_strerror(error));
    int fd = -1;
    *name = NULL;
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        free(*name);
        *name = make_name(at);
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd < 0)
            continue;
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
            break;
        int number = errno;
        close(fd);
        errno = number;
        fd = -1;
    }
    int number = errno;
    freeaddrinfo(list);
    errno = number;
    return fd;
}

static struct server *connect_to(const char *host, const char *port) {
    struct server *server = calloc(1, sizeof *server);
    const struct timespec pause = {.tv_nsec = 100000000};
    if (server == NULL)
        stop("calloc", "no memory");
    for (int left = 2; left >= 0; left--) {
        server->fd = try_once(host, port, &server->name);
        if (server->fd >= 0)
            break;
        if (left == 0)
            stop(server->name, strerror(errno));
        free(server->name);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    dprintf(STDOUT_FILENO, "connected to %s\n", server->name);
    return server;
}

/* Returns 1 if the server has closed the connection. */
static int receive(struct server *server) {
    char piece[100];
    ssize_t got = read(server->fd, piece, sizeof piece);
    if (got < 0)
        stop(server->name, strerror(errno));
    server->bytes += got;
    if (got > 0)
        return 0;
    dprintf(STDOUT_FILENO, "%s said %ld bytes\n", server->name, server->bytes);
    close(server->fd);
    free(server->name);
    free(server);
    return 1;
}

int main(int argc, char **argv) {
    if (argc % 2 == 0 || argc < 3 || argc > 17) {
        fprintf(stderr, "usage: 15-deprecated-api HOST PORT [HOST PORT]...\n");
        return 2;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        stop("epoll_create1", strerror(errno));
    int open = 0;
    for (char **word = argv + 1; *word != NULL; word += 2) {
        const char *port = word[1];
        long number = strtol(port, NULL, 10);
        if (port[strspn(port, "0123456789")] != '\0' || number < 1 ||
            number > 65535)
            stop(port, "not a port");
        struct server *server = connect_to(word[0], port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = server};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, server->fd, &event) < 0)
            stop("epoll_ctl", strerror(errno));
        /* receive frees it. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        open++;
    }
    while (open > 0) {
        struct epoll_event event;
        int count = epoll_wait(epoll, &event, 1, -1);
        if (count < 0)
            stop("epoll_wait", strerror(errno));
        if (count == 1)
            open -= receive(event.data.ptr);
    }
    return 0;
}
