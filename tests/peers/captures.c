/*
 * captures: files as a packet sniffer leaves them, the same ones each time they
 * are asked for.
 *
 *     captures [-s SEED] [-k BYTES] [-a ANSWER] FACE
 *     captures faces
 *
 * Writes a pcap file to standard output, of TCP connections between addresses,
 * at times and with numbers that are drawn from SEED. What is to be said of it,
 * the ends of the first handshake and its three times, goes into the file
 * ANSWER. -k keeps so many bytes only. What is special about a file is its
 * FACE, below.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIN = 1,
    SYN = 2,
    RST = 4,
    PSH = 8,
    ACK = 16,
};

enum {
    HEADER_BYTES = 24,
    LARGEST_FRAME = 262144,
    NS_PER_US = 1000,
    NS_PER_SECOND = 1000000000,
};

struct file {
    uint64_t seed;
    long long clock; /* nanoseconds; each packet comes a little later */
    int is_swapped;  /* the largest byte of a number comes first */
    int is_fine;     /* nanoseconds, not microseconds */
    int is_six;
    unsigned link;
    long cut; /* so many bytes of each frame are kept; 0: all */
    uint8_t *bytes;
    size_t length;
    size_t room;
    long long times[3]; /* of the handshake to be found */
    char ends[128];     /* "" when there is none */
};

/* Both ends of a connection, and the numbers they count from. */
struct pair {
    uint8_t client[16], server[16];
    unsigned client_port, server_port;
    uint32_t client_number, server_number;
};

