/*
 * 35 exercise: find the handshake in a capture file.
 *
 * A customer complains that connections to a server are slow, and sends you a
 * capture file. The first thing to look at is the handshake: how long did the
 * server take to answer the SYN, and how long did the client take to answer
 * the SYN ACK? You write a program that finds a handshake in such a file, and
 * prints when its three packets came.
 *
 * It is called as `35-packet-sniffer FILE`.
 *
 * 1. It finds the handshake of a connection, and prints both addresses with
 *    their ports, and the times. That works for TCP over IPv4 and over IPv6.
 *    The times are seconds since the SYN, with six digits after the point, and
 *    the rest is cut off. In these files, no packet is older than the one
 *    before it.
 * 2. It reads times in microseconds and in nanoseconds.
 * 3. It reads a file that a machine with the other byte order wrote.
 * 4. It passes over a SYN that nobody answered, and over one whose handshake
 *    was not completed. There may be thousands of them. A SYN may be answered
 *    by several SYN ACKs with different numbers. If one of them is
 *    acknowledged, it belongs to the handshake. If there are several
 *    handshakes, it takes the one whose SYN comes first.
 * 5. It takes no packet of another connection for one of these three.
 * 6. It takes the first one if a packet was sent again. That holds for each of
 *    the three packets.
 * 7. It knows that 0 comes after the largest number. Numbers of TCP have 32
 *    bits.
 * 8. It reads packets that were captured only in part, and nothing beyond that
 *    part. It passes over a packet whose headers are cut or damaged. A packet
 *    whose headers are complete counts, even if its data are cut.
 * 9. It refuses a captured length above 262144. This and the next three are
 *    errors: it prints nothing on standard output, says on standard error what
 *    is wrong, and ends with status 1. Here, the error contains the word
 *    "length".
 * 10. It reports a file that is cut behind its first 24 bytes, even if the
 *     handshake comes before that. The error contains the word "cut".
 * 11. It reports a file that it cannot read. The error contains "pcap" if the
 *     first number is another one, or if there are fewer than 24 bytes. It
 *     contains "link type" if that is not 1. Otherwise it has the reason in
 *     words, such as "Is a directory".
 * 12. It reports a file without a handshake. The error contains "no
 *     handshake".
 * 13. It reports output that cannot be written, with status 1. An example is a
 *     full disk.
 * 14. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 *
 * What is here compiles, and looks at the first packet only. Your part is at
 * the three places with a number, in read_packet and in main.
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
    HEADER_BYTES = 24,      /* at the beginning of the file */
    RECORD_BYTES = 16,      /* before each packet */
    LARGEST_FRAME = 262144, /* no more than this is captured of a packet */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 35-packet-sniffer FILE\n", out);
    exit(status);
}

static FILE *open_file(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    return file;
}

/* Reads the next packet of the file. Returns false when there is none. */
static bool read_packet(FILE *file, struct packet *packet) {
    static uint8_t frame[LARGEST_FRAME];
    uint8_t header[RECORD_BYTES];
    /* These are the bytes of three headers: 14 of Ethernet, 20 of IPv4, and 20
     * of TCP. */
    size_t captured = 14 + 20 + 20;
    size_t length = captured;
    if (fread(header, sizeof header, 1, file) != 1)
        return false;
    /* 1. Here, take the time and both lengths from the header. In which order
     *    are the bytes of its numbers? Can you believe the lengths? */
    if (fread(frame, captured, 1, file) != 1)
        return false;
    (void)packet_parse(packet, frame, captured, length);
    return true;
}

static void print_ends(const struct packet *syn) {
    char client[PACKET_TEXT_BYTES];
    char server[PACKET_TEXT_BYTES];
    printf("%s > %s\n", packet_format_end(syn, &syn->from, client),
           packet_format_end(syn, &syn->to, server));
}

int main(int argc, char **argv) {
    uint8_t header[HEADER_BYTES];
    struct packet packet;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    FILE *file = open_file(argv[1]);
    if (fread(header, sizeof header, 1, file) != 1) {
        if (ferror(file))
            err(1, "%s", argv[1]);
        errx(1, "%s: too short for a pcap file", argv[1]);
    }
    /* 2. Here, look at the header. Is this a pcap file? In which order and unit
     *    are its numbers? Do its packets begin with an Ethernet header? */
    bool has_packet = read_packet(file, &packet);
    if (has_packet && packet.kind == PACKET_TCP)
        print_ends(&packet);
    /* 3. Instead of these three lines, read all packets, up to the end of the
     *    file. Which three of them are the handshake? */
    (void)fclose(file); /* we have only read it */
    return 0;
}
