/*
 * 35-packet-sniffer: prints what crosses a network interface, a line a packet.
 *
 * Shows a socket that gets the frames themselves, with all their headers:
 * packet(7). A program in the kernel, which filter.c writes, drops the frames
 * that we did not ask for. common/packet.c reads the headers of the frames that
 * are left. Both modules belong to this lesson, so read them too.
 *
 * usage: 35-packet-sniffer [-i INTERFACE] [-c COUNT] [-w FILE] [-p PORT]
 *
 * Without -i the interface is the loopback, "lo". With -c it ends after COUNT
 * packets, else at SIGINT or SIGTERM. With -w it also writes the packets into
 * FILE, in the form that tcpdump and Wireshark read. With -p it shows only
 * TCP and UDP from or to PORT.
 *
 * Left out: interfaces that are not like Ethernet; whether checksums are right.
 */
#define _GNU_SOURCE

#include "filter.h"
#include "number.h"
#include "packet.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FRAME_BYTES = 65550, /* the largest frame of the loopback has so many,
                          * unless BIG TCP is switched on: ip-link(8) */
    TAG_BYTES = 4,       /* the tag of a virtual network: IEEE 802.1Q */
    TYPE_AT = 12,        /* where a frame has its Ethernet type, or a tag */
    LARGEST_PORT = 65535,
    LARGEST_COUNT = 1000 * 1000 * 1000,
    CONTROL_BYTES = 256, /* more than recvmsg needs beside a frame */
    NS_PER_SECOND = 1000 * 1000 * 1000,
    NS_PER_US = 1000,
};

struct options {
    const char *interface;
    const char *path; /* of the file to write, or NULL */
    unsigned count;   /* of packets, or 0 for no limit */
    in_port_t port;   /* or 0 for all */
};

/* A frame, or as much of it as there was room for. */
struct frame {
    struct timespec time; /* when the kernel saw it */
    size_t captured;      /* how many of its bytes we have */
    size_t length;        /* how many it had on the wire */
    uint8_t bytes[FRAME_BYTES + TAG_BYTES];
};

/* What stands at the beginning of the file: pcap-savefile(5). */
struct file_header {
    uint32_t magic;
    uint16_t major_version;
    uint16_t minor_version;
    uint32_t time_zone; /* 0, and so is the next one */
    uint32_t accuracy;
    uint32_t frame_bytes; /* no frame in the file has more */
    uint32_t link_type;
};

/* What stands before each frame in the file. Both lengths are in bytes. */
struct record_header {
    uint32_t seconds;
    uint32_t nanoseconds;
    uint32_t captured;
    uint32_t length;
};

/* What PACKET_STATISTICS gives. linux/if_packet.h, which has the kernel's own
 * struct tpacket_stats, cannot be included beside netpacket/packet.h. */
struct statistics {
    unsigned came; /* through the filter, the lost ones too */
    unsigned lost;
};

/* What comes beside a frame after PACKET_AUXDATA: packet(7). It is the kernel's
 * struct tpacket_auxdata, from the same header. */
struct auxiliary_data {
    uint32_t status; /* HAS_TAG, HAS_TAG_TYPE... */
    // cppcheck-suppress unusedStructMember
    uint32_t length;
    // cppcheck-suppress unusedStructMember
    uint32_t captured;
    // cppcheck-suppress unusedStructMember
    uint16_t link_header_at;
    // cppcheck-suppress unusedStructMember
    uint16_t network_header_at;
    uint16_t tag;
    uint16_t tag_type;
};

enum {
    HAS_TAG = 1 << 4,      /* TP_STATUS_VLAN_VALID */
    HAS_TAG_TYPE = 1 << 6, /* TP_STATUS_VLAN_TPID_VALID */
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 35-packet-sniffer [-i INTERFACE] [-c COUNT] [-w FILE]"
          " [-p PORT]\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

static unsigned parse_number(const char *text, int largest) {
    unsigned long long number;
    if (number_parse(text, 1, (unsigned)largest, &number) < 0)
        errx(1, "%s is not a number from 1 to %d", text, largest);
    return (unsigned)number;
}

/* Elsewhere, - may mean standard output. Here that has the text. */
static const char *parse_path(const char *text) {
    if (strcmp(text, "-") == 0)
        errx(1, "-w needs a file: standard output has the text");
    return text;
}

static struct options parse_options(int argc, char **argv) {
    struct options options = {.interface = "lo"};
    for (;;) {
        int option = getopt(argc, argv, "hi:c:w:p:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'i')
            options.interface = optarg;
        else if (option == 'c')
            options.count = parse_number(optarg, LARGEST_COUNT);
        else if (option == 'w')
            options.path = parse_path(optarg);
        else if (option == 'p')
            options.port = (in_port_t)parse_number(optarg, LARGEST_PORT);
        else
            usage(stderr, 2);
    }
    if (optind != argc)
        usage(stderr, 2);
    return options;
}

/* A signal that comes just before recvmsg begins to wait does not end it. So
 * another follows every second: lesson 02. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
}

/* If 1 or 2 were free, our socket would get that number: lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Binds the socket to an interface and a protocol. 0 is no protocol: then it
 * gets nothing. */
static void bind_to(int fd, const char *interface, unsigned index,
                    uint16_t protocol) {
    struct sockaddr_ll own = {
        .sll_family = AF_PACKET,
        .sll_ifindex = (int)index,
        .sll_protocol = htons(protocol),
    };
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind %s", interface);
}

/* Returns what kind of hardware a bound socket listens at: ARPHRD_ETHER... */
static unsigned hardware_of(int fd) {
    struct sockaddr_ll own = {0};
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    return own.sll_hatype;
}

static void attach_filter(int fd, in_port_t port, bool only_sent) {
    struct filter_instruction room[FILTER_INSTRUCTIONS];
    struct filter filter = filter_make(room, port, only_sent);
    const socklen_t size = sizeof filter;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, size) < 0)
        err(1, "setsockopt SO_ATTACH_FILTER");
}

