/*
 * 35 solution: find the handshake in a capture file; one good answer of many.
 *
 * Reads all TCP segments of the file into an array. Then it looks, for each SYN
 * in its order, for the SYN ACK and the ACK that belong to it.
 *
 * usage: 35-packet-sniffer FILE
 */
#define _GNU_SOURCE

#include "packet.h"
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 24, /* at the beginning of the file */
    RECORD_BYTES = 16, /* before each packet */
    LARGEST_FRAME = 262144,
    ETHERNET = 1,
    FIRST_ROOM = 64, /* for segments */
    NS_PER_SECOND = 1000 * 1000 * 1000,
    NS_PER_US = 1000,
};

/* The first number of a file, when the file has our machine's byte order. It
 * also tells the unit of the fractions of a second. */
static const uint32_t microseconds_magic = 0xa1b2c3d4;
static const uint32_t nanoseconds_magic = 0xa1b23c4d;

struct capture {
    FILE *file;
    const char *path;
    bool is_swapped; /* its numbers have the other byte order */
    bool has_nanoseconds;
};

struct segment {
    struct packet packet;
    long long time; /* in nanoseconds, since 1970 */
};

struct segments {
    struct segment *list;
    size_t count;
    size_t room;
};

struct handshake {
    const struct segment *syn;
    const struct segment *syn_ack;
    const struct segment *ack;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 35-packet-sniffer FILE\n", out);
    exit(status);
}

static uint32_t swap_bytes(uint32_t number) {
    return number >> 24 | (number >> 8 & 0xff00) | (number << 8 & 0xff0000) |
           number << 24;
}

/* Returns number i of a header of the file, in our machine's order. */
static uint32_t number_at(const struct capture *capture, const uint8_t *header,
                          size_t i) {
    uint32_t number;
    memcpy(&number, header + i * sizeof number, sizeof number);
    if (capture->is_swapped)
        number = swap_bytes(number);
    return number;
}

/* Finds out in which order and unit the numbers of the file are. */
static void read_file_header(struct capture *capture) {
    uint8_t header[HEADER_BYTES];
    if (fread(header, sizeof header, 1, capture->file) != 1) {
        if (ferror(capture->file))
            err(1, "%s", capture->path);
        errx(1, "%s: too short for a pcap file", capture->path);
    }
    uint32_t magic = number_at(capture, header, 0);
    if (magic == swap_bytes(microseconds_magic) ||
        magic == swap_bytes(nanoseconds_magic)) {
        capture->is_swapped = true;
        magic = swap_bytes(magic);
    }
    if (magic != microseconds_magic && magic != nanoseconds_magic)
        errx(1, "%s: not a pcap file", capture->path);
    capture->has_nanoseconds = magic == nanoseconds_magic;

    uint32_t link_type = number_at(capture, header, 5);
    if (link_type != ETHERNET)
        errx(1, "%s: not Ethernet, but of link type %u", capture->path,
             link_type);
}

/* Reads length bytes. Returns false when the file ends before the first one. If
 * it ends later, or cannot be read, that ends the program. */
static bool read_bytes(const struct capture *capture, uint8_t *bytes,
                       size_t length) {
    size_t got = fread(bytes, 1, length, capture->file);
    if (got == length)
        return true;
    if (ferror(capture->file))
        err(1, "%s", capture->path);
    if (got > 0)
        errx(1, "%s: cut in the middle of a packet", capture->path);
    return false;
}

/* Reads the next packet of the file. Returns false at the end of the file. */
static bool read_segment(const struct capture *capture,
                         struct segment *segment) {
    static uint8_t frame[LARGEST_FRAME];
    uint8_t header[RECORD_BYTES];
    if (!read_bytes(capture, header, sizeof header))
        return false;
    long long seconds = number_at(capture, header, 0);
    long long fraction = number_at(capture, header, 1);
    uint32_t captured = number_at(capture, header, 2);
    uint32_t length = number_at(capture, header, 3);

    if (captured > LARGEST_FRAME)
        errx(1, "%s: a packet of impossible length: %u bytes", capture->path,
             captured);
    if (captured > 0 && !read_bytes(capture, frame, captured))
        errx(1, "%s: cut before the bytes of a packet", capture->path);

    if (!capture->has_nanoseconds)
        fraction *= NS_PER_US;
    segment->time = seconds * NS_PER_SECOND + fraction;
    /* Our caller looks at the packet's flaw. */
    (void)packet_parse(&segment->packet, frame, captured, length);
    /* The payload is in our frame, and the next call overwrites that. */
    segment->packet.payload = NULL;
    return true;
}

static void append(struct segments *segments, const struct segment *segment) {
    if (segments->count == segments->room) {
        segments->room = 2 * segments->room + FIRST_ROOM;
        segments->list = reallocarray(segments->list, segments->room,
                                      sizeof *segments->list);
        if (segments->list == NULL)
            err(1, "reallocarray");
    }
    segments->list[segments->count] = *segment;
    segments->count++;
}

