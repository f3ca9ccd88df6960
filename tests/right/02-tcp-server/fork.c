/*
 * A right answer with a process for each client. The child writes the line one
 * byte at a time.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static in_port_t parse_port(const char *text) {
    if (*text == '\0')
        errx(1, "an empty text is no port");
    unsigned port = 0;
    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            errx(1, "%s is no port", text);
        port = 10 * port + (unsigned)(*digit - '0');
        if (port > 65535)
            errx(1, "%s is no port", text);
    }
    return (in_port_t)port;
}

/* Runs in the child: tells the client its address, and ends the process. */
static _Noreturn void serve(int fd, const struct sockaddr_in *peer) {
    char *line;
    int length = asprintf(&line, "you are %s:%hu\n", inet_ntoa(peer->sin_addr),
                          ntohs(peer->sin_port));
    if (length < 0)
        err(1, "asprintf");
    for (int i = 0; i < length; i++) {
        if (send(fd, line + i, 1, MSG_NOSIGNAL) < 0)
            err(1, "send");
    }
    free(line);
    _exit(0); /* the kernel closes fd */
}

static int make_listener(in_port_t port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        err(1, "bind");
    if (listen(fd, 64) != 0)
        err(1, "listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fputs("usage: fork PORT\n", stderr);
        return 2;
    }
    int listener = make_listener(parse_port(argv[1]));
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        err(1, "getsockname");
    /* We never call wait(2). When SIGCHLD is ignored, the kernel removes a
     * child as soon as it has ended. */
    (void)signal(SIGCHLD, SIG_IGN);
    if (dprintf(STDOUT_FILENO, "listening on 127.0.0.1:%d\n",
                ntohs(address.sin_port)) < 0)
        err(1, "dprintf");

    for (;;) {
        length = sizeof address;
        int fd = accept(listener, (struct sockaddr *)&address, &length);
        if (fd < 0) {
            warn("accept");
            (void)poll(NULL, 0, 50); /* only a pause of 50 milliseconds */
            continue;
        }
        pid_t child = fork();
        if (child < 0)
            warn("fork");
        if (child == 0) {
            (void)close(listener);
            serve(fd, &address);
        }
        (void)close(fd); /* the child has a descriptor of its own */
    }
}
