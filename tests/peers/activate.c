/*
 * activate: open listeners for another program, and become that program.
 *
 *     activate [-p PID] [-n COUNT] WHAT... -- COMMAND [ARGUMENT...]
 *
 * This is how systemd starts a server: sd_listen_fds(3). The listeners are the
 * descriptors 3, 4 and so on. LISTEN_PID is our own process id, and an exec
 * keeps that. LISTEN_FDS is the number of listeners. LISTEN_FDNAMES has a name
 * for each.
 *
 * Each WHAT is a listener, ADDRESS:PORT or [IPv6]:PORT, where port 0 is any
 * free port. Or it is something else:
 *
 *     unix    a listener of the family AF_UNIX, without a name
 *     bound   a TCP socket that does not listen
 *     pair    one end of a connection
 *     udp     a socket for datagrams
 *     file    /dev/null
 *     closed  nothing: the descriptor is not open
 *
 * With -p the variable LISTEN_PID is PID, and with -n the variable LISTEN_FDS
 * is COUNT, whatever is true.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FIRST = 3,   /* the first descriptor that is handed over */
    ASIDE = 200, /* until then, all of them are above this */
    MOST = 100,  /* WHATs */
    BACKLOG = 128,
    CANNOT_RUN = 126,
};

static _Noreturn void usage(void) {
    fputs("usage: activate [-p PID] [-n COUNT] WHAT... -- COMMAND "
          "[ARGUMENT...]\n",
          stderr);
    exit(2);
}

static int make_socket(int family, int type) {
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

static void bind_to(int fd, const void *address, socklen_t length,
                    const char *name) {
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, address, length) < 0)
        err(1, "bind %s", name);
}

static int listen_with(int fd, const char *name) {
    if (listen(fd, BACKLOG) < 0)
        err(1, "listen %s", name);
    return fd;
}

static int listen_at(const char *text) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        usage();
    in_port_t port = htons((in_port_t)strtoul(colon + 1, NULL, 10));
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = port};
    int fd;
    if (text[0] == '[') {
        (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2,
                       text + 1);
        if (inet_pton(AF_INET6, host, &ipv6.sin6_addr) != 1)
            usage();
        fd = make_socket(AF_INET6, SOCK_STREAM);
        bind_to(fd, &ipv6, sizeof ipv6, text);
    } else {
        (void)snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
        if (inet_pton(AF_INET, host, &ipv4.sin_addr) != 1)
            usage();
        fd = make_socket(AF_INET, SOCK_STREAM);
        bind_to(fd, &ipv4, sizeof ipv4, text);
    }
    return listen_with(fd, text);
}

/* The kernel gives a UNIX socket a name of its own for an address that has the
 * family only: unix(7), "Autobind feature". */
static int listen_unix(void) {
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    int fd = make_socket(AF_UNIX, SOCK_STREAM);
    bind_to(fd, &own, sizeof own.sun_family, "unix");
    return listen_with(fd, "unix");
}

static int open_bound(int type) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = make_socket(AF_INET, type);
    bind_to(fd, &own, sizeof own, "127.0.0.1:0");
    return fd;
}

static int open_pair(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        err(1, "socketpair");
    return pair[0]; /* the other end stays open until the exec */
}

static int open_null(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err(1, "/dev/null");
    return fd;
}

/* Opens what the text says. Returns -1 for `closed`. */
static int open_what(const char *text) {
    if (strcmp(text, "unix") == 0)
        return listen_unix();
    if (strcmp(text, "bound") == 0)
        return open_bound(SOCK_STREAM);
    if (strcmp(text, "pair") == 0)
        return open_pair();
    if (strcmp(text, "udp") == 0)
        return open_bound(SOCK_DGRAM);
    if (strcmp(text, "file") == 0)
        return open_null();
    if (strcmp(text, "closed") == 0)
        return -1;
    return listen_at(text);
}

/* Moves the descriptor above ASIDE, so that it is not in the way of others. */
static int put_aside(int fd) {
    if (fd < 0)
        return -1;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, ASIDE);
    if (moved < 0)
        err(1, "fcntl F_DUPFD_CLOEXEC");
    (void)close(fd);
    return moved;
}

/* Makes the descriptors 3, 4 and so on of them. dup2 clears close-on-exec. */
static void hand_over(const int *opened, int count) {
    for (int i = 0; i < count; i++) {
        (void)close(FIRST + i);
        if (opened[i] >= 0 && dup2(opened[i], FIRST + i) < 0)
            err(1, "dup2");
    }
}

static void set_variables(const char *pid, const char *number, int count) {
    char text[32];
    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid != NULL ? pid : text, 1);
    (void)snprintf(text, sizeof text, "%d", count);
    (void)setenv("LISTEN_FDS", number != NULL ? number : text, 1);
    char names[MOST * sizeof "web:"];
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(names + length, sizeof names - length,
                                   "%sweb", i == 0 ? "" : ":");
    (void)setenv("LISTEN_FDNAMES", names, 1);
}

int main(int argc, char **argv) {
    const char *pid = NULL;
    const char *number = NULL;
    for (;;) {
        int option = getopt(argc, argv, "+p:n:");
        if (option == -1)
            break;
        if (option == 'p')
            pid = optarg;
        else if (option == 'n')
            number = optarg;
        else
            usage();
    }
    int opened[MOST];
    int count = 0;
    int i = optind;
    while (i < argc && strcmp(argv[i], "--") != 0 && count < MOST) {
        opened[count] = put_aside(open_what(argv[i]));
        count++;
        i++;
    }
    if (count == 0 || i + 1 >= argc || strcmp(argv[i], "--") != 0)
        usage();
    hand_over(opened, count);
    set_variables(pid, number, count);
    (void)execvp(argv[i + 1], argv + i + 1);
    err(CANNOT_RUN, "%s", argv[i + 1]);
}
