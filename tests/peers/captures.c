/*
 * captures: writes capture files for a packet sniffer to read.
 *
 *     captures [-s SEED] [-k BYTES] [-a ANSWER] FACE
 *     captures faces
 *
 * It writes a pcap file to standard output. The file holds TCP connections
 * whose addresses, times and sequence numbers are drawn from SEED, so the same
 * SEED always gives the same file. FACE says what is special about the file;
 * the table `faces` below has them all, and `captures faces` lists their names.
 *
 * With -a we write to the file ANSWER what a sniffer has to find: the two ends
 * of the first complete handshake, and the times of its three segments. With -k
 * we write only the first BYTES bytes of the file.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The flags of a TCP segment. */
enum {
    SYN = 2,
    RST = 4,
    PSH = 8,
    ACK = 16,
};

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_IPV6 = 0x86dd,
    HOP_LIMIT = 64,
    IPV4_BYTES = 20, /* the header */
    TCP_BYTES = 20,  /* the header */
    TCP_WORDS = 5,   /* its length, as the header itself gives it */
    UDP_BYTES = 8,   /* the header */
    DNS_PORT = 53,
    WINDOW = 0xffff,
    LINK_ETHERNET = 1,
    LINK_WIRELESS = 105,
    LARGEST_FRAME = 262144,
    NS_PER_US = 1000,
    NS_PER_SECOND = 1000000000,
};

/* The first number of a file says which unit its times have. */
static const uint32_t magic_microseconds = 0xa1b2c3d4;
static const uint32_t magic_nanoseconds = 0xa1b23c4d;

/* The three segments of a handshake. */
enum step { STEP_SYN, STEP_SYN_ACK, STEP_ACK, STEPS };

enum direction { TO_SERVER, TO_CLIENT };

struct file {
    uint64_t seed;
    long long clock; /* nanoseconds; each packet is sent a little later */
    int is_swapped;  /* numbers are written with their highest byte first */
    int is_fine;     /* times have nanoseconds, not microseconds */
    int is_ipv6;
    unsigned link;
    size_t cut; /* only this many bytes of each frame are captured; 0: all */
    uint8_t *bytes;
    size_t length;
    size_t room;
    long long times[STEPS]; /* of the handshake that a sniffer has to find */
    char ends[128];         /* its ends; "" if there is no such handshake */
};

/* Both ends of a connection, and their initial sequence numbers. */
struct pair {
    uint8_t client[16];
    uint8_t server[16];
    unsigned client_port;
    unsigned server_port;
    uint32_t client_number;
    uint32_t server_number;
};

/* The next pseudo-random number, by splitmix64: from 0 up to below - 1. */
static uint32_t draw(struct file *file, uint32_t below) {
    file->seed += 0x9e3779b97f4a7c15;
    uint64_t z = file->seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static void put(struct file *file, const void *bytes, size_t length) {
    if (file->length + length > file->room) {
        file->room = 2 * (file->length + length);
        file->bytes = realloc(file->bytes, file->room);
        if (file->bytes == NULL)
            err(1, "realloc");
    }
    memcpy(file->bytes + file->length, bytes, length);
    file->length += length;
}

/* A capture file has the byte order of the machine that wrote it. */
static void put32(struct file *file, uint32_t number) {
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++) {
        int place = file->is_swapped ? 3 - i : i;
        bytes[place] = (uint8_t)(number >> 8 * i);
    }
    put(file, bytes, sizeof bytes);
}

static void put_header(struct file *file) {
    /* Version 2.4, as two numbers of 16 bits. */
    static const uint8_t version[] = {2, 0, 4, 0};
    static const uint8_t swapped_version[] = {0, 2, 0, 4};
    put32(file, file->is_fine ? magic_nanoseconds : magic_microseconds);
    put(file, file->is_swapped ? swapped_version : version, sizeof version);
    put32(file, 0); /* the time zone */
    put32(file, 0); /* the accuracy of the times */
    put32(file, LARGEST_FRAME);
    put32(file, file->link);
}

