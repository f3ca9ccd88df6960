/*
 * 35 exercise: find the handshake in a capture file.
 *
 * usage: 35-packet-sniffer FILE
 *
 * Prints the ends of the first TCP connection that was opened, and when its
 * SYN, its SYN ACK and its ACK came. The README beside this file says the rest.
 *
 * What is here compiles, and looks at one packet only. Your part begins in
 * read_packet.
 */
#define _GNU_SOURCE

#include "packet.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 24,      /* of the file */
    RECORD_BYTES = 16,      /* of the header that each packet has */
    LARGEST_FRAME = 262144, /* nobody captures more of one */
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

/* Returns 0 where there is no other packet. */
static int read_packet(FILE *file, struct packet *packet) {
    static uint8_t frame[LARGEST_FRAME];
    uint8_t header[RECORD_BYTES];
    size_t captured = 54;
    size_t length = 54;
    if (fread(header, sizeof header, 1, file) != 1)
        return 0;
    /* 1. The time, and the two lengths, from the header: in which order are
     *    the bytes of its numbers, and may the lengths be believed? */
    if (fread(frame, captured, 1, file) != 1)
        return 0;
    (void)packet_parse(packet, frame, captured, length);
    return 1;
}

static void tell_ends(const struct packet *syn) {
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
    /* 2. Is it one, in which order and unit are its numbers, is it Ethernet? */
    if (read_packet(file, &packet) && packet.kind == PACKET_TCP)
        tell_ends(&packet);
    /* 3. All packets, up to the end; which three are the handshake? */
    (void)fclose(file); /* we have only read it */
    return 0;
}
