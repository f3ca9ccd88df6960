/*
 * 02 solution: a server that tells each client who it is, one good answer of
 * many.
 *
 * usage: 02-tcp-server PORT      (0: any free port)
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BACKLOG = 128,                        /* clients that may wait for accept */
    PAUSE_NANOSECONDS = 10 * 1000 * 1000, /* after an accept that failed */
    NAME_BYTES = sizeof "255.255.255.255:65535",
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 02-tcp-server PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port <= 65535;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 0 to 65535", text);
    return (in_port_t)port;
}

/* Writes ADDRESS:PORT, as people read it, into name. */
static void format_name(char name[NAME_BYTES],
                        const struct sockaddr_in *address) {
    char number[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &address->sin_addr, number, sizeof number);
    (void)snprintf(name, NAME_BYTES, "%s:%d", number, ntohs(address->sin_port));
}

/* Returns a listener at 127.0.0.1 and this port, and writes its name. */
static int listen_on(in_port_t port, char name[NAME_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    const int on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    format_name(name, &own);
    return listener;
}

/* Tells the client its name. A new socket has room for thousands of bytes, so
 * send does not have to wait here. But it may still take only a part. */
static void greet(int fd, const char *name) {
    /* One byte too many, because both sizes count the NUL of a string. */
    char line[sizeof "you are \n" + NAME_BYTES];
    size_t length = (size_t)snprintf(line, sizeof line, "you are %s\n", name);
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, line + done, length - done, 0);
        if (sent < 0) {
            warn("send to %s", name);
            return;
        }
        done += (size_t)sent;
    }
}

/* Serves one client after another, for ever. */
static _Noreturn void serve(int listener) {
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};

    for (;;) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        int fd =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept");
            (void)nanosleep(&pause, NULL);
            continue;
        }
        char name[NAME_BYTES];
        format_name(name, &peer);
        greet(fd, name);
        if (close(fd) < 0)
            warn("close %s", name);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    char name[NAME_BYTES];
    int listener = listen_on(port, name);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    serve(listener);
}