/* Puts a record: its header, and the bytes captured of the frame. */
static void put_frame(struct file *file, const uint8_t *frame, size_t length,
                      size_t captured) {
    uint32_t fraction = (uint32_t)(file->clock % NS_PER_SECOND);
    put32(file, (uint32_t)(file->clock / NS_PER_SECOND));
    put32(file, file->is_fine ? fraction : fraction / NS_PER_US);
    put32(file, (uint32_t)captured);
    put32(file, (uint32_t)length);
    put(file, frame, captured);
}

/* Moves the clock on, by at least so many nanoseconds and some more. */
static void wait_ns(struct file *file, long long least, uint32_t more) {
    file->clock += least + draw(file, more);
}

static void wait_a_moment(struct file *file) {
    wait_ns(file, NS_PER_US, 300 * NS_PER_US);
}

/* Writes a number in network byte order. Returns the place after it. */
static uint8_t *network16(uint8_t *at, unsigned number) {
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
    return at + 2;
}

static uint8_t *network32(uint8_t *at, uint32_t number) {
    at = network16(at, number >> 16);
    return network16(at, number & 0xffff);
}

/* Writes the headers of Ethernet and IP for a packet with length bytes after
 * them. Returns the place after the headers. */
static uint8_t *put_headers(const struct file *file, uint8_t *at,
                            const uint8_t *from, const uint8_t *to,
                            unsigned protocol, size_t length) {
    static const uint8_t hardware[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    size_t address_bytes = file->is_ipv6 ? 16 : 4;
    memcpy(at, hardware, sizeof hardware);
    at += sizeof hardware;
    if (file->is_ipv6) {
        at = network16(at, ETHERTYPE_IPV6);
        at = network32(at, 0x60000000); /* version 6 */
        at = network16(at, (unsigned)length);
        at = network16(at, protocol << 8 | HOP_LIMIT);
    } else {
        at = network16(at, ETHERTYPE_IPV4);
        at = network16(at, 0x4500); /* version 4, a header of 5 words */
        at = network16(at, (unsigned)length + IPV4_BYTES);
        at = network32(at, 0x00014000); /* number 1, not to be fragmented */
        at = network16(at, (unsigned)HOP_LIMIT << 8 | protocol);
        at = network16(at, 0); /* no checksum */
    }
    memcpy(at, from, address_bytes);
    at += address_bytes;
    memcpy(at, to, address_bytes);
    return at + address_bytes;
}

/* Puts a TCP segment with length bytes of payload. */
static void put_segment(struct file *file, const struct pair *pair,
                        enum direction direction, unsigned flags,
                        uint32_t sequence, uint32_t acknowledgement,
                        size_t length) {
    uint8_t frame[2000] = {0};
    const uint8_t *from = pair->client;
    const uint8_t *to = pair->server;
    unsigned from_port = pair->client_port;
    unsigned to_port = pair->server_port;
    if (direction == TO_CLIENT) {
        from = pair->server;
        to = pair->client;
        from_port = pair->server_port;
        to_port = pair->client_port;
    }
    uint8_t *at =
        put_headers(file, frame, from, to, IPPROTO_TCP, TCP_BYTES + length);
    at = network16(at, from_port);
    at = network16(at, to_port);
    at = network32(at, sequence);
    at = network32(at, acknowledgement);
    at = network16(at, (unsigned)TCP_WORDS << 12 | flags);
    at = network16(at, WINDOW);
    at = network32(at, 0); /* no checksum, nothing urgent */
    for (size_t i = 0; i < length; i++)
        at[i] = (uint8_t)('a' + draw(file, 26));
    size_t frame_length = (size_t)(at - frame) + length;
    size_t captured = frame_length;
    if (file->cut > 0 && file->cut < frame_length)
        captured = file->cut;
    put_frame(file, frame, frame_length, captured);
}

static struct pair draw_pair(struct file *file) {
    struct pair pair = {.client = {10}, .server = {10}};
    pair.client_port = 32768 + draw(file, 28000);
    pair.server_port = 1 + draw(file, 9999);
    pair.client_number = draw(file, 1U << 31) + 1000;
    pair.server_number = draw(file, 1U << 31) + 1000;
    if (file->is_ipv6) {
        pair.client[0] = 0xfd;
        pair.server[0] = 0xfd;
    }
    for (int i = 1; i < 16; i++) {
        pair.client[i] = (uint8_t)(draw(file, 127) + 1);
        pair.server[i] = (uint8_t)(draw(file, 127) + 128);
    }
    return pair;
}

/* A SYN with more flags. */
static void put_syn_with(struct file *file, const struct pair *pair,
                         unsigned more) {
    put_segment(file, pair, TO_SERVER, SYN | more, pair->client_number, 0, 0);
}

static void put_syn(struct file *file, const struct pair *pair) {
    put_syn_with(file, pair, 0);
}

/* A SYN ACK with more flags. */
static void put_syn_ack_with(struct file *file, const struct pair *pair,
                             unsigned more) {
    put_segment(file, pair, TO_CLIENT, SYN | ACK | more, pair->server_number,
                pair->client_number + 1, 0);
}

static void put_syn_ack(struct file *file, const struct pair *pair) {
    put_syn_ack_with(file, pair, 0);
}

static void put_ack(struct file *file, const struct pair *pair, size_t length) {
    unsigned flags = ACK;
    if (length > 0)
        flags |= PSH;
    put_segment(file, pair, TO_SERVER, flags, pair->client_number + 1,
                pair->server_number + 1, length);
}

/* Puts packets that are no part of any handshake. */
static void put_noise(struct file *file) {
    enum { PAYLOAD = 40, CAPTURED = 80, ARP_FRAME = 60 };
    uint8_t frame[100] = {0};
    struct pair pair = draw_pair(file);
    /* A question to a name server. */
    uint8_t *at = put_headers(file, frame, pair.client, pair.server,
                              IPPROTO_UDP, UDP_BYTES + PAYLOAD);
    at = network16(at, pair.client_port);
    at = network16(at, DNS_PORT);
    (void)network16(at, UDP_BYTES + PAYLOAD);
    put_frame(file, frame, CAPTURED, CAPTURED);
    wait_a_moment(file);
    /* A connection that began before the capture did. */
    put_ack(file, &pair, 10);
    wait_a_moment(file);
    put_segment(file, &pair, TO_CLIENT, ACK, pair.server_number + 1,
                pair.client_number + 11, 0);
    wait_a_moment(file);
    /* An ARP request, to the broadcast address. */
    memset(frame, 0, sizeof frame);
    memset(frame, 0xff, 6);
    (void)network16(frame + 12, ETHERTYPE_ARP);
    put_frame(file, frame, ARP_FRAME, ARP_FRAME);
    wait_a_moment(file);
}

static void store_time(struct file *file, enum step step) {
    file->times[step] = file->clock;
}

static void store_ends(struct file *file, const struct pair *pair) {
    int family = file->is_ipv6 ? AF_INET6 : AF_INET;
    char client[INET6_ADDRSTRLEN];
    char server[INET6_ADDRSTRLEN];
    (void)inet_ntop(family, pair->client, client, sizeof client);
    (void)inet_ntop(family, pair->server, server, sizeof server);
    /* An IPv6 address stands in brackets. */
    (void)snprintf(file->ends, sizeof file->ends,
                   file->is_ipv6 ? "[%s]:%u > [%s]:%u" : "%s:%u > %s:%u",
                   client, pair->client_port, server, pair->server_port);
}

/* Puts the handshake that a sniffer has to find. Its ACK carries so many bytes.
 * If it carries any, all three have PSH. */
static void put_handshake_with(struct file *file, const struct pair *pair,
                               size_t length) {
    unsigned more = 0;
    if (length > 0)
        more = PSH;
    store_ends(file, pair);
    store_time(file, STEP_SYN);
    put_syn_with(file, pair, more);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack_with(file, pair, more);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, pair, length);
    wait_a_moment(file);
}

