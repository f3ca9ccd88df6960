/*
 * 35 exercise: find the handshake in a capture file.
 *
 * usage: 35-packet-sniffer FILE
 *
 * Prints the two ends of the first TCP connection that was opened, and when its
 * SYN, its SYN ACK and its ACK came. The README beside this file says the rest.
 *
 * What is here compiles, and looks at the first packet only. Your part is
 * at the three places with a number, in read_packet and in main.
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
    size_t captured = 54;
    size_t length = 54;
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
    if (fread(header, sizeof header, 1, file) != 1)
        errx(1, "%s: too short for a pcap file", argv[1]);
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
