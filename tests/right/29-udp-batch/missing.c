/* Keeps a list of what is missing: ranges of numbers, counted from the first
 * one in 64 bits. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ROOM = 65535,         /* what UDP_GRO joins has no more bytes */
    UDP_GRO_NUMBER = 104, /* <netinet/udp.h> need not know it */
    MOST_BYTES = 1400,    /* of a packet */
};

struct range {
    int64_t from;
    int64_t to; /* the first number behind the range */
    struct range *next;
};

static struct range *missing;
static int64_t expected; /* one more than the highest number */
static long long came;
static long long doubled;
static long long late;
static long long bad;

static void add_range(int64_t from, int64_t to) {
    if (from == to)
        return;
    struct range *range = malloc(sizeof *range);
    if (range == NULL)
        err(1, "malloc");
    *range = (struct range){from, to, missing};
    missing = range;
}

static int is_in(const struct range *range, int64_t number) {
    return number >= range->from && number < range->to;
}

/* Removes the number from what is missing, if it is missing: its range becomes
 * two. Returns whether it was missing. */
static int remove_missing(int64_t number) {
    /* What points to the range: the list's beginning, or another range. */
    struct range **pointer = &missing;
    while (*pointer != NULL && !is_in(*pointer, number))
        pointer = &(*pointer)->next;
    struct range *range = *pointer;
    if (range == NULL)
        return 0;
    *pointer = range->next;
    add_range(range->from, number);
    add_range(number + 1, range->to);
    free(range);
    return 1;
}

/* Returns the number of 64 bits whose low 32 bits are these, and that is next
 * to the expected one. */
static int64_t extend(uint32_t number) {
    /* As a signed number, the difference is negative if the packet is late. */
    int32_t ahead = (int32_t)(number - (uint32_t)expected);
    return expected + ahead;
}

static void count(const unsigned char *packet, size_t length) {
    uint32_t number;
    if (length < sizeof number || length > MOST_BYTES) {
        bad++;
        return;
    }
    memcpy(&number, packet, sizeof number);
    number = ntohl(number);
    if (came == 0)
        expected = number;
    came++;
    int64_t full = extend(number);
    if (full >= expected) {
        add_range(expected, full);
        expected = full + 1;
    } else if (remove_missing(full)) {
        late++;
    } else {
        doubled++;
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    char *end;
    unsigned long port = strtoul(argv[1], &end, 10);
    int is_number =
        end != argv[1] && strspn(argv[1], "0123456789") == strlen(argv[1]);
    if (!is_number || port > 65535)
        errx(1, "bad port: %s", argv[1]);

    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    if (fd < 0)
        err(1, "socket");
    int on = 1;
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO_NUMBER, &on, sizeof on) < 0)
        err(1, "UDP_GRO");
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = inet_addr("127.0.0.1");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind");
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    if (setvbuf(stdout, NULL, _IONBF, 0) != 0)
        err(1, "setvbuf");
    if (printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port)) < 0)
        err(1, "standard output");

    unsigned char *bytes = malloc(ROOM);
    if (bytes == NULL)
        err(1, "malloc");
    for (;;) {
        struct iovec part = {bytes, ROOM};
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        struct msghdr message = {0};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t left = recvmsg(fd, &message, 0);
        if (left < 0)
            err(1, "recvmsg");
        if (left == 0)
            break;
        int joined = (int)left; /* the size of the packets in this message */
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_level == IPPROTO_UDP)
            memcpy(&joined, CMSG_DATA(header), sizeof joined);
        unsigned char *packet = bytes;
        while (left > joined) {
            count(packet, (size_t)joined);
            packet += joined;
            left -= joined;
        }
        count(packet, (size_t)left); /* the last may be shorter */
    }
    long long lost = 0;
    for (struct range *range = missing; range != NULL; range = range->next)
        lost += range->to - range->from;
    if (printf("came %lld\nlost %lld\ndoubled %lld\nlate %lld\nbad %lld\n",
               came, lost, doubled, late, bad) < 0)
        err(1, "standard output");
    return 0;
}