static void put_handshake(struct file *file, const struct pair *pair) {
    put_handshake_with(file, pair, 0);
}

static void make_plain(struct file *file) {
    struct pair pair = draw_pair(file);
    put_noise(file);
    put_handshake_with(file, &pair, 20); /* its segments have PSH too */
    put_ack(file, &pair, 20);
    put_noise(file);
    pair = draw_pair(file);
    put_syn(file, &pair); /* a second handshake, which is not asked for */
    put_syn_ack(file, &pair);
    put_ack(file, &pair, 0);
}

/* Returns a number of microseconds of which one is lost if they are counted in
 * seconds, in a double, and cut. */
static long long draw_inexact(struct file *file) {
    long long microseconds = 10 + draw(file, 70);
    for (;;) {
        double seconds = (double)(microseconds * NS_PER_US) / NS_PER_SECOND;
        if ((long long)(seconds * 1e6) != microseconds)
            return microseconds;
        microseconds++;
    }
}

/* The handshake takes more nanoseconds than 32 bits count. It goes over the
 * turn of a second, and its times have zeros after the point, such as 0.000042
 * and 5.000007. */
static void make_slow(struct file *file) {
    struct pair pair = draw_pair(file);
    file->clock -= file->clock % NS_PER_SECOND + 2750;
    store_ends(file, &pair);
    store_time(file, STEP_SYN);
    put_syn(file, &pair);
    file->clock += draw_inexact(file) * NS_PER_US;
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &pair);
    wait_ns(file, (5LL + draw(file, 5)) * NS_PER_SECOND, 9 * NS_PER_US);
    store_time(file, STEP_ACK);
    put_ack(file, &pair, 0);
}

