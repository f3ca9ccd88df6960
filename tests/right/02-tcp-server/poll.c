/*
 * A right answer with poll: the listener does not block, and after each poll
 * all clients that wait are accepted.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

/* Returns the port that the text names, or -1. */
static int parse_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0')
        return -1;
    unsigned long port = strtoul(text, NULL, 10);
    if (port > 65535)
        return -1;
    return (int)port;
}

/* Writes the line to the client. A new socket has room for all of it. */
static void greet(int fd, const struct sockaddr_in *client) {
    char address[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &client->sin_addr, address, sizeof address) == NULL)
        die("inet_ntop");
    char line[128];
    (void)sprintf(line, "you are %s:%d\n", address, ntohs(client->sin_port));
    size_t length = strlen(line);
    if (write(fd, line, length) != (ssize_t)length)
        perror("write");
}

/* Accepts and greets clients until none waits. Returns 0 then, or -1 and errno
 * if accept fails. */
static int accept_all(int listener) {
    for (;;) {
        struct sockaddr_in client = {0};
        socklen_t length = sizeof client;
        int fd = accept4(listener, (struct sockaddr *)&client, &length,
                         SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN)
            return 0; /* no client waits any more */
        if (fd < 0)
            return -1;
        greet(fd, &client);
        close(fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: 02-tcp-server PORT\n");
        exit(2);
    }
    int port = parse_port(argv[1]);
    if (port < 0) {
        fprintf(stderr, "%s is not a port\n", argv[1]);
        exit(1);
    }
    signal(SIGPIPE, SIG_IGN);

    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t length = sizeof own;
    own.sin_port = htons((in_port_t)port);
    if (inet_aton("127.0.0.1", &own.sin_addr) == 0)
        die("inet_aton");
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    if (listener < 0)
        die("socket");
    int on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        die("setsockopt");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        die("bind");
    if (listen(listener, 10) < 0)
        die("listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        die("getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    if (fflush(stdout) != 0)
        die("stdout");

    struct pollfd ready = {.fd = listener, .events = POLLIN};
    for (;;) {
        if (poll(&ready, 1, -1) < 0)
            die("poll");
        if (accept_all(listener) < 0) {
            perror("accept");
            (void)poll(NULL, 0, 10); /* only a pause of 10 milliseconds */
        }
    }
}