/* Asks for two things beside each frame: its time, in nanoseconds, and the tag
 * that the kernel has taken out of it. */
static void ask_for_control_messages(int fd) {
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0)
        err(1, "setsockopt SO_TIMESTAMPNS");
    if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0)
        err(1, "setsockopt PACKET_AUXDATA");
}

/* Created with a protocol, the socket would get the frames of all interfaces
 * until it is bound, and those of all ports until it has its filter. So it gets
 * its protocol in a second bind, when everything is ready. */
static int open_socket(const char *interface, in_port_t port) {
    /* if_nametoindex needs a descriptor for a moment, and blames the interface
     * if none is free. It comes first, so that it can have the one that our
     * socket needs later. */
    unsigned index = if_nametoindex(interface);
    if (index == 0)
        err(1, "if_nametoindex %s", interface);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket AF_PACKET");
    bind_to(fd, interface, index, 0);
    unsigned hardware = hardware_of(fd);
    if (hardware != ARPHRD_LOOPBACK && hardware != ARPHRD_ETHER)
        errx(1, "%s is not like Ethernet", interface);

    /* On the loopback each frame passes twice: it is sent, and received. */
    bool only_sent = hardware == ARPHRD_LOOPBACK;
    attach_filter(fd, port, only_sent);
    ask_for_control_messages(fd);
    bind_to(fd, interface, index, ETH_P_ALL);
    return fd;
}

/* Puts the tag of a virtual network back to where it was on the wire: before
 * the Ethernet type. Both of its numbers are big-endian there. */
static void insert_tag(struct frame *frame, uint16_t type, uint16_t tag) {
    if (frame->captured < TYPE_AT)
        return;
    memmove(frame->bytes + TYPE_AT + TAG_BYTES, frame->bytes + TYPE_AT,
            frame->captured - TYPE_AT);
    const uint16_t on_the_wire[] = {htons(type), htons(tag)};
    memcpy(frame->bytes + TYPE_AT, on_the_wire, sizeof on_the_wire);
    frame->captured += TAG_BYTES;
    frame->length += TAG_BYTES;
}

/* Some drivers, and the kernel itself, take a tag out of a frame that comes in,
 * and tell it beside the frame. */
static void restore_tag(struct frame *frame, const struct cmsghdr *control) {
    struct auxiliary_data data;
    memcpy(&data, CMSG_DATA(control), sizeof data);
    if ((data.status & HAS_TAG) == 0)
        return;
    uint16_t type = ETHERTYPE_VLAN;
    if ((data.status & HAS_TAG_TYPE) != 0)
        type = data.tag_type;
    insert_tag(frame, type, data.tag);
}

/* Returns the message behind this one, or NULL. The macro of one C library,
 * musl, mixes signed and unsigned numbers, of which gcc would warn. */
static struct cmsghdr *next_control(struct msghdr *message,
                                    struct cmsghdr *control) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    return CMSG_NXTHDR(message, control);
#pragma GCC diagnostic pop
}

/* What comes beside the frame are control messages: cmsg(3). */
static void read_control_messages(struct frame *frame, struct msghdr *message) {
    bool has_time = false;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = next_control(message, control)) {
        if (control->cmsg_level == SOL_SOCKET &&
            control->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&frame->time, CMSG_DATA(control), sizeof frame->time);
            has_time = true;
        }
        if (control->cmsg_level == SOL_PACKET &&
            control->cmsg_type == PACKET_AUXDATA)
            restore_tag(frame, control);
    }
    if (!has_time)
        errx(1, "recvmsg: a frame came without its time");
}