/* The first SYN is not answered. The second is refused. The third is answered,
 * but then the client resets the connection. Only the fourth handshake is
 * complete; it has the same two ends as the first. */
static void make_unanswered(struct file *file) {
    struct pair first = draw_pair(file);
    struct pair other = draw_pair(file);
    put_syn(file, &first);
    wait_a_moment(file);
    put_syn(file, &other);
    wait_a_moment(file);
    put_segment(file, &other, TO_CLIENT, RST | ACK, 0, other.client_number + 1,
                0);
    wait_a_moment(file);
    other = draw_pair(file);
    put_syn(file, &other);
    wait_a_moment(file);
    put_syn_ack(file, &other);
    wait_a_moment(file);
    put_segment(file, &other, TO_SERVER, RST, other.client_number + 1, 0, 0);
    wait_a_moment(file);
    put_segment(file, &other, TO_SERVER, RST | ACK, other.client_number + 1,
                other.server_number + 1, 0);
    wait_a_moment(file);
    first.client_number += 1000 + draw(file, 100000);
    put_handshake(file, &first);
}

/* A SYN is answered by two SYN ACKs with different numbers. Only the second one
 * is acknowledged. */
static void make_second_answer(struct file *file) {
    struct pair pair = draw_pair(file);
    struct pair other = pair;
    other.server_number += 1000 + draw(file, 100000);
    store_ends(file, &pair);
    store_time(file, STEP_SYN);
    put_syn(file, &pair);
    wait_a_moment(file);
    put_syn_ack(file, &other);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &pair);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &pair, 0);
}

/* The same, but only the first one is acknowledged, behind the second. */
static void make_first_answer(struct file *file) {
    struct pair pair = draw_pair(file);
    struct pair other = pair;
    other.server_number += 1000 + draw(file, 100000);
    store_ends(file, &pair);
    store_time(file, STEP_SYN);
    put_syn(file, &pair);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &pair);
    wait_a_moment(file);
    put_syn_ack(file, &other);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &pair, 0);
}

/* Somebody looks for open ports: many SYNs that nobody answers. Then
 * comes the handshake. */
static void make_scan(struct file *file) {
    enum { SYNS = 1500 };
    struct pair pair = draw_pair(file);
    for (unsigned i = 0; i < SYNS; i++) {
        pair.server_port = 10000 + i;
        pair.client_number += 1000;
        put_syn(file, &pair);
        wait_a_moment(file);
    }
    pair.server_port = 1 + draw(file, 9999);
    put_handshake(file, &pair);
}

