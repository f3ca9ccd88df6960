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

enum {
    LARGEST_PORT = 65535,
    LEAST_BYTES = 4, /* of a packet */
    MOST_BYTES = 1400,
    ROOM = 70000,         /* more than one message can have */
    UDP_GRO_NUMBER = 104, /* <netinet/udp.h> need not know it */
};

struct report {
    long long came;
    long long lost;
    long long doubled;
    long long late;
    long long bad;
};

static struct report report;
static uint32_t next; /* the number behind the highest one */
static uint8_t *bits; /* for each number there is, whether it has come */

static void die(const char *what) {
    fprintf(stderr, "29-udp-batch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void print(const char *line) {
    size_t length = strlen(line);
    while (length > 0) {
        ssize_t written = write(1, line, length);
        if (written < 0)
            die("write");
        line += written;
        length -= (size_t)written;
    }
}

static in_port_t parse_port(const char *text) {
    unsigned long port = 0;
    int is_port = *text != '\0';
    for (const char *digit = text; *digit != '\0' && is_port; digit++) {
        if (*digit >= '0' && *digit <= '9')
            port = port * 10 + (unsigned long)(*digit - '0');
        else
            is_port = 0;
        if (port > LARGEST_PORT)
            is_port = 0;
    }
    if (!is_port) {
        fputs("29-udp-batch: a port is 0 to 65535\n", stderr);
        exit(1);
    }
    return (in_port_t)port;
}

/* Sets the bit of a number. Returns whether it was set before. */
static int set_bit(uint32_t number) {
    uint8_t *byte = &bits[number / 8];
    uint8_t bit = (uint8_t)(1 << number % 8);
    int was_set = (*byte & bit) != 0;
    *byte |= bit;
    return was_set;
}

static void count_packet(const uint8_t *packet, size_t length) {
    if (length < LEAST_BYTES || length > MOST_BYTES) {
        report.bad++;
        return;
    }
    uint32_t number;
    memcpy(&number, packet, sizeof number);
    number = ntohl(number);
    if (report.came == 0)
        next = number;
    report.came++;
    if (set_bit(number)) {
        report.doubled++;
        return;
    }
    /* After the largest number comes 0. A packet is late if it is less far to
     * go back to it than to go on to it. */
    uint32_t ahead = number - next;
    if (ahead > INT32_MAX) {
        report.late++;
        report.lost--;
    } else {
        report.lost += ahead;
        next = number + 1;
    }
}

/* Returns how large the packets of a message are, which has length bytes. */
static size_t packet_size(struct msghdr *message, size_t length) {
    int size = (int)length;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == IPPROTO_UDP &&
            header->cmsg_type == UDP_GRO_NUMBER)
            memcpy(&size, CMSG_DATA(header), sizeof size);
    }
    return (size_t)size;
}

static void wait_for_message(int fd) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    poll(&wait, 1, -1);
}

/* Receives a message, if there is one, and counts its packets. Returns whether
 * it was the empty one. */
static int receive(int fd) {
    static uint8_t bytes[ROOM];
    _Alignas(struct cmsghdr) char control[256];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t received = recvmsg(fd, &message, 0);
    if (received < 0 && errno == EAGAIN) {
        wait_for_message(fd);
        return 0;
    }
    if (received < 0)
        die("recvmsg");
    size_t left = (size_t)received;
    size_t size = packet_size(&message, left);
    const uint8_t *packet = bytes;
    while (left > size) {
        count_packet(packet, size);
        packet += size;
        left -= size;
    }
    if (left > 0)
        count_packet(packet, left); /* the last may be shorter */
    return received == 0;
}

static int open_socket(in_port_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof own;
    char text[100];
    int on = 1;
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    if (fd < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0)
        die("bind");
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO_NUMBER, &on, sizeof on) != 0)
        die("setsockopt");
    if (getsockname(fd, (struct sockaddr *)&own, &length) != 0)
        die("getsockname");
    snprintf(text, sizeof text, "listening on 127.0.0.1:%d\n",
             ntohs(own.sin_port));
    print(text);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: 29-udp-batch PORT\n", stderr);
        return 2;
    }
    in_port_t port = parse_port(argv[1]);
    /* 2^32 bits. The kernel gives us memory only for those that we set. */
    bits = mmap(NULL, 1UL << 29, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bits == MAP_FAILED)
        die("mmap");
    int fd = open_socket(port);
    int is_over = 0;
    while (!is_over)
        is_over = receive(fd);

    char text[200];
    snprintf(text, sizeof text,
             "came %lld\nlost %lld\ndoubled %lld\nlate %lld\nbad %lld\n",
             report.came, report.lost, report.doubled, report.late, report.bad);
    print(text);
    return 0;
}