/* Waits for a frame. Returns false when a signal told us to stop. */
static bool receive_frame(int fd, struct frame *frame) {
    _Alignas(struct cmsghdr) char control[CONTROL_BYTES];
    struct iovec place = {
        .iov_base = frame->bytes,
        .iov_len = FRAME_BYTES, /* a tag fits behind it */
    };
    struct msghdr message = {
        .msg_iov = &place,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    /* With MSG_TRUNC it returns the length that the frame had, even if only a
     * part of it fits into our buffer. */
    ssize_t length = recvmsg(fd, &message, MSG_TRUNC);
    while (length < 0 && errno == ENETDOWN && !stopping) {
        warn("recvmsg"); /* the interface may come up again */
        length = recvmsg(fd, &message, MSG_TRUNC);
    }
    if (length < 0 && stopping)
        return false;
    if (length < 0)
        err(1, "recvmsg");
    frame->length = (size_t)length;
    frame->captured = frame->length;
    if (frame->captured > FRAME_BYTES)
        frame->captured = FRAME_BYTES;
    read_control_messages(frame, &message);
    return true;
}

/* All numbers are in our machine's order. The first one shows its reader which
 * order that is, and that times have nanoseconds: pcap-savefile(5). */
static FILE *create_file(const char *path) {
    struct file_header header;
    header.magic = 0xa1b23c4d;
    header.major_version = 2;
    header.minor_version = 4;
    header.time_zone = 0;
    header.accuracy = 0;
    header.frame_bytes = FRAME_BYTES + TAG_BYTES;
    header.link_type = 1; /* Ethernet */
    FILE *file = fopen(path, "we");
    if (file == NULL)
        err(1, "%s", path);
    if (fwrite(&header, sizeof header, 1, file) != 1)
        err(1, "%s", path);
    return file;
}

static void write_frame(FILE *file, const char *path,
                        const struct frame *frame) {
    struct record_header header;
    header.seconds = (uint32_t)frame->time.tv_sec;
    header.nanoseconds = (uint32_t)frame->time.tv_nsec;
    header.captured = (uint32_t)frame->captured;
    header.length = (uint32_t)frame->length;
    if (fwrite(&header, sizeof header, 1, file) != 1)
        err(1, "%s", path);
    size_t written = fwrite(frame->bytes, 1, frame->captured, file);
    if (written < frame->captured)
        err(1, "%s", path);
    if (fflush(file) == EOF)
        err(1, "%s", path);
}

/* Prints the time since the first frame, in seconds. It is negative when
 * somebody has set the clock back in between. */
static void print_time(struct timespec time, struct timespec first) {
    long long seconds = (long long)time.tv_sec - (long long)first.tv_sec;
    long long since = seconds * NS_PER_SECOND + time.tv_nsec - first.tv_nsec;
    const char *sign = "";
    if (since < 0) {
        sign = "-";
        since = -since;
    }
    if (printf("%s%lld.%06lld ", sign, since / NS_PER_SECOND,
               since % NS_PER_SECOND / NS_PER_US) < 0)
        err(1, "standard output");
}

/* The filter keeps some frames about which it cannot decide. A damaged packet
 * is shown if its port could be read. */
static bool is_wanted(const struct packet *packet, in_port_t port) {
    if (port == 0) /* all ports are wanted */
        return true;
    return packet->from.port == port || packet->to.port == port;
}

static void print_packet(struct packet *packet,
                         struct packet_numbers *numbers) {
    char text[PACKET_TEXT_BYTES];
    packet_make_relative(numbers, packet);
    if (printf("%s\n", packet_format(packet, text)) < 0)
        err(1, "standard output");
}

/* Returns how many frames were shown. */
static unsigned show_frames(int fd, FILE *file, const struct options *options) {
    static struct frame frame;
    static struct packet_numbers numbers;
    struct packet packet;
    struct timespec first = {0};
    unsigned shown = 0;
    while (!stopping) {
        if (options->count > 0 && shown == options->count)
            break;
        if (!receive_frame(fd, &frame))
            break;
        /* A damaged packet is shown, too: its text says what is wrong. */
        (void)packet_parse(&packet, frame.bytes, frame.captured, frame.length);
        if (!is_wanted(&packet, options->port))
            continue;
        if (shown == 0)
            first = frame.time;
        if (file != NULL)
            write_frame(file, options->path, &frame);
        print_time(frame.time, first);
        print_packet(&packet, &numbers);
        shown++;
    }
    return shown;
}

/* While we are busy, the kernel keeps frames for us, but only so many. The rest
 * is lost, and it counts them. */
static void print_statistics(int fd, unsigned shown) {
    struct statistics statistics;
    socklen_t length = sizeof statistics;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) < 0)
        err(1, "getsockopt PACKET_STATISTICS");
    if (printf("%u shown; %u came through the filter, %u were lost\n", shown,
               statistics.came, statistics.lost) < 0)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    struct options options = parse_options(argc, argv);
    handle_signals();
    require_output();
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, also in a pipe */

    int fd = open_socket(options.interface, options.port);
    FILE *file = NULL;
    if (options.path != NULL)
        file = create_file(options.path);
    if (printf("capturing on %s\n", options.interface) < 0)
        err(1, "standard output");
    unsigned shown = show_frames(fd, file, &options);
    print_statistics(fd, shown);

    if (file != NULL && fclose(file) == EOF)
        err(1, "%s", options.path);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
