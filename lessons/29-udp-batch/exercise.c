/*
 * 29 exercise: what became of numbered packets.
 *
 * What is here compiles, checks its arguments, and receives nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Some C libraries do not name it yet. */
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    LARGEST_PORT = 65535,
    LEAST_BYTES = 4, /* of a packet */
    MOST_BYTES = 1400,
    MOST_LATE = 1000, /* numbers that a late packet is behind, at most */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 29-udp-batch PORT\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    unsigned long long port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    if (number_parse(argv[1], 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", argv[1], LARGEST_PORT);

    /* 1. Make a socket at 127.0.0.1 and the port, and print its address. */
    /* 2. Receive packets, and read their numbers, until an empty one comes. */
    /* 3. Remember which of the last numbers have come. */
    /* 4. Let the kernel join packets, and take them apart. */
    /* 5. Print the report. */
    return 0;
}
