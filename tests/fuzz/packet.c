/*
 * Feeds packet's parser any bytes as a frame: once whole, and once cut at a
 * length that the first two bytes give. Each time the payload must lie within
 * the frame, and the text about it must fit. The parser must either say that
 * the cut frame is cut, or say the same of it as of the whole one.
 */
#define _GNU_SOURCE

#include "packet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(int truth) {
    if (!truth)
        abort();
}

/* Parses a copy that ends where the captured bytes do, so that a sanitizer
 * notices when a byte beyond them is read. The copy is freed, so *payload gets
 * the offset of the payload, and packet.payload becomes NULL. */
static struct packet parse(const uint8_t *bytes, size_t captured, size_t length,
                           size_t *payload) {
    struct packet packet;
    uint8_t *frame = malloc(captured > 0 ? captured : 1);
    require(frame != NULL);
    memcpy(frame, bytes, captured);
    int result = packet_parse(&packet, frame, captured, length);
    require(result == (packet.flaw == NULL ? 0 : -1));
    require((packet.payload == NULL) == (packet.flaw != NULL));
    require(packet.payload_captured <= packet.payload_length);
    *payload = 0;
    if (packet.payload != NULL)
        *payload = (size_t)(packet.payload - frame);
    require(*payload + packet.payload_captured <= captured);
    packet.payload = NULL;
    free(frame);
    return packet;
}

static void try_text(struct packet_numbers *numbers, struct packet packet) {
    char text[PACKET_TEXT_BYTES];
    require(packet_format(&packet, text) == text);
    require(strlen(text) < 200); /* a line, and never cut */
    packet_make_relative(numbers, &packet);
    require(packet_format(&packet, text) == text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct packet_numbers numbers;
    size_t where;
    size_t where_in_cut;
    if (length < 2)
        return 0;
    size_t captured = (size_t)(bytes[0] << 8 | bytes[1]);
    bytes += 2;
    length -= 2;
    if (captured > length)
        captured = length;

    struct packet whole = parse(bytes, length, length, &where);
    struct packet cut = parse(bytes, captured, length, &where_in_cut);
    try_text(&numbers, whole);
    try_text(&numbers, cut);
    require(whole.flaw == NULL || strncmp(whole.flaw, "cut", 3) != 0);
    if (cut.flaw != NULL && strncmp(cut.flaw, "cut", 3) == 0)
        return 0;
    require(where == where_in_cut && cut.flaw == whole.flaw);
    require(cut.kind == whole.kind && cut.flags == whole.flags);
    require(cut.sequence == whole.sequence && cut.family == whole.family);
    require(cut.payload_length == whole.payload_length);
    return 0;
}
