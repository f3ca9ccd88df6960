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

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Accepts clients until none waits. Returns -1 if accept failed. */
static int accept_all(int listener) {
    for (;;) {
        struct sockaddr_in client = {0};
        socklen_t length = sizeof client;
        int fd = accept4(listener, (struct sockaddr *)&client, &length,
                         SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (fd < 0)
            return -1;
        char address[64];
        char line[128];
        if (inet_ntop(AF_INET, &client.sin_addr, address, sizeof address) ==
            NULL)
            die("inet_ntop");
        (void)sprintf(line, "you are %s:%d\n", address, ntohs(client.sin_port));
        if (write(fd, line, strlen(line)) < (ssize_t)strlen(line))
            perror("write");
        close(fd);
    }
}

int main(int argc, char **argv) {
    char *end;
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t length = sizeof own;

    if (argc != 2) {
        fprintf(stderr, "usage: 02-tcp-server PORT\n");
        exit(2);
    }
    errno = 0;
    unsigned long port = strtoul(argv[1], &end, 10);
    if (strchr("0123456789", argv[1][0]) == NULL || argv[1][0] == '\0' ||
        *end != '\0' || errno != 0 || port > 65535) {
        fprintf(stderr, "%s is not a port\n", argv[1]);
        exit(1);
    }
    signal(SIGPIPE, SIG_IGN);

    own.sin_port = htons((unsigned short)port);
    if (inet_aton("127.0.0.1", &own.sin_addr) == 0)
        die("inet_aton");
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    if (listener < 0)
        die("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)))
        die("setsockopt");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        die("bind");
    if (listen(listener, 10) < 0)
        die("listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        die("getsockname");
    printf("listening on %s:%d\n", "127.0.0.1", ntohs(own.sin_port));
    if (fflush(stdout) != 0)
        die("stdout");

    struct pollfd ready = {.fd = listener, .events = POLLIN};
    for (;;) {
        if (poll(&ready, 1, -1) < 0)
            die("poll");
        if (accept_all(listener) < 0) {
            perror("accept");
            (void)poll(NULL, 0, 10);
        }
    }
}
