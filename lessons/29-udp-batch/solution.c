/*
 * 29 solution: what became of numbered packets, one good answer of many.
 *
 * usage: 29-udp-batch PORT      (0: any free port)
 */
#define _GNU_SOURCE

#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    LARGEST_PORT = 65535,
    LARGEST_JOINED = 65535, /* what UDP_GRO joins has no more bytes */
    NUMBER_BYTES = 4,
    MOST_BYTES = 1400, /* of a packet */
    /* More than the 1000 that a packet may be late. It is a power of two, so
     * number % WINDOW also goes on in order where the numbers begin again at 0.
     */
    WINDOW = 1024,
};

/* Room for one control message: the size of the packets that the kernel has
 * joined. */
struct control {
    alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

struct tally {
    long long came;
    long long lost;
    long long doubled;
    long long late;
    long long bad;
    uint32_t highest; /* the highest number; unset until a packet has come */
    /* For each of the last WINDOW numbers, whether its packet has come. */
    char has_come[WINDOW];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 29-udp-batch PORT\n", out);
    exit(status);
}

/* Returns a socket with this port at 127.0.0.1, at which the kernel may join
 * packets, and prints where it listens. */
static int listen_at(in_port_t port) {
    const int yes = 1;
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_UDP, UDP_GRO, &yes, sizeof yes) < 0)
        err(1, "setsockopt UDP_GRO");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return fd;
}

/* Makes the highest number higher by `steps`. The numbers that are skipped
 * count as lost, until their packets come late. The places of all these numbers
 * still say what came WINDOW numbers before them, so we clear them. */
static void raise_highest(struct tally *tally, uint32_t steps) {
    tally->lost += steps - 1;
    tally->highest += steps;
    uint32_t places = steps;
    if (places > WINDOW)
        places = WINDOW;
    for (uint32_t i = 0; i < places; i++)
        tally->has_come[(tally->highest - i) % WINDOW] = 0;
}

/* Counts the packet with this number. */
static void count_number(struct tally *tally, uint32_t number) {
    if (tally->came == 0)
        tally->highest = number - 1; /* so the first packet is one step ahead */
    tally->came++;

    /* After the largest number comes 0. The difference of unsigned numbers is
     * right there too: from UINT32_MAX to 0 it is 1. As a signed number, it is
     * negative if the packet is behind the highest one. */
    int32_t steps = (int32_t)(number - tally->highest);
    char *has_come = &tally->has_come[number % WINDOW];
    if (steps > 0) {
        raise_highest(tally, (uint32_t)steps);
    } else if (*has_come) {
        tally->doubled++;
    } else {
        tally->late++;
        tally->lost--;
    }
    *has_come = 1;
}

static void count_packet(struct tally *tally, const char *packet,
                         size_t length) {
    uint32_t number;
    if (length < NUMBER_BYTES || length > MOST_BYTES) {
        tally->bad++;
        return;
    }
    memcpy(&number, packet, sizeof number);
    count_number(tally, ntohl(number));
}

/* Returns the size of the packets in a message of length bytes. If the kernel
 * has not joined packets, the message is one packet. */
static size_t read_packet_size(struct msghdr *message, size_t length) {
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header == NULL)
        return length;
    if (header->cmsg_level != SOL_UDP || header->cmsg_type != UDP_GRO)
        return length;
    int size;
    memcpy(&size, CMSG_DATA(header), sizeof size);
    return (size_t)size;
}

/* Counts the packets of a message, which has length bytes in all. */
static void count_packets(struct tally *tally, const char *bytes, size_t length,
                          size_t packet_size) {
    while (length > packet_size) {
        count_packet(tally, bytes, packet_size);
        bytes += packet_size;
        length -= packet_size;
    }
    count_packet(tally, bytes, length); /* the last may be shorter */
}

/* Receives messages and counts their packets, until an empty one comes. */
static void count_all(int fd, struct tally *tally) {
    static char bytes[LARGEST_JOINED];
    struct control control;
    for (;;) {
        struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {
            .msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = control.bytes,
            .msg_controllen = sizeof control.bytes,
        };
        ssize_t received = recvmsg(fd, &message, 0);
        if (received == 0)
            return;
        if (received < 0 && errno != EINTR)
            warn("recvmsg");
        if (received > 0) {
            size_t length = (size_t)received;
            size_t size = read_packet_size(&message, length);
            count_packets(tally, bytes, length, size);
        }
    }
}

int main(int argc, char **argv) {
    unsigned long long port;
    struct tally tally = {0};
    /* If standard output were closed, our socket would get its number. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    if (number_parse(argv[1], 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", argv[1], LARGEST_PORT);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    int fd = listen_at((in_port_t)port);
    count_all(fd, &tally);
    if (printf("came %lld\nlost %lld\ndoubled %lld\nlate %lld\nbad %lld\n",
               tally.came, tally.lost, tally.doubled, tally.late,
               tally.bad) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
