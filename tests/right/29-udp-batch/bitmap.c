/* Non-blocking, with poll; and a bit for each number that there is. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "29-udp-batch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void say(const char *line) {
    size_t length = strlen(line);
    while (length > 0) {
        ssize_t written = write(1, line, length);
        if (written < 0)
            die("write");
        line += written;
        length -= (size_t)written;
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: 29-udp-batch PORT\n", stderr);
        return 2;
    }
    unsigned long port = 0;
    const char *digit = argv[1];
    if (*digit == 0)
        port = 65536;
    for (; *digit && port < 65536; digit++)
        port = *digit >= '0' && *digit <= '9'
                   ? port * 10 + (unsigned long)(*digit - '0')
                   : 65536;
    if (port > 65535) {
        fputs("29-udp-batch: a port is 0 to 65535\n", stderr);
        return 1;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    socklen_t size_of_own = sizeof own;
    int on = 1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0)
        die("bind");
    if (setsockopt(fd, 17, 104, &on, sizeof on) != 0) /* UDP_GRO */
        die("setsockopt");
    if (getsockname(fd, (struct sockaddr *)&own, &size_of_own) != 0)
        die("getsockname");
    uint8_t *bits = mmap(NULL, 1UL << 29, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bits == MAP_FAILED)
        die("mmap");

    char text[200];
    snprintf(text, sizeof text, "listening on 127.0.0.1:%d\n",
             ntohs(own.sin_port));
    say(text);

    long long came = 0, lost = 0, doubled = 0, late = 0, bad = 0;
    uint32_t next = 0;
    static uint8_t bytes[70000];
    for (;;) {
        _Alignas(struct cmsghdr) char control[256];
        struct iovec part = {bytes, sizeof bytes};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t all = recvmsg(fd, &message, 0);
        if (all < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            poll(&wait, 1, -1);
            continue;
        }
        if (all < 0)
            die("recvmsg");
        if (all == 0)
            break;
        int size = (int)all;
        for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL;
             at = CMSG_NXTHDR(&message, at))
            if (at->cmsg_level == 17 && at->cmsg_type == 104)
                memcpy(&size, CMSG_DATA(at), sizeof size);
        for (ssize_t at = 0; at < all; at += size) {
            ssize_t length = size < all - at ? size : all - at;
            if (length < 4 || length > 1400) {
                bad++;
                continue;
            }
            const uint8_t *b = bytes + at;
            uint32_t number = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
                              (uint32_t)b[2] << 8 | b[3];
            if (came++ == 0)
                next = number;
            if (bits[number / 8] >> number % 8 & 1) {
                doubled++;
                continue;
            }
            bits[number / 8] |= (uint8_t)(1 << number % 8);
            uint32_t ahead = number - next;
            if (ahead >> 31) {
                late++;
                lost--;
            } else {
                lost += ahead;
                next = number + 1;
            }
        }
    }
    snprintf(text, sizeof text,
             "came %lld\nlost %lld\ndoubled %lld\nlate %lld\nbad %lld\n", came,
             lost, doubled, late, bad);
    say(text);
    return 0;
}
