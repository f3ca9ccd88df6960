/*
 * tell-packet: what common/packet makes of frames.
 *
 *     tell-packet [-e]
 *
 * Each line of standard input is a frame in hexadecimal digits, with or without
 * blanks between the bytes. CAPTURED/LENGTH may come before it, if these
 * numbers differ from the size of the frame. For each frame we print what
 * packet_format says, with its numbers counted by packet_make_relative.
 *
 * With -e we parse each frame at every length, and print at which lengths which
 * flaw begins: first as if only the capture were cut, then as if the frame
 * itself were. Then we print the numbers as they are.
 *
 * We parse each frame in a buffer that ends where the captured bytes do, so
 * that a sanitizer notices when a byte beyond them is read.
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
    int expected = packet.flaw == NULL ? 0 : -1;
    if (result != expected)
        errx(1, "packet_parse returned %d", result);
    if (packet.payload != NULL) {
        const uint8_t *payload_end = packet.payload + packet.payload_captured;
        if (packet.payload < exact || packet.payload_captured > captured ||
            payload_end > exact + captured)
            errx(1, "a payload outside of its frame");
    }
    free(exact);
    return packet;
}

static size_t read_hex(const char *text, uint8_t *bytes) {
    size_t length = 0;
    for (;;) {
        text += strspn(text, " \n");
        if (*text == '\0')
            return length;
        char digits[] = {text[0], text[1], '\0'};
        char *end;
        if (length == MOST_BYTES)
            errx(1, "a frame that is too long");
        bytes[length] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2)
            errx(1, "not hexadecimal: %s", text);
        length++;
        text += 2;
    }
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

/* Reads `CAPTURED/LENGTH FRAME`, or a frame alone. Returns the frame's size. */
static size_t read_line(char *line, uint8_t *bytes, size_t *captured,
                        size_t *length) {
    const char *slash = strchr(line, '/');
    if (slash == NULL) {
        size_t size = read_hex(line, bytes);
        *captured = size;
        *length = size;
        return size;
    }
    char *hex;
    *captured = strtoul(line, NULL, 10);
    *length = strtoul(slash + 1, &hex, 10);
    size_t size = read_hex(hex, bytes);
    if (*captured > size)
        errx(1, "not so many bytes: %zu", *captured);
    return size;
}

int main(int argc, char **argv) {
    static struct packet_numbers numbers;
    static uint8_t bytes[MOST_BYTES];
    char text[PACKET_TEXT_BYTES];
    char *line = NULL;
    size_t room = 0;
    (void)argv;
    while (getline(&line, &room, stdin) > 0) {
        size_t captured;
        size_t length;
        size_t size = read_line(line, bytes, &captured, &length);
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
    return fflush(stdout) == EOF ? 1 : 0;
}
