/*
 * A right answer that maps the whole file into memory, and keeps no packets: it
 * goes through the map once for each of the three, and again from the next SYN
 * if one was not found. What cannot be mapped, such as a pipe, is copied first.
 */
#define _GNU_SOURCE

#include "packet.h"
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct capture {
    const uint8_t *bytes;
    size_t length;
    bool swapped;
    uint32_t fraction; /* how many nanoseconds one unit has */
};

struct found {
    struct packet packet;
    uint64_t time; /* in nanoseconds */
    size_t next;   /* where the record behind it begins */
};

static uint32_t number_at(const struct capture *capture, size_t place) {
    uint32_t number;
    memcpy(&number, capture->bytes + place, sizeof number);
    return capture->swapped ? __builtin_bswap32(number) : number;
}

static int copy_of(int from, const char *path) {
    static char block[65536];
    int copy = memfd_create("capture", MFD_CLOEXEC);
    if (copy < 0)
        err(1, "memfd_create");
    for (;;) {
        ssize_t n = read(from, block, sizeof block);
        if (n < 0)
            err(1, "%s", path);
        if (n == 0)
            return copy;
        if (write(copy, block, (size_t)n) != n)
            err(1, "memfd");
    }
}

static void map(struct capture *capture, const char *path) {
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    if (fstat(fd, &about) < 0)
        err(1, "%s", path);
    if (!S_ISREG(about.st_mode)) {
        fd = copy_of(fd, path); /* the old one stays open until we end */
        if (fstat(fd, &about) < 0)
            err(1, "memfd");
    }
    capture->length = (size_t)about.st_size;
    if (capture->length < 24)
        errx(1, "%s is shorter than the header of a pcap file", path);
    void *bytes = mmap(NULL, capture->length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        err(1, "%s", path);
    capture->bytes = bytes;
}

static void check_header(struct capture *capture, const char *path) {
    switch (number_at(capture, 0)) {
    case 0xd4c3b2a1:
        capture->swapped = true;
        capture->fraction = 1000;
        break;
    case 0xa1b2c3d4:
        capture->fraction = 1000;
        break;
    case 0x4d3cb2a1:
        capture->swapped = true;
        capture->fraction = 1;
        break;
    case 0xa1b23c4d:
        capture->fraction = 1;
        break;
    default:
        errx(1, "%s is no pcap file", path);
    }
    if (number_at(capture, 20) != 1)
        errx(1, "%s has another link type than Ethernet", path);
}

static void check_records(const struct capture *capture, const char *path) {
    size_t place = 24;
    while (place < capture->length) {
        if (capture->length - place < 16)
            errx(1, "%s is cut in a record", path);
        uint32_t captured = number_at(capture, place + 8);
        if (captured > 262144)
            errx(1, "%s: the length %u is too large", path, captured);
        place += 16;
        if (capture->length - place < captured)
            errx(1, "%s is cut in a packet", path);
        place += captured;
    }
}

/* Goes to the next good packet of TCP from place on. */
static bool next_packet(const struct capture *capture, size_t place,
                        struct found *found) {
    while (place < capture->length) {
        uint64_t seconds = number_at(capture, place);
        uint64_t units = number_at(capture, place + 4);
        size_t captured = number_at(capture, place + 8);
        size_t length = number_at(capture, place + 12);
        const uint8_t *frame = capture->bytes + place + 16;
        place += 16 + captured;
        if (packet_parse(&found->packet, frame, captured, length) == 0 &&
            found->packet.kind == PACKET_TCP) {
            found->time = seconds * 1000000000 + units * capture->fraction;
            found->next = place;
            return true;
        }
    }
    return false;
}

static bool same_end(const struct packet_end *a, const struct packet_end *b) {
    return a->port == b->port &&
           memcmp(a->address, b->address, sizeof a->address) == 0;
}

static bool goes(const struct packet *packet, const struct packet_end *from,
                 const struct packet_end *to, int family) {
    return packet->family == family && same_end(&packet->from, from) &&
           same_end(&packet->to, to);
}

static unsigned flags_of(const struct found *found) {
    return found->packet.flags & (PACKET_SYN | PACKET_ACK | PACKET_RST);
}

static bool find_ack(const struct capture *capture, const struct packet *syn,
                     const struct found *answer, struct found *ack) {
    size_t place = answer->next;
    while (next_packet(capture, place, ack)) {
        const struct packet *packet = &ack->packet;
        if (flags_of(ack) == PACKET_ACK &&
            goes(packet, &syn->from, &syn->to, syn->family) &&
            packet->sequence == (uint32_t)(syn->sequence + 1) &&
            packet->acknowledgement == (uint32_t)(answer->packet.sequence + 1))
            return true;
        place = ack->next;
    }
    return false;
}

static bool find_rest(const struct capture *capture, const struct found *syn,
                      struct found *answer, struct found *ack) {
    size_t place = syn->next;
    while (next_packet(capture, place, answer)) {
        const struct packet *packet = &answer->packet;
        if (flags_of(answer) == (PACKET_SYN | PACKET_ACK) &&
            goes(packet, &syn->packet.to, &syn->packet.from,
                 syn->packet.family) &&
            packet->acknowledgement == (uint32_t)(syn->packet.sequence + 1) &&
            find_ack(capture, &syn->packet, answer, ack))
            return true;
        place = answer->next;
    }
    return false;
}

static void show_time(const char *name, uint64_t since, uint64_t time) {
    uint64_t microseconds = (time - since) / 1000;
    printf("%s %lu.%06lu\n", name, (unsigned long)(microseconds / 1000000),
           (unsigned long)(microseconds % 1000000));
}

int main(int argc, char **argv) {
    struct capture capture = {0};
    struct found syn;
    struct found answer;
    struct found ack;
    char from[PACKET_TEXT_BYTES];
    char to[PACKET_TEXT_BYTES];
    if (argc != 2) {
        fputs("usage: mmap FILE\n", stderr);
        return 2;
    }
    map(&capture, argv[1]);
    check_header(&capture, argv[1]);
    check_records(&capture, argv[1]);
    size_t place = 24;
    while (next_packet(&capture, place, &syn)) {
        if (flags_of(&syn) == PACKET_SYN &&
            find_rest(&capture, &syn, &answer, &ack)) {
            printf("%s > %s\n",
                   packet_format_end(&syn.packet, &syn.packet.from, from),
                   packet_format_end(&syn.packet, &syn.packet.to, to));
            show_time("SYN", syn.time, syn.time);
            show_time("SYN ACK", syn.time, answer.time);
            show_time("ACK", syn.time, ack.time);
            if (fclose(stdout) != 0)
                err(1, "standard output");
            return 0;
        }
        place = syn.next;
    }
    errx(1, "%s: no handshake", argv[1]);
}