/* Two handshakes with the same server overlap: the first to begin is the last
 * to end. Before its ACK come segments of the same two ends that acknowledge
 * other numbers. */
static void make_crossed(struct file *file) {
    struct pair one = draw_pair(file);
    struct pair two = one;
    two.client_port++;
    two.client_number += 5000;
    two.server_number += 7000;
    store_ends(file, &one);
    store_time(file, STEP_SYN);
    put_syn(file, &one);
    wait_a_moment(file);
    put_syn(file, &two);
    wait_a_moment(file);
    put_syn_ack(file, &two);
    wait_a_moment(file);
    /* This SYN ACK is from an earlier connection of the same two ends, so its
     * numbers do not fit. */
    put_segment(file, &one, TO_CLIENT, SYN | ACK, one.server_number - 3000,
                one.client_number - 2999, 0);
    wait_a_moment(file);
    put_segment(file, &one, TO_CLIENT, ACK, one.server_number + 1,
                one.client_number + 1, 0);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &one);
    wait_a_moment(file);
    put_ack(file, &two, 0);
    wait_a_moment(file);
    put_segment(file, &one, TO_SERVER, ACK, one.client_number + 1,
                one.server_number - 2999, 0);
    wait_a_moment(file);
    put_segment(file, &one, TO_SERVER, ACK, one.client_number - 2999,
                one.server_number + 1, 0);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &one, 0);
}

/* Another client, whose address differs only in its last byte, has the same
 * ports and numbers. */
static void make_neighbours(struct file *file) {
    struct pair one = draw_pair(file);
    struct pair two = one;
    two.client[file->is_ipv6 ? 15 : 3] ^= 1;
    store_ends(file, &one);
    store_time(file, STEP_SYN);
    put_syn(file, &one);
    wait_a_moment(file);
    put_syn_ack(file, &two);
    wait_a_moment(file);
    put_ack(file, &two, 0);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &one);
    wait_a_moment(file);
    put_ack(file, &two, 0);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &one, 0);
}

/* Nothing was captured of the first packet. */
static void make_nothing_captured(struct file *file) {
    struct pair pair = draw_pair(file);
    uint8_t frame[1] = {0};
    put_frame(file, frame, 60, 0);
    wait_a_moment(file);
    put_handshake(file, &pair);
}

/* The SYN is sent three times, the SYN ACK and the ACK twice. */
static void make_again(struct file *file) {
    struct pair pair = draw_pair(file);
    store_ends(file, &pair);
    store_time(file, STEP_SYN);
    put_syn(file, &pair);
    wait_ns(file, NS_PER_SECOND, 20000 * NS_PER_US);
    put_syn(file, &pair);
    wait_ns(file, 2LL * NS_PER_SECOND, 20000 * NS_PER_US);
    put_syn(file, &pair);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &pair);
    wait_ns(file, NS_PER_SECOND, 20000 * NS_PER_US);
    put_syn_ack(file, &pair);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &pair, 0);
    wait_a_moment(file);
    put_ack(file, &pair, 0);
}

/* The initial sequence numbers are the largest ones, so the next number is 0.
 */
static void make_wrapped(struct file *file) {
    struct pair pair = draw_pair(file);
    pair.client_number = UINT32_MAX;
    pair.server_number = UINT32_MAX;
    put_noise(file);
    put_handshake(file, &pair);
}

/* Only the headers of each frame are captured. The ACK carries data. */
static void make_headers(struct file *file) {
    struct pair pair = draw_pair(file);
    struct pair other = draw_pair(file);
    file->cut = 54;
    put_ack(file, &other, 700);
    wait_a_moment(file);
    store_ends(file, &pair);
    store_time(file, STEP_SYN);
    put_syn(file, &pair);
    wait_a_moment(file);
    put_ack(file, &other, 900);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &pair);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &pair, 500);
    wait_a_moment(file);
    put_ack(file, &pair, 300);
}