/* Numbers that nobody could guess, and everybody can have again: splitmix64. */
static uint32_t draw(struct file *file, uint32_t below) {
    uint64_t z = file->seed += 0x9e3779b97f4a7c15;
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

/* Numbers of the file are in the order of the machine that wrote it. */
static void put32(struct file *file, uint32_t number) {
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[file->is_swapped ? 3 - i : i] = (uint8_t)(number >> 8 * i);
    put(file, bytes, sizeof bytes);
}

static void put_header(struct file *file) {
    uint8_t version[] = {2, 0, 4, 0};
    put32(file, file->is_fine ? 0xa1b23c4d : 0xa1b2c3d4);
    if (file->is_swapped)
        memcpy(version, (uint8_t[]){0, 2, 0, 4}, sizeof version);
    put(file, version, sizeof version);
    put32(file, 0);
    put32(file, 0);
    put32(file, LARGEST_FRAME);
    put32(file, file->link);
}

/* A record: its header, and what was captured of the frame. */
static void put_frame(struct file *file, const uint8_t *frame, size_t length,
                      size_t captured) {
    uint32_t fraction = (uint32_t)(file->clock % NS_PER_SECOND);
    put32(file, (uint32_t)(file->clock / NS_PER_SECOND));
    put32(file, file->is_fine ? fraction : fraction / NS_PER_US);
    put32(file, (uint32_t)captured);
    put32(file, (uint32_t)length);
    put(file, frame, captured);
}

static void wait_ns(struct file *file, long long least, uint32_t more) {
    file->clock += least + draw(file, more);
}

static void pass(struct file *file) {
    wait_ns(file, NS_PER_US, 300 * NS_PER_US);
}

static uint8_t *network16(uint8_t *at, unsigned number) {
    *at++ = (uint8_t)(number >> 8);
    *at++ = (uint8_t)number;
    return at;
}

static uint8_t *network32(uint8_t *at, uint32_t number) {
    return network16(network16(at, number >> 16), number & 0xffff);
}

/* Ethernet and IP, from one address to another, around length bytes more. */
static uint8_t *put_headers(const struct file *file, uint8_t *at,
                            const uint8_t *from, const uint8_t *to,
                            unsigned protocol, size_t length) {
    static const uint8_t hardware[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    size_t address = file->is_six ? 16 : 4;
    memcpy(at, hardware, sizeof hardware);
    at = network16(at + sizeof hardware, file->is_six ? 0x86dd : 0x0800);
    if (file->is_six) {
        at = network32(at, 0x60000000);
        at = network16(at, (unsigned)length);
        at = network16(at, protocol << 8 | 64);
    } else {
        at = network16(at, 0x4500);
        at = network16(at, (unsigned)length + 20);
        at = network32(at, 0x00014000);
        at = network16(at, 64U << 8 | protocol);
        at = network16(at, 0);
    }
    memcpy(at, from, address);
    memcpy(at + address, to, address);
    return at + 2 * address;
}

/* A segment of the client's (or the server's), with length bytes of payload. */
static void put_segment(struct file *file, const struct pair *pair,
                        int is_clients, unsigned flags, uint32_t sequence,
                        uint32_t acknowledgement, size_t length) {
    uint8_t frame[2000] = {0};
    unsigned from = is_clients ? pair->client_port : pair->server_port;
    unsigned to = is_clients ? pair->server_port : pair->client_port;
    uint8_t *at = put_headers(
        file, frame, is_clients ? pair->client : pair->server,
        is_clients ? pair->server : pair->client, IPPROTO_TCP, 20 + length);
    at = network16(network16(at, from), to);
    at = network32(network32(at, sequence), acknowledgement);
    at = network32(network16(network16(at, 0x5000 | flags), 0xffff), 0);
    for (size_t i = 0; i < length; i++)
        *at++ = (uint8_t)('a' + draw(file, 26));
    length = (size_t)(at - frame);
    size_t captured = file->cut > 0 ? (size_t)file->cut : length;
    put_frame(file, frame, length, captured < length ? captured : length);
}

static struct pair draw_pair(struct file *file) {
    struct pair pair = {
        .client = {10},
        .client_number = draw(file, 1U << 31) + 1000,
        .server = {10},
        .server_number = draw(file, 1U << 31) + 1000,
        .client_port = 32768 + draw(file, 28000),
        .server_port = 1 + draw(file, 9999),
    };
    if (file->is_six)
        pair.client[0] = pair.server[0] = 0xfd;
    for (int i = 1; i < 16; i++) {
        pair.client[i] = (uint8_t)(draw(file, 127) + 1);
        pair.server[i] = (uint8_t)(draw(file, 127) + 128);
    }
    return pair;
}

/* The three of a handshake, each a while after the one before. */
static void put_syn(struct file *file, const struct pair *pair) {
    put_segment(file, pair, 1, SYN, pair->client_number, 0, 0);
}

static void put_syn_ack(struct file *file, const struct pair *pair) {
    put_segment(file, pair, 0, SYN | ACK, pair->server_number,
                pair->client_number + 1, 0);
}

static void put_ack(struct file *file, const struct pair *pair, size_t length) {
    put_segment(file, pair, 1, ACK | (length > 0 ? PSH : 0),
                pair->client_number + 1, pair->server_number + 1, length);
}

/* Some of what else there is on a network. */
static void put_noise(struct file *file) {
    uint8_t frame[100] = {0};
    struct pair pair = draw_pair(file);
    uint8_t *at =
        put_headers(file, frame, pair.client, pair.server, IPPROTO_UDP, 8 + 40);
    at = network16(network16(at, pair.client_port), 53);
    (void)network16(at, 8 + 40);
    put_frame(file, frame, sizeof frame - 20, sizeof frame - 20);
    pass(file);
    /* A connection that began before anybody looked. */
    put_ack(file, &pair, 10);
    pass(file);
    put_segment(file, &pair, 0, ACK, pair.server_number + 1,
                pair.client_number + 11, 0);
    pass(file);
    memset(frame, 0, sizeof frame);
    memset(frame, 0xff, 6);
    (void)network16(frame + 12, 0x0806);
    put_frame(file, frame, 60, 60);
    pass(file);
}

static void note(struct file *file, int which) {
    file->times[which] = file->clock;
}

static void name_ends(struct file *file, const struct pair *pair) {
    int family = file->is_six ? AF_INET6 : AF_INET;
    char client[INET6_ADDRSTRLEN];
    char server[INET6_ADDRSTRLEN];
    (void)inet_ntop(family, pair->client, client, sizeof client);
    (void)inet_ntop(family, pair->server, server, sizeof server);
    (void)snprintf(file->ends, sizeof file->ends,
                   file->is_six ? "[%s]:%u > [%s]:%u" : "%s:%u > %s:%u", client,
                   pair->client_port, server, pair->server_port);
}

/* The handshake that is to be found. */
static void put_handshake(struct file *file, const struct pair *pair) {
    name_ends(file, pair);
    note(file, 0);
    put_syn(file, pair);
    pass(file);
    note(file, 1);
    put_syn_ack(file, pair);
    pass(file);
    note(file, 2);
    put_ack(file, pair, 0);
    pass(file);
}

static void make_plain(struct file *file) {
    struct pair pair = draw_pair(file);
    put_noise(file);
    put_handshake(file, &pair);
    put_ack(file, &pair, 20);
    put_noise(file);
    pair = draw_pair(file);
    put_syn(file, &pair); /* another one, later */
    put_syn_ack(file, &pair);
    put_ack(file, &pair, 0);
}

/* Over the turn of a second, and with few microseconds: 0.000042, 1.000007. */
static void make_slow(struct file *file) {
    struct pair pair = draw_pair(file);
    file->clock -= file->clock % NS_PER_SECOND + 2750;
    name_ends(file, &pair);
    note(file, 0);
    put_syn(file, &pair);
    wait_ns(file, 10LL * NS_PER_US, 80 * NS_PER_US);
    note(file, 1);
    put_syn_ack(file, &pair);
    wait_ns(file, (1LL + draw(file, 9)) * NS_PER_SECOND, 9 * NS_PER_US);
    note(file, 2);
    put_ack(file, &pair, 0);
}

/* Nobody answers the first one. The second is refused, the third given up by
 * the client; and the fourth is between the ends of the first. */
static void make_unanswered(struct file *file) {
    struct pair first = draw_pair(file);
    struct pair other = draw_pair(file);
    put_syn(file, &first);
    pass(file);
    put_syn(file, &other);
    pass(file);
    put_segment(file, &other, 0, RST | ACK, 0, other.client_number + 1, 0);
    pass(file);
    other = draw_pair(file);
    put_syn(file, &other);
    pass(file);
    put_syn_ack(file, &other);
    pass(file);
    put_segment(file, &other, 1, RST, other.client_number + 1, 0, 0);
    pass(file);
    put_segment(file, &other, 1, RST | ACK, other.client_number + 1,
                other.server_number + 1, 0);
    pass(file);
    first.client_number += 1000 + draw(file, 100000);
    put_handshake(file, &first);
}

/* Two at once, to the same server: the first to begin is the last to end. And
 * before the ACK, one of the same ends that acknowledges something else. */
static void make_crossed(struct file *file) {
    struct pair one = draw_pair(file);
    struct pair two = one;
    two.client_port++;
    two.client_number += 5000;
    two.server_number += 7000;
    name_ends(file, &one);
    note(file, 0);
    put_syn(file, &one);
    pass(file);
    put_syn(file, &two);
    pass(file);
    put_syn_ack(file, &two);
    pass(file);
    /* Of a connection that these ends had before: not this one's numbers. */
    put_segment(file, &one, 0, SYN | ACK, one.server_number - 3000,
                one.client_number - 2999, 0);
    pass(file);
    put_segment(file, &one, 0, ACK, one.server_number + 1,
                one.client_number + 1, 0);
    pass(file);
    note(file, 1);
    put_syn_ack(file, &one);
    pass(file);
    put_ack(file, &two, 0);
    pass(file);
    put_segment(file, &one, 1, ACK, one.client_number + 1,
                one.server_number - 2999, 0);
    pass(file);
    put_segment(file, &one, 1, ACK, one.client_number - 2999,
                one.server_number + 1, 0);
    pass(file);
    note(file, 2);
    put_ack(file, &one, 0);
}

/* The SYN is sent three times, the SYN ACK and the ACK twice. */
static void make_again(struct file *file) {
    struct pair pair = draw_pair(file);
    name_ends(file, &pair);
    note(file, 0);
    put_syn(file, &pair);
    wait_ns(file, NS_PER_SECOND, 20000 * NS_PER_US);
    put_syn(file, &pair);
    wait_ns(file, 2LL * NS_PER_SECOND, 20000 * NS_PER_US);
    put_syn(file, &pair);
    pass(file);
    note(file, 1);
    put_syn_ack(file, &pair);
    wait_ns(file, NS_PER_SECOND, 20000 * NS_PER_US);
    put_syn_ack(file, &pair);
    pass(file);
    note(file, 2);
    put_ack(file, &pair, 0);
    pass(file);
    put_ack(file, &pair, 0);
}

/* The next number after the last one is 0. */
static void make_wrapped(struct file *file) {
    struct pair pair = draw_pair(file);
    pair.client_number = pair.server_number = UINT32_MAX;
    put_noise(file);
    put_handshake(file, &pair);
}

/* Of each frame only the headers were captured; the ACK has data, too. */
static void make_headers(struct file *file) {
    struct pair pair = draw_pair(file);
    struct pair other = draw_pair(file);
    file->cut = 54;
    put_ack(file, &other, 700);
    pass(file);
    name_ends(file, &pair);
    note(file, 0);
    put_syn(file, &pair);
    pass(file);
    put_ack(file, &other, 900);
    pass(file);
    note(file, 1);
    put_syn_ack(file, &pair);
    pass(file);
    note(file, 2);
    put_ack(file, &pair, 500);
    pass(file);
    put_ack(file, &pair, 300);
}

/* The ACK is cut before its flags. What stands behind it, in a buffer that was
 * used before or in the file, would make it look like one: the flags of another
 * ACK, or the seconds of the next packet, 50 10 in the file. */
static void make_stale(struct file *file) {
    struct pair pair = draw_pair(file);
    struct pair other = draw_pair(file);
    long long seconds = file->clock / NS_PER_SECOND;
    seconds = (seconds & ~0xffffLL) | 0x1050;
    file->clock = seconds * NS_PER_SECOND + file->clock % 100000000;
    name_ends(file, &pair);
    note(file, 0);
    put_syn(file, &pair);
    pass(file);
    note(file, 1);
    put_syn_ack(file, &pair);
    pass(file);
    put_ack(file, &other, 0);
    pass(file);
    file->cut = 46;
    put_ack(file, &pair, 0);
    pass(file);
    file->cut = 0;
    put_ack(file, &other, 0);
    pass(file);
    note(file, 2);
    put_ack(file, &pair, 33);
}

/* A frame as large as may be, and one that is larger than that. */
static void put_giant(struct file *file, size_t length) {
    uint8_t *frame = calloc(length, 1);
    if (frame == NULL)
        err(1, "calloc");
    put_frame(file, frame, length, length);
    free(frame);
    pass(file);
}

static void make_largest(struct file *file) {
    put_giant(file, LARGEST_FRAME);
    make_plain(file);
}

static void make_larger(struct file *file) {
    make_plain(file);
    put_giant(file, LARGEST_FRAME + 1);
}

/* Its length says 4294967295 bytes, or 2147483648. */
static void make_endless(struct file *file) {
    make_plain(file);
    put32(file, 1);
    put32(file, 1);
    put32(file, draw(file, 2) == 0 ? UINT32_MAX : 1U << 31);
    put32(file, 60);
    put_noise(file);
}

static void make_none(struct file *file) {
    struct pair pair = draw_pair(file);
    put_noise(file);
    put_syn(file, &pair);
    pass(file);
    put_segment(file, &pair, 0, RST | ACK, 0, pair.client_number + 1, 0);
}

static void make_empty(struct file *file) {
    (void)file;
}

static const struct face {
    const char *name;
    void (*make)(struct file *file);
    int is_swapped, is_fine, is_six;
    unsigned link;
} faces[] = {
    {"plain", make_plain, 0, 0, 0, 1},
    {"six", make_plain, 0, 0, 1, 1},
    {"swapped", make_plain, 1, 0, 0, 1},
    {"fine", make_plain, 0, 1, 0, 1},
    {"fine-swapped", make_plain, 1, 1, 0, 1},
    {"slow", make_slow, 0, 0, 0, 1},
    {"fine-slow", make_slow, 0, 1, 0, 1},
    {"unanswered", make_unanswered, 0, 0, 0, 1},
    {"crossed", make_crossed, 0, 0, 0, 1},
    {"again", make_again, 0, 0, 0, 1},
    {"wrapped", make_wrapped, 0, 0, 0, 1},
    {"headers", make_headers, 0, 0, 0, 1},
    {"stale", make_stale, 0, 0, 0, 1},
    {"largest", make_largest, 0, 0, 0, 1},
    {"larger", make_larger, 0, 0, 0, 1},
    {"endless", make_endless, 0, 0, 0, 1},
    {"none", make_none, 0, 0, 0, 1},
    {"empty", make_empty, 0, 0, 0, 1},
    {"wireless", make_plain, 0, 0, 0, 105},
};

enum { FACES = sizeof faces / sizeof *faces };

/* A file has no parts smaller than its unit. */
static long long microseconds(const struct file *file, long long time) {
    return file->is_fine ? (time - file->times[0]) / NS_PER_US
                         : time / NS_PER_US - file->times[0] / NS_PER_US;
}

static void write_answer(const struct file *file, const char *path) {
    static const char *const names[] = {"SYN", "SYN ACK", "ACK"};
    FILE *out = fopen(path, "we");
    if (out == NULL)
        err(1, "%s", path);
    if (*file->ends != '\0')
        fprintf(out, "%s\n", file->ends);
    for (int i = 0; *file->ends != '\0' && i < 3; i++) {
        long long us = microseconds(file, file->times[i]);
        fprintf(out, "%s %lld.%06lld\n", names[i], us / 1000000, us % 1000000);
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

int main(int argc, char **argv) {
    struct file file = {.seed = 1};
    size_t kept = SIZE_MAX;
    const char *answer = NULL;
    int option;
    while ((option = getopt(argc, argv, "s:k:a:")) != -1) {
        if (option == 's')
            file.seed = strtoull(optarg, NULL, 10);
        else if (option == 'k')
            kept = strtoull(optarg, NULL, 10);
        else if (option == 'a')
            answer = optarg;
        else
            usage();
    }
    if (argc - optind != 1)
        usage();
    if (strcmp(argv[optind], "faces") == 0) {
        for (size_t i = 0; i < FACES; i++)
            puts(faces[i].name);
        return fflush(stdout) == EOF;
    }
    const struct face *face = find_face(argv[optind]);
    file.is_swapped = face->is_swapped;
    file.is_fine = face->is_fine;
    file.is_six = face->is_six;
    file.link = face->link;
    file.clock = (1500000000LL + draw(&file, 250000000)) * NS_PER_SECOND +
                 draw(&file, NS_PER_SECOND);
    put_header(&file);
    face->make(&file);
    if (answer != NULL)
        write_answer(&file, answer);
    (void)fwrite(file.bytes, 1, file.length < kept ? file.length : kept,
                 stdout);
    free(file.bytes);
    return fflush(stdout) == EOF || ferror(stdout);
}
