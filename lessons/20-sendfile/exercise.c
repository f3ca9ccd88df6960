/*
 * 20 exercise: HEADER
 *
 * What is here compiles, checks its arguments, opens the file and listens. It
 * accepts nobody. Your part begins in main.
 */
#define _GNU_SOURCE

#include "listener.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 20-sendfile FILE PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, 65535, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", text);
    return (in_port_t)port;
}

/* Returns a listener at 127.0.0.1, and prints its name. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int listener =
        listener_open((struct sockaddr *)&own, sizeof own, 128, 0, &failed);
    if (listener < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    return listener;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[2]);
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0)
        err(1, "open %s", argv[1]);
    int listener = listen_on(port);

    /* 1. Call poll for the listener and all clients, again and again. */
    /* 2. Accept each client, non-blocking, and keep its line as it comes. */
    /* 3. When the line is whole, send the length, and then the bytes. */
    (void)close(listener);
    (void)close(file);
    return 0;
}
