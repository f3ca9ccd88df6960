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

struct range {
    int64_t from;
    int64_t to; /* not missing any more */
    struct range *next;
};

static struct range *missing;
static int64_t expected; /* the number that comes next, if all is well */
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

static int take_away(int64_t number) {
    for (struct range **at = &missing; *at != NULL; at = &(*at)->next) {
        struct range *range = *at;
        if (number < range->from || number >= range->to)
            continue;
        *at = range->next;
        add_range(range->from, number);
        add_range(number + 1, range->to);
        free(range);
        return 1;
    }
    return 0;
}

static void count(const unsigned char *packet, size_t length) {
    uint32_t number;
    if (length < sizeof number || length > 1400) {
        bad++;
        return;
    }
    memcpy(&number, packet, sizeof number);
    number = ntohl(number);
    if (came == 0)
        expected = number;
    came++;
    int64_t full = (expected & ~(int64_t)UINT32_MAX) | number;
    if (full - expected > INT32_MAX)
        full -= (int64_t)1 << 32;
    if (expected - full > INT32_MAX)
        full += (int64_t)1 << 32;
    if (full >= expected) {
        add_range(expected, full);
        expected = full + 1;
    } else if (take_away(full)) {
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
    if (argv[1][strspn(argv[1], "0123456789")] != '\0' || end == argv[1] ||
        port > 65535)
        errx(1, "bad port: %s", argv[1]);

    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    if (fd < 0)
        err(1, "socket");
    int joined = 1;
    if (setsockopt(fd, IPPROTO_UDP, 104, &joined, sizeof joined) < 0)
        err(1, "UDP_GRO");
    struct sockaddr_in address = {AF_INET, htons((uint16_t)port), {0}, {0}};
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

    unsigned char *bytes = malloc(65535);
    if (bytes == NULL)
        err(1, "malloc");
    for (;;) {
        struct iovec part = {bytes, 65535};
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
        joined = (int)left;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_level == IPPROTO_UDP)
            memcpy(&joined, CMSG_DATA(header), sizeof joined);
        unsigned char *packet = bytes;
        do {
            int one = left < joined ? (int)left : joined;
            count(packet, (size_t)one);
            packet += one;
            left -= one;
        } while (left > 0);
    }
    long long lost = 0;
    for (struct range *range = missing; range != NULL; range = range->next)
        lost += range->to - range->from;
    if (printf("came %lld\nlost %lld\ndoubled %lld\nlate %lld\nbad %lld\n",
               came, lost, doubled, late, bad) < 0)
        err(1, "standard output");
    return 0;
}