/* Reads the file to its end, and keeps what is TCP and has whole headers. */
static struct segments read_segments(const struct capture *capture) {
    struct segments segments = {0};
    struct segment segment;
    while (read_segment(capture, &segment)) {
        if (segment.packet.kind == PACKET_TCP && segment.packet.flaw == NULL)
            append(&segments, &segment);
    }
    return segments;
}

static bool is_same_end(const struct packet_end *a,
                        const struct packet_end *b) {
    return a->port == b->port &&
           memcmp(a->address, b->address, sizeof a->address) == 0;
}

/* Whether both belong to one connection, and go the same way. */
static bool has_same_direction(const struct packet *packet,
                               const struct packet *other) {
    return packet->family == other->family &&
           is_same_end(&packet->from, &other->from) &&
           is_same_end(&packet->to, &other->to);
}

/* Whether both belong to one connection, and go opposite ways. */
static bool has_opposite_direction(const struct packet *packet,
                                   const struct packet *other) {
    return packet->family == other->family &&
           is_same_end(&packet->from, &other->to) &&
           is_same_end(&packet->to, &other->from);
}

/* The flags that matter for a handshake; PSH, for example, does not. */
static unsigned flags_of(const struct packet *packet) {
    return packet->flags & (PACKET_SYN | PACKET_ACK | PACKET_RST);
}

static bool is_syn(const struct packet *packet) {
    return flags_of(packet) == PACKET_SYN;
}

/* A sequence number has 32 bits, so the number that follows may be 0. */
static uint32_t next_number(const struct packet *packet) {
    return packet->sequence + 1;
}

static bool is_syn_ack(const struct packet *packet, const struct packet *syn) {
    return flags_of(packet) == (PACKET_SYN | PACKET_ACK) &&
           has_opposite_direction(packet, syn) &&
           packet->acknowledgement == next_number(syn);
}

static bool is_ack(const struct packet *packet, const struct packet *syn,
                   const struct packet *syn_ack) {
    return flags_of(packet) == PACKET_ACK && has_same_direction(packet, syn) &&
           packet->sequence == next_number(syn) &&
           packet->acknowledgement == next_number(syn_ack);
}

/* Returns the first ACK behind syn_ack that completes the handshake, or NULL.
 */
static const struct segment *find_ack(const struct segments *segments,
                                      const struct segment *syn,
                                      const struct segment *syn_ack) {
    const struct segment *end = segments->list + segments->count;
    for (const struct segment *at = syn_ack + 1; at < end; at++)
        if (is_ack(&at->packet, &syn->packet, &syn_ack->packet))
            return at;
    return NULL;
}

/* Finds the handshake that begins with this SYN. There may be a SYN ACK that
 * the client never answered, and another one behind it: so we try them all.
 * Returns false when there is no handshake. */
static bool complete_handshake(const struct segments *segments,
                               const struct segment *syn,
                               struct handshake *found) {
    const struct segment *end = segments->list + segments->count;
    for (const struct segment *at = syn + 1; at < end; at++) {
        if (!is_syn_ack(&at->packet, &syn->packet))
            continue;
        const struct segment *ack = find_ack(segments, syn, at);
        if (ack != NULL) {
            found->syn = syn;
            found->syn_ack = at;
            found->ack = ack;
            return true;
        }
    }
    return false;
}

/* Finds the handshake whose SYN comes first in the file. */
static bool find_handshake(const struct segments *segments,
                           struct handshake *found) {
    for (size_t i = 0; i < segments->count; i++) {
        const struct segment *segment = &segments->list[i];
        if (is_syn(&segment->packet) &&
            complete_handshake(segments, segment, found))
            return true;
    }
    return false;
}

static void print_ends(const struct packet *syn) {
    char client[PACKET_TEXT_BYTES];
    char server[PACKET_TEXT_BYTES];
    printf("%s > %s\n", packet_format_end(syn, &syn->from, client),
           packet_format_end(syn, &syn->to, server));
}

/* Prints how long after the SYN a segment came. */
static void print_time(const char *name, const struct segment *segment,
                       const struct segment *syn) {
    long long since = segment->time - syn->time;
    printf("%s %lld.%06lld\n", name, since / NS_PER_SECOND,
           since % NS_PER_SECOND / NS_PER_US);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    struct capture capture = {.path = argv[1]};
    capture.file = fopen(capture.path, "re");
    if (capture.file == NULL)
        err(1, "%s", capture.path);
    read_file_header(&capture);
    struct segments segments = read_segments(&capture);
    (void)fclose(capture.file); /* we have only read it */

    struct handshake handshake;
    if (!find_handshake(&segments, &handshake))
        errx(1, "%s: no handshake in it", capture.path);
    print_ends(&handshake.syn->packet);
    print_time("SYN", handshake.syn, handshake.syn);
    print_time("SYN ACK", handshake.syn_ack, handshake.syn);
    print_time("ACK", handshake.ack, handshake.syn);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    free(segments.list);
    return 0;
}
