/*
 * 35-packet-sniffer: what crosses an interface, a line a packet.
 *
 * Shows the wire itself: packet(7) gives us frames as they are. A program in
 * the kernel drops what we did not ask for: filter.c, beside this file. What a
 * frame says is read by common/packet.c. Both are built here: read them too.
 *
 * usage: 35-packet-sniffer [-i INTERFACE] [-c COUNT] [-w FILE] [-p PORT]
 *
 * Left out: interfaces that are not like Ethernet; whether checksums are right.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "filter.h"
#include "packet.h"
#include <err.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAME_BYTES = 65535, NS_PER_SECOND = 1000 * 1000 * 1000 };

/* A frame, or as much of it as there was room for. */
struct frame {
    struct timespec time; /* when the kernel saw it */
    size_t captured;
    size_t length; /* as it was on the wire */
    uint8_t bytes[FRAME_BYTES];
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 35-packet-sniffer [-i INTERFACE] [-c COUNT] [-w FILE]"
          " [-p PORT]\n",
          out);
    exit(status);
}

/* A port, or a count, which needs to be no larger. */
static in_port_t parse_number(const char *text) {
    in_port_t number;
    if (addr_parse_port(text, strlen(text), 1, &number) < 0)
        errx(1, "%s is not a number: 1 to 65535", text);
    return number;
}

/* See lesson 02. */
static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void prepare(void) {
    struct sigaction action = {.sa_handler = stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

/* A socket of no protocol hears nothing. With one from the start, it would hear
 * every interface, and all of it, until there is a filter. */
static int open_socket(const char *interface, in_port_t port) {
    struct sockaddr_ll own = {.sll_family = AF_PACKET};
    socklen_t length = sizeof own;
    const int on = 1;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket AF_PACKET");
    own.sll_ifindex = (int)if_nametoindex(interface);
    if (own.sll_ifindex == 0 ||
        bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "%s %s", own.sll_ifindex == 0 ? "if_nametoindex" : "bind",
            interface);
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (own.sll_hatype != ARPHRD_LOOPBACK && own.sll_hatype != ARPHRD_ETHER)
        errx(1, "%s is not like Ethernet", interface);
    /* The loopback has each frame twice: as it is sent, and as it arrives. */
    struct filter_instruction room[FILTER_INSTRUCTIONS];
    struct filter filter =
        filter_make(room, port, own.sll_hatype == ARPHRD_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on))
        err(1, "setsockopt");
    own.sll_protocol = htons(ETH_P_ALL); /* from here on, all that passes */
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind %s", interface);
    return fd;
}

/* Returns 0 when we are to stop. */
static int receive(int fd, struct frame *frame) {
    struct iovec place = {frame->bytes, sizeof frame->bytes};
    _Alignas(struct cmsghdr) char extra[256]; /* the time is beside it */
    struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1};
    message.msg_control = extra;
    message.msg_controllen = sizeof extra;
    /* MSG_TRUNC: the length that it had, not the one that is left. */
    ssize_t length = recvmsg(fd, &message, MSG_TRUNC);
    if (length < 0 && stopping)
        return 0;
    if (length < 0)
        err(1, "recvmsg");
    const struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
    if (stamp == NULL || stamp->cmsg_type != SCM_TIMESTAMPNS)
        errx(1, "recvmsg: no time");
    memcpy(&frame->time, CMSG_DATA(stamp), sizeof frame->time);
    frame->length = (size_t)length;
    frame->captured = frame->length < FRAME_BYTES ? frame->length : FRAME_BYTES;
    return 1;
}

/* pcap-savefile(5). Who reads the first number as 4d3cb2a1 knows: this machine
 * has its bytes in another order. 1 is Ethernet. */
static FILE *create_file(const char *path) {
    uint32_t header[] = {0xa1b23c4d, 0, 0, 0, FRAME_BYTES, 1};
    const uint16_t version[] = {2, 4};
    memcpy(&header[1], version, sizeof version);
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(header, sizeof header, 1, file) != 1)
        err(1, "%s", path);
    return file;
}

static void save(FILE *file, const char *path, const struct frame *frame) {
    const uint32_t header[] = {
        (uint32_t)frame->time.tv_sec, (uint32_t)frame->time.tv_nsec,
        (uint32_t)frame->captured, (uint32_t)frame->length};
    if (fwrite(header, sizeof header, 1, file) != 1 ||
        fwrite(frame->bytes, 1, frame->captured, file) != frame->captured ||
        fflush(file) == EOF)
        err(1, "%s", path);
}

static void show(const struct frame *frame, struct packet_numbers *numbers,
                 struct timespec since) {
    struct packet packet;
    char text[PACKET_TEXT_BYTES];
    long long ns =
        (long long)(frame->time.tv_sec - since.tv_sec) * NS_PER_SECOND +
        frame->time.tv_nsec - since.tv_nsec;
    (void)packet_parse(&packet, frame->bytes, frame->captured, frame->length);
    packet_make_relative(numbers, &packet);
    /* Whoever sets the clock back sends later packets before the first. */
    if (printf("%s%lld.%06lld %s\n", ns < 0 ? "-" : "",
               llabs(ns) / NS_PER_SECOND, llabs(ns) % NS_PER_SECOND / 1000,
               packet_format(&packet, text)) < 0)
        err(1, "standard output");
}

/* The kernel has so much room for what we have not fetched yet, and no more. */
static void tell_losses(int fd, unsigned shown) {
    unsigned count[2]; /* what came through, and what of that was lost */
    socklen_t length = sizeof count;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, count, &length) < 0)
        err(1, "getsockopt PACKET_STATISTICS");
    if (printf("%u shown; %u came through the filter, %u were lost\n", shown,
               count[0], count[1]) < 0)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    static struct frame frame;
    static struct packet_numbers numbers;
    const char *interface = "lo";
    const char *path = NULL;
    in_port_t port = 0;
    unsigned count = 0;
    int option;
    while ((option = getopt(argc, argv, "hi:c:w:p:")) != -1) {
        if (option == 'i')
            interface = optarg;
        else if (option == 'c')
            count = parse_number(optarg);
        else if (option == 'w')
            path = optarg;
        else if (option == 'p')
            port = parse_number(optarg);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    if (optind != argc)
        usage(stderr, 2);
    prepare();
    int fd = open_socket(interface, port);
    FILE *file = path != NULL ? create_file(path) : NULL;
    struct timespec first;
    unsigned shown = 0;
    if (printf("capturing on %s\n", interface) < 0)
        err(1, "standard output");
    while (!stopping && (count == 0 || shown < count) && receive(fd, &frame)) {
        if (shown++ == 0)
            first = frame.time;
        if (file != NULL)
            save(file, path, &frame);
        show(&frame, &numbers, first);
    }
    tell_losses(fd, shown);
    if (file != NULL && fclose(file) == EOF)
        err(1, "%s", path);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
