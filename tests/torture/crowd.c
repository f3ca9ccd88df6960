/*
 * crowd: many clients at once, that say a byte now and then, or nothing.
 *
 *     crowd slow|silent COUNT PORT
 *
 * Says `waiting on 127.0.0.1:PORT` when all have connected, or as many as can,
 * and stays until it is ended.
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

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: crowd slow|silent COUNT PORT\n", stderr);
        return 2;
    }
    int fds[MOST_CLIENTS];
    int count = 0;
    int wanted = (int)strtol(argv[2], NULL, 10);
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)strtol(argv[3], NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    for (; count < wanted && count < MOST_CLIENTS; count++) {
        fds[count] =
            socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fds[count] < 0)
            err(1, "socket");
        /* Where the queue is full there is no answer: these go on trying. */
        (void)connect(fds[count], (struct sockaddr *)&server, sizeof server);
    }
    (void)poll(NULL, 0, CONNECT_MS);
    printf("waiting on 127.0.0.1:%s\n", argv[3]);
    (void)fflush(stdout);
    for (;;) {
        for (int i = 0; i < count && strcmp(argv[1], "slow") == 0; i++)
            (void)send(fds[i], "x", 1, MSG_NOSIGNAL); /* or it has gone */
        (void)poll(NULL, 0, PAUSE_MS);
    }
}
