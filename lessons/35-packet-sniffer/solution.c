/*
 * 35 solution: find the handshake in a capture file; one good answer of many.
 *
 * usage: 35-packet-sniffer FILE
 */
#define _GNU_SOURCE

#include "packet.h"
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 24,
    RECORD_BYTES = 16,
    LARGEST_FRAME = 262144,
    ETHERNET = 1,
    US_PER_SECOND = 1000 * 1000,
};

/* The first number of a file, as one reads it in whose order it is. */
static const uint32_t microseconds = 0xa1b2c3d4;
static const uint32_t nanoseconds = 0xa1b23c4d;

struct capture {
    FILE *file;
    const char *path;
    int is_swapped;
    int is_fine; /* nanoseconds */
};

/* A segment, and when it came, in nanoseconds. */
struct segment {
    struct packet packet;
    long long time;
};

struct segments {
    struct segment *list;
    size_t count, room;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 35-packet-sniffer FILE\n", out);
    exit(status);
}

static uint32_t swap(uint32_t number) {
    return number >> 24 | (number >> 8 & 0xff00) | (number << 8 & 0xff0000) |
           number << 24;
}

/* Number i of a header, in this machine's order. */
static uint32_t number_at(const struct capture *capture, const uint8_t *header,
                          size_t i) {
    uint32_t number;
    memcpy(&number, header + 4 * i, sizeof number);
    return capture->is_swapped ? swap(number) : number;
}

static void read_header(struct capture *capture) {
    uint8_t header[HEADER_BYTES];
    if (fread(header, sizeof header, 1, capture->file) != 1) {
        if (ferror(capture->file))
            err(1, "%s", capture->path);
        errx(1, "%s: too short for a pcap file", capture->path);
    }
    uint32_t first = number_at(capture, header, 0);
    capture->is_swapped =
        first == swap(microseconds) || first == swap(nanoseconds);
    first = number_at(capture, header, 0);
    capture->is_fine = first == nanoseconds;
    if (first != microseconds && first != nanoseconds)
        errx(1, "%s: not a pcap file", capture->path);
    if (number_at(capture, header, 5) != ETHERNET)
        errx(1, "%s: not Ethernet, but of link type %u", capture->path,
             number_at(capture, header, 5));
}

/* Reads so many bytes; returns 0 where the file ends before the first. */
static int read_all(const struct capture *capture, uint8_t *bytes,
                    size_t length) {
    size_t got = fread(bytes, 1, length, capture->file);
    if (got == length)
        return 1;
    if (ferror(capture->file))
        err(1, "%s", capture->path);
    if (got > 0)
        errx(1, "%s: cut in the middle of a packet", capture->path);
    return 0;
}

/* Returns 0 at the end of the file. */
static int read_segment(const struct capture *capture,
                        struct segment *segment) {
    static uint8_t frame[LARGEST_FRAME];
    uint8_t header[RECORD_BYTES];
    if (!read_all(capture, header, sizeof header))
        return 0;
    uint32_t captured = number_at(capture, header, 2);
    uint32_t length = number_at(capture, header, 3);
    if (captured > LARGEST_FRAME)
        errx(1, "%s: a packet of impossible length: %u bytes", capture->path,
             captured);
    if (captured > 0 && !read_all(capture, frame, captured))
        errx(1, "%s: cut before the bytes of a packet", capture->path);
    segment->time =
        number_at(capture, header, 0) * 1000LL * US_PER_SECOND +
        number_at(capture, header, 1) * (capture->is_fine ? 1LL : 1000LL);
    (void)packet_parse(&segment->packet, frame, captured, length);
    segment->packet.payload = NULL; /* the next frame takes its place */
    return 1;
}

/* All that is TCP, and whole as far as its headers go. */
static struct segments read_segments(const struct capture *capture) {
    struct segments segments = {0};
    struct segment segment;
    while (read_segment(capture, &segment)) {
        if (segment.packet.kind != PACKET_TCP || segment.packet.flaw != NULL)
            continue;
        if (segments.count == segments.room) {
            segments.room = 2 * segments.room + 64;
            segments.list = reallocarray(segments.list, segments.room,
                                         sizeof *segments.list);
            if (segments.list == NULL)
                err(1, "reallocarray");
        }
        segments.list[segments.count++] = segment;
    }
    return segments;
}

static int is_end(const struct packet_end *a, const struct packet_end *b) {
    return a->port == b->port &&
           memcmp(a->address, b->address, sizeof a->address) == 0;
}

/* The first one behind `behind` that goes from one end to the other, has these
 * of the flags SYN, ACK and RST, acknowledges that, and, unless it is a SYN,
 * has the number that follows. */
static const struct segment *find(const struct segments *segments,
                                  const struct segment *behind,
                                  const struct packet_end *from,
                                  const struct packet_end *to, unsigned flags,
                                  uint32_t acknowledgement, uint32_t sequence) {
    const struct segment *end = segments->list + segments->count;
    const unsigned mask = PACKET_SYN | PACKET_ACK | PACKET_RST;
    for (const struct segment *at = behind + 1; at < end; at++) {
        const struct packet *packet = &at->packet;
        if (packet->family == behind->packet.family &&
            (packet->flags & mask) == flags && is_end(&packet->from, from) &&
            is_end(&packet->to, to) &&
            packet->acknowledgement == acknowledgement &&
            ((flags & PACKET_SYN) || packet->sequence == sequence))
            return at;
    }
    return NULL;
}

/* Returns 0 when it is not the beginning of a handshake. */
static int find_handshake(const struct segments *segments,
                          const struct segment *syn,
                          const struct segment *three[3]) {
    const struct packet *first = &syn->packet;
    const struct packet_end *client = &first->from;
    const struct packet_end *server = &first->to;
    if ((first->flags & (PACKET_SYN | PACKET_ACK | PACKET_RST)) != PACKET_SYN)
        return 0;
    three[0] = three[1] = syn;
    /* An answer may be one that nobody took for it: look for the next. */
    while ((three[1] = find(segments, three[1], server, client,
                            PACKET_SYN | PACKET_ACK, first->sequence + 1, 0)) !=
           NULL) {
        three[2] = find(segments, three[1], client, server, PACKET_ACK,
                        three[1]->packet.sequence + 1, first->sequence + 1);
        if (three[2] != NULL)
            return 1;
    }
    return 0;
}

static void tell(const struct segment *three[3]) {
    static const char *const names[] = {"SYN", "SYN ACK", "ACK"};
    const struct packet *syn = &three[0]->packet;
    char client[PACKET_TEXT_BYTES];
    char server[PACKET_TEXT_BYTES];
    printf("%s > %s\n", packet_format_end(syn, &syn->from, client),
           packet_format_end(syn, &syn->to, server));
    for (int i = 0; i < 3; i++) {
        long long time = (three[i]->time - three[0]->time) / 1000;
        printf("%s %lld.%06lld\n", names[i], time / US_PER_SECOND,
               time % US_PER_SECOND);
    }
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
    read_header(&capture);
    struct segments segments = read_segments(&capture);
    (void)fclose(capture.file); /* we have only read it */

    const struct segment *three[3];
    size_t i = 0;
    while (i < segments.count &&
           !find_handshake(&segments, segments.list + i, three))
        i++;
    if (i == segments.count)
        errx(1, "%s: no handshake in it", capture.path);
    tell(three);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    free(segments.list);
    return 0;
}
