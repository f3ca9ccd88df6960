/*
 * tell-packet: what common/packet makes of frames.
 *
 *     tell-packet [-e]
 *
 * Each line of standard input is a frame, in hexadecimal digits, blanks between
 * them or not; before it may stand CAPTURED/LENGTH, where those are not its
 * size. Prints for each what packet_format says of it, its numbers counted by
 * packet_make_relative. With -e, of each frame at every length: which lengths have
 * which flaw, first where only the capture is cut, then where the frame is; and
 * the numbers as they are.
 *
 * A frame is put into a buffer that ends where the captured bytes do, so that a
 * sanitizer sees one byte too far.
 */
#define _GNU_SOURCE

#include "packet.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_BYTES = 70000 };

static struct packet parse(const uint8_t *bytes, size_t captured,
                           size_t length) {
    struct packet packet;
    uint8_t *exact = malloc(captured > 0 ? captured : 1);
    if (exact == NULL)
        err(1, "malloc");
    memcpy(exact, bytes, captured);
    int result = packet_parse(&packet, exact, captured, length);
    if ((result == -1) != (packet.flaw != NULL) || result > 0 || result < -1)
        errx(1, "packet_parse returned %d", result);
    if (packet.payload != NULL &&
        (packet.payload < exact || packet.payload_captured > captured ||
         packet.payload + packet.payload_captured > exact + captured))
        errx(1, "a payload outside of its frame");
    free(exact);
    return packet;
}

static size_t read_hex(const char *text, uint8_t *bytes) {
    size_t length = 0;
    while (*(text += strspn(text, " \n")) != '\0') {
        char digits[] = {text[0], text[1], '\0'};
        char *end;
        if (length == MOST_BYTES)
            errx(1, "a frame that is too long");
        bytes[length++] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2)
            errx(1, "not hexadecimal: %s", text);
        text += 2;
    }
    return length;
}

static void tell_every_length(const uint8_t *bytes, size_t length, int is_cut) {
    const char *last = "";
    for (size_t captured = 0; captured <= length; captured++) {
        struct packet packet =
            parse(bytes, captured, is_cut ? length : captured);
        const char *flaw = packet.flaw != NULL ? packet.flaw : "no flaw";
        if (strcmp(last, flaw) != 0)
            printf("%s%zu %s", captured > 0 ? "; " : "", captured, flaw);
        last = flaw;
    }
    puts("");
}

int main(int argc, char **argv) {
    static struct packet_numbers numbers;
    static uint8_t bytes[MOST_BYTES];
    char text[PACKET_TEXT_BYTES];
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char *hex = line;
        char *slash = strchr(line, '/');
        size_t captured = strtoul(line, NULL, 10);
        size_t length = slash == NULL ? 0 : strtoul(slash + 1, &hex, 10);
        size_t size = read_hex(hex, bytes);
        if (slash == NULL)
            captured = length = size;
        if (captured > size)
            errx(1, "not so many bytes: %zu", captured);
        struct packet packet = parse(bytes, captured, length);
        if (argc == 1) {
            packet_make_relative(&numbers, &packet);
            puts(packet_format(&packet, text));
            continue;
        }
        tell_every_length(bytes, size, 1);
        tell_every_length(bytes, size, 0);
        printf("seq %u ack %u win %u\n", packet.sequence,
               packet.acknowledgement, packet.window);
    }
    free(line);
    (void)argv;
    return fflush(stdout) == EOF;
}
