/* Receives by recvmmsg, up to 32 messages by one call, and keeps the numbers
 * themselves: last[n % 2048] is the last number that came with that place. */
#define _GNU_SOURCE

#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    MESSAGES = 32,
    PLACES = 2048,
    ROOM = 65536,    /* more than one message can have */
    LEAST_BYTES = 4, /* of a packet */
    MOST_BYTES = 1400,
};

static char bytes[MESSAGES][ROOM];
static alignas(struct cmsghdr) char controls[MESSAGES][64];
static struct mmsghdr messages[MESSAGES];
static struct iovec parts[MESSAGES];

static uint32_t last[PLACES];
static uint32_t first;
static uint64_t highest;   /* the highest number, counted from first */
static uint64_t different; /* packets that came, each counted once */
static uint64_t came;
static uint64_t doubled;
static uint64_t late;
static uint64_t bad;

/* Begins with the number of the first packet, as if the packets with the PLACES
 * numbers before it had come already. */
static void begin_with(uint32_t number) {
    first = number;
    for (uint32_t i = 1; i <= PLACES; i++)
        last[(number - i) % PLACES] = number - i;
}

static void count(const char *packet, size_t length) {
    if (length < LEAST_BYTES || length > MOST_BYTES) {
        bad++;
        return;
    }
    uint32_t number;
    memcpy(&number, packet, sizeof number);
    number = ntohl(number);
    if (came == 0)
        begin_with(number);
    came++;
    uint32_t *place = &last[number % PLACES];
    if (*place == number) {
        doubled++;
        return;
    }
    *place = number;
    different++;
    /* After the largest number comes 0. A packet is late if it is less far to
     * go back to it than to go on to it. */
    uint32_t ahead = number - (first + (uint32_t)highest);
    if (ahead <= INT32_MAX)
        highest += ahead;
    else
        late++;
}

/* Counts the packets of a message, which has length bytes. */
static void count_packets(struct msghdr *message, const char *packet,
                          size_t length) {
    size_t size = length;
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (control != NULL && control->cmsg_type == UDP_GRO) {
        int joined;
        memcpy(&joined, CMSG_DATA(control), sizeof joined);
        size = (size_t)joined;
    }
    while (length > size) {
        count(packet, size);
        packet += size;
        length -= size;
    }
    count(packet, length); /* the last may be shorter */
}

/* Receives messages by one call, and counts their packets up to an empty
 * message. Returns whether there was one. */
static int receive(int fd) {
    for (int i = 0; i < MESSAGES; i++) {
        parts[i] = (struct iovec){bytes[i], ROOM};
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &parts[i],
            .msg_iovlen = 1,
            .msg_control = controls[i],
            .msg_controllen = sizeof controls[i],
        };
    }
    int received = recvmmsg(fd, messages, MESSAGES, MSG_WAITFORONE, NULL);
    if (received < 0)
        err(1, "recvmmsg");
    for (int i = 0; i < received; i++) {
        if (messages[i].msg_len == 0)
            return 1;
        count_packets(&messages[i].msg_hdr, bytes[i], messages[i].msg_len);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: 29-udp-batch PORT\n");
        return 2;
    }
    unsigned long long port;
    if (number_parse(argv[1], 0, 65535, &port) < 0)
        errx(1, "%s is no port", argv[1]);
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    const int on = 1;
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0)
        err(1, "setsockopt");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    if (fflush(stdout) == EOF)
        err(1, "standard output");

    int is_over = 0;
    while (!is_over)
        is_over = receive(fd);
    uint64_t numbers = 0; /* how many there were up to the highest */
    if (came > 0)
        numbers = highest + 1;
    printf("came %llu\nlost %llu\ndoubled %llu\nlate %llu\nbad %llu\n",
           (unsigned long long)came, (unsigned long long)(numbers - different),
           (unsigned long long)doubled, (unsigned long long)late,
           (unsigned long long)bad);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
