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

/* Returns a socket that is connected to this address, or -1 and errno. */
static int try_address(const struct addrinfo *at) {
    int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (fd < 0)
        return -1;
    if (connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

/* Tries each address once. Returns the socket, or -1 and errno. Makes *name the
 * text of the address that was tried last, for the caller to free. */
static int try_once(const char *host, const char *port, char **name) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0)
        stop(host, gai_strerror(error));
    int fd = -1;
    *name = NULL;
    struct addrinfo *at = list;
    while (at != NULL && fd < 0) {
        free(*name);
        *name = make_name(at);
        fd = try_address(at);
        at = at->ai_next;
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
    for (int try = 1;; try++) {
        server->fd = try_once(host, port, &server->name);
        if (server->fd >= 0)
            break;
        if (try == 3)
            stop(server->name, strerror(errno));
        free(server->name);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    dprintf(STDOUT_FILENO, "connected to %s\n", server->name);
    return server;
}

/* Receives once. Returns 1 if the server has closed the connection. Then it has
 * freed the server too. */
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

static void check_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    int is_number = text[digits] == '\0';
    long number = strtol(text, NULL, 10);
    if (!is_number || number < 1 || number > 65535)
        stop(text, "not a port");
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
    for (int i = 1; i < argc; i += 2) {
        const char *host = argv[i];
        const char *port = argv[i + 1];
        check_port(port);
        struct server *server = connect_to(host, port);
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
        if (count == 1) {
            int has_closed = receive(event.data.ptr);
            if (has_closed)
                open--;
        }
    }
    return 0;
}