/* The first ACK is cut before its flags, so a sniffer must not count it. If the
 * sniffer reads past the cut, it finds bytes that look like the flags of an
 * ACK: in its buffer those of the packet before, and in the file the seconds of
 * the next packet, which are written as 50 10. */
static void make_stale(struct file *file) {
    struct pair pair = draw_pair(file);
    struct pair other = draw_pair(file);
    long long seconds = file->clock / NS_PER_SECOND;
    seconds = (seconds & ~0xffffLL) | 0x1050;
    file->clock = seconds * NS_PER_SECOND + file->clock % 100000000;
    store_ends(file, &pair);
    store_time(file, STEP_SYN);
    put_syn(file, &pair);
    wait_a_moment(file);
    store_time(file, STEP_SYN_ACK);
    put_syn_ack(file, &pair);
    wait_a_moment(file);
    put_ack(file, &other, 0);
    wait_a_moment(file);
    file->cut = 46;
    put_ack(file, &pair, 0);
    wait_a_moment(file);
    file->cut = 0;
    put_ack(file, &other, 0);
    wait_a_moment(file);
    store_time(file, STEP_ACK);
    put_ack(file, &pair, 33);
}

static void put_giant(struct file *file, size_t length) {
    uint8_t *frame = calloc(length, 1);
    if (frame == NULL)
        err(1, "calloc");
    put_frame(file, frame, length, length);
    free(frame);
    wait_a_moment(file);
}

/* The first frame is as large as a frame may be. */
static void make_largest(struct file *file) {
    put_giant(file, LARGEST_FRAME);
    make_plain(file);
}

/* The last frame is one byte larger than a frame may be. */
static void make_larger(struct file *file) {
    make_plain(file);
    put_giant(file, LARGEST_FRAME + 1);
}

/* A record claims to hold 4294967295 or 2147483648 bytes. */
static void make_endless(struct file *file) {
    make_plain(file);
    put32(file, 1);
    put32(file, 1);
    uint32_t captured = UINT32_MAX;
    if (draw(file, 2) != 0)
        captured = 1U << 31;
    put32(file, captured);
    put32(file, 60);
    put_noise(file);
}

/* The only handshake is refused. */
static void make_none(struct file *file) {
    struct pair pair = draw_pair(file);
    put_noise(file);
    put_syn(file, &pair);
    wait_a_moment(file);
    put_segment(file, &pair, TO_CLIENT, RST | ACK, 0, pair.client_number + 1,
                0);
}

static void make_empty(struct file *file) {
    (void)file;
}

static const struct face {
    const char *name;
    void (*make)(struct file *file);
    int is_swapped;
    int is_fine;
    int is_ipv6;
    unsigned link;
} faces[] = {
    {"plain", make_plain, 0, 0, 0, LINK_ETHERNET},
    {"six", make_plain, 0, 0, 1, LINK_ETHERNET},
    {"swapped", make_plain, 1, 0, 0, LINK_ETHERNET},
    {"fine", make_plain, 0, 1, 0, LINK_ETHERNET},
    {"fine-swapped", make_plain, 1, 1, 0, LINK_ETHERNET},
    {"slow", make_slow, 0, 0, 0, LINK_ETHERNET},
    {"fine-slow", make_slow, 0, 1, 0, LINK_ETHERNET},
    {"unanswered", make_unanswered, 0, 0, 0, LINK_ETHERNET},
    {"second-answer", make_second_answer, 0, 0, 0, LINK_ETHERNET},
    {"first-answer", make_first_answer, 0, 0, 0, LINK_ETHERNET},
    {"scan", make_scan, 0, 0, 0, LINK_ETHERNET},
    {"crossed", make_crossed, 0, 0, 0, LINK_ETHERNET},
    {"neighbours", make_neighbours, 0, 0, 0, LINK_ETHERNET},
    {"six-neighbours", make_neighbours, 0, 0, 1, LINK_ETHERNET},
    {"nothing-captured", make_nothing_captured, 0, 0, 0, LINK_ETHERNET},
    {"again", make_again, 0, 0, 0, LINK_ETHERNET},
    {"wrapped", make_wrapped, 0, 0, 0, LINK_ETHERNET},
    {"headers", make_headers, 0, 0, 0, LINK_ETHERNET},
    {"stale", make_stale, 0, 0, 0, LINK_ETHERNET},
    {"largest", make_largest, 0, 0, 0, LINK_ETHERNET},
    {"larger", make_larger, 0, 0, 0, LINK_ETHERNET},
    {"endless", make_endless, 0, 0, 0, LINK_ETHERNET},
    {"none", make_none, 0, 0, 0, LINK_ETHERNET},
    {"empty", make_empty, 0, 0, 0, LINK_ETHERNET},
    {"wireless", make_plain, 0, 0, 0, LINK_WIRELESS},
};

