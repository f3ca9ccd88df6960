/*
 * proxy: a proxy that says exactly what it is told to.
 *
 *     proxy STEP...
 *
 * Listens on a port of 127.0.0.1, and prints `listening on 127.0.0.1:PORT`. For
 * each client it does the steps, one after another, and then closes:
 *
 *     0500     sends these bytes, which are written in hexadecimal, in one send
 *     -3       receives 3 bytes, and prints them in hexadecimal as one line
 *     stall    waits until the client ends
 *     reset    ends the connection with a reset, and skips the other steps
 *
 * If the client ends before all bytes have come, the line ends with "end".
 */
#define _GNU_SOURCE

#include "listener.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_BYTES = 4096 };

static unsigned digit(char character) {
    static const char digits[] = "0123456789abcdef";
    const char *found = strchr(digits, character);
    if (found == NULL || character == '\0')
        errx(2, "%c is not a hexadecimal digit", character);
    return (unsigned)(found - digits);
}

static void send_bytes(int fd, const char *step) {
    uint8_t bytes[MOST_BYTES];
    size_t length = strlen(step) / 2;
    if (length > sizeof bytes || strlen(step) % 2 != 0)
        errx(2, "%s is not a step", step);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(digit(step[2 * i]) << 4 | digit(step[2 * i + 1]));
    (void)send(fd, bytes, length, MSG_NOSIGNAL); /* the client may be gone */
}

static void receive_bytes(int fd, const char *step) {
    long left = strtol(step + 1, NULL, 10);
    while (left > 0) {
        uint8_t byte;
        if (recv(fd, &byte, 1, 0) != 1) {
            printf("end");
            break;
        }
        printf("%02x", byte);
        left--;
    }
    printf("\n");
}

static void reset(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0)
        err(1, "setsockopt SO_LINGER");
}

static void wait_for_end(int fd) {
    uint8_t bytes[MOST_BYTES];
    ssize_t count;
    do
        count = recv(fd, bytes, sizeof bytes, 0);
    while (count > 0);
}

static void serve(int fd, char **steps) {
    for (; *steps != NULL; steps++) {
        if (strcmp(*steps, "reset") == 0) {
            reset(fd);
            break;
        }
        if (strcmp(*steps, "stall") == 0)
            wait_for_end(fd);
        else if (**steps == '-')
            receive_bytes(fd, *steps);
        else
            send_bytes(fd, *steps);
    }
    (void)close(fd);
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    if (argc < 2)
        errx(2, "usage: proxy STEP...");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listener_open((struct sockaddr *)&address, sizeof address,
                                 SOMAXCONN, 0, &failed);
    if (listener < 0 || listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(fd, argv + 1);
    }
}
