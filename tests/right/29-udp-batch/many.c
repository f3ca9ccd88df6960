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

enum { MESSAGES = 32, PLACES = 2048, ROOM = 65536 };

static char bytes[MESSAGES][ROOM];
static alignas(struct cmsghdr) char controls[MESSAGES][64];
static struct mmsghdr messages[MESSAGES];
static struct iovec parts[MESSAGES];

static uint32_t last[PLACES];
static uint32_t first;
static uint64_t highest; /* counted from first */
static uint64_t different;
static uint64_t came;
static uint64_t doubled;
static uint64_t late;
static uint64_t bad;

static void count(const char *packet, size_t length) {
    if (length < 4 || length > 1400) {
        bad++;
        return;
    }
    uint32_t number;
    memcpy(&number, packet, 4);
    number = ntohl(number);
    if (came == 0) {
        first = number;
        for (uint32_t i = 0; i < PLACES; i++)
            last[(number + i) % PLACES] = number - PLACES + i;
    }
    came++;
    uint32_t *place = &last[number % PLACES];
    if (came > 1 && *place == number) {
        doubled++;
        return;
    }
    *place = number;
    different++;
    uint32_t at = number - (first + (uint32_t)highest);
    if (at < 0x80000000U)
        highest += at;
    else
        late++;
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
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &length) < 0 ||
        setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0)
        err(1, "socket");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    if (fflush(stdout) == EOF)
        err(1, "standard output");

    for (int is_over = 0; !is_over;) {
        for (int i = 0; i < MESSAGES; i++) {
            parts[i] = (struct iovec){bytes[i], ROOM};
            messages[i].msg_hdr = (struct msghdr){
                .msg_iov = &parts[i],
                .msg_iovlen = 1,
                .msg_control = controls[i],
                .msg_controllen = sizeof controls[i],
            };
        }
        int got = recvmmsg(fd, messages, MESSAGES, MSG_WAITFORONE, NULL);
        if (got < 0)
            err(1, "recvmmsg");
        for (int i = 0; i < got && !is_over; i++) {
            size_t all = messages[i].msg_len;
            size_t size = all;
            struct cmsghdr *control = CMSG_FIRSTHDR(&messages[i].msg_hdr);
            if (control != NULL && control->cmsg_type == UDP_GRO) {
                int joined;
                memcpy(&joined, CMSG_DATA(control), sizeof joined);
                size = (size_t)joined;
            }
            is_over = all == 0;
            for (size_t at = 0; at < all; at += size)
                count(bytes[i] + at, all - at < size ? all - at : size);
        }
    }
    uint64_t numbers = came > 0 ? highest + 1 : 0;
    printf("came %llu\nlost %llu\ndoubled %llu\nlate %llu\nbad %llu\n",
           (unsigned long long)came, (unsigned long long)(numbers - different),
           (unsigned long long)doubled, (unsigned long long)late,
           (unsigned long long)bad);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
