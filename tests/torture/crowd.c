/*
 * crowd: many clients at once, which send a byte now and then, or nothing.
 *
 *     crowd slow|silent COUNT PORT
 *
 * When all have connected, or as many as can, it prints `waiting on
 * 127.0.0.1:PORT`, and stays until a signal ends it.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST_CLIENTS = 1000, CONNECT_MS = 200, PAUSE_MS = 50 };

/* Where the queue of the server is full there is no answer. The kernel goes on
 * with these attempts, so we wait for none. */
static int connect_to(in_port_t port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    (void)connect(fd, (struct sockaddr *)&server, sizeof server);
    return fd;
}

/* send fails if the server has closed a connection, which may happen. */
static void send_byte_to_all(const int *fds, int count) {
    for (int i = 0; i < count; i++)
        (void)send(fds[i], "x", 1, MSG_NOSIGNAL);
}

int main(int argc, char **argv) {
    int fds[MOST_CLIENTS];
    if (argc != 4) {
        fputs("usage: crowd slow|silent COUNT PORT\n", stderr);
        return 2;
    }
    int is_slow = strcmp(argv[1], "slow") == 0;
    int count = (int)strtol(argv[2], NULL, 10);
    in_port_t port = (in_port_t)strtol(argv[3], NULL, 10);
    if (count > MOST_CLIENTS)
        count = MOST_CLIENTS;
    for (int i = 0; i < count; i++)
        fds[i] = connect_to(port);
    (void)poll(NULL, 0, CONNECT_MS);
    printf("waiting on 127.0.0.1:%s\n", argv[3]);
    (void)fflush(stdout);
    for (;;) {
        if (is_slow)
            send_byte_to_all(fds, count);
        (void)poll(NULL, 0, PAUSE_MS);
    }
}
