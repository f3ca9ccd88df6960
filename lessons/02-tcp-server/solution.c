/*
 * 02 solution: a server that tells each client who it is, one good answer of
 * many.
 *
 * usage: 02-tcp-server PORT      (0: any free port)
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BACKLOG = 128,                        /* clients that may wait */
    PAUSE_NANOSECONDS = 10 * 1000 * 1000, /* after an accept that failed */
    NAME_BYTES = sizeof "255.255.255.255:65535",
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 02-tcp-server PORT\n", out);
    exit(status);
}

/* A port from the command line: digits and nothing else, 0 to 65535. */
static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        port > 65535)
        errx(1, "%s is not a port: 0 to 65535", text);
    return (in_port_t)port;
}

static void format_name(char name[NAME_BYTES], const struct sockaddr_in *end) {
    char address[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &end->sin_addr, address, sizeof address);
    (void)snprintf(name, NAME_BYTES, "%s:%d", address, ntohs(end->sin_port));
}

static int listen_on(in_port_t port, char name[NAME_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    format_name(name, &own);
    return listener;
}

/* A socket that is new has room for thousands of bytes, so nobody can make us
 * wait here. But how many of them send takes at once is its own affair. */
static void greet(int fd, const char *name) {
    char line[sizeof "you are \n" + NAME_BYTES];
    int length = snprintf(line, sizeof line, "you are %s\n", name);
    ssize_t sent = 0;
    for (ssize_t all = 0; all < length && sent >= 0; all += sent)
        if ((sent = send(fd, line + all, (size_t)(length - all), 0)) < 0)
            warn("send to %s", name);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */

    char name[NAME_BYTES];
    int listener = listen_on(port, name);
    if (printf("listening on %s\n", name) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
    for (;;) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        int fd =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (fd < 0) {
            const struct timespec moment = {.tv_nsec = PAUSE_NANOSECONDS};
            warn("accept");
            (void)nanosleep(&moment, NULL);
            continue;
        }
        format_name(name, &peer);
        greet(fd, name);
        if (close(fd) < 0)
            warn("close %s", name);
    }
}