enum { FACES = sizeof faces / sizeof *faces };

/* How many microseconds a segment came after the SYN. If the file has only
 * microseconds, each time is rounded down before we subtract, as a sniffer
 * never sees the rest. */
static long long microseconds_after_syn(const struct file *file,
                                        enum step step) {
    long long time = file->times[step];
    long long start = file->times[STEP_SYN];
    if (file->is_fine)
        return (time - start) / NS_PER_US;
    return time / NS_PER_US - start / NS_PER_US;
}

static void write_answer(const struct file *file, const char *path) {
    static const char *const names[STEPS] = {"SYN", "SYN ACK", "ACK"};
    FILE *out = fopen(path, "we");
    if (out == NULL)
        err(1, "%s", path);
    if (*file->ends != '\0') {
        fprintf(out, "%s\n", file->ends);
        for (int step = STEP_SYN; step < STEPS; step++) {
            long long us = microseconds_after_syn(file, (enum step)step);
            fprintf(out, "%s %lld.%06lld\n", names[step], us / 1000000,
                    us % 1000000);
        }
    }
    if (fclose(out) == EOF)
        err(1, "%s", path);
}

static const struct face *find_face(const char *name) {
    for (size_t i = 0; i < FACES; i++)
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    errx(2, "no such face: %s", name);
}

static _Noreturn void usage(void) {
    fputs("usage: captures [-s SEED] [-k BYTES] [-a ANSWER] FACE\n"
          "       captures faces\n",
          stderr);
    exit(2);
}

static int list_faces(void) {
    for (size_t i = 0; i < FACES; i++)
        puts(faces[i].name);
    return fflush(stdout) == EOF ? 1 : 0;
}

/* Makes the whole file in memory. */
static void make_file(struct file *file, const struct face *face) {
    file->is_swapped = face->is_swapped;
    file->is_fine = face->is_fine;
    file->is_ipv6 = face->is_ipv6;
    file->link = face->link;
    long long seconds = 1500000000LL + draw(file, 250000000);
    file->clock = seconds * NS_PER_SECOND + draw(file, NS_PER_SECOND);
    put_header(file);
    face->make(file);
}

int main(int argc, char **argv) {
    struct file file = {.seed = 1};
    size_t most = SIZE_MAX;
    const char *answer = NULL;
    for (;;) {
        int option = getopt(argc, argv, "s:k:a:");
        if (option == -1)
            break;
        if (option == 's')
            file.seed = strtoull(optarg, NULL, 10);
        else if (option == 'k')
            most = strtoull(optarg, NULL, 10);
        else if (option == 'a')
            answer = optarg;
        else
            usage();
    }
    if (argc - optind != 1)
        usage();
    if (strcmp(argv[optind], "faces") == 0)
        return list_faces();
    make_file(&file, find_face(argv[optind]));
    if (answer != NULL)
        write_answer(&file, answer);
    size_t length = file.length < most ? file.length : most;
    size_t written = fwrite(file.bytes, 1, length, stdout);
    free(file.bytes);
    if (written != length || fflush(stdout) == EOF)
        return 1;
    return 0;
}
