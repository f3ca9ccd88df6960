#include "bytes.h"

#include <stdbool.h>

static bool is_printable(uint8_t byte) {
    return byte >= ' ' && byte <= '~';
}

/* The character that C has for a byte after a backslash, or 0 for none. */
static int letter_of(uint8_t byte) {
    switch (byte) {
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\\':
    case '"':
        return byte;
    default:
        return 0;
    }
}

/* Whether at most a quarter of the bytes cannot be read as text. */
static bool is_text(const uint8_t *bytes, size_t count) {
    size_t unreadable = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_readable = is_printable(bytes[i]) || letter_of(bytes[i]) != 0;
        if (!is_readable)
            unreadable++;
    }
    return unreadable * 4 <= count;
}

static void write_byte(FILE *out, uint8_t byte) {
    int letter = letter_of(byte);
    if (letter != 0)
        (void)fprintf(out, "\\%c", letter);
    else if (is_printable(byte))
        (void)fputc(byte, out);
    else
        (void)fprintf(out, "\\x%02x", byte);
}

void bytes_write_name(FILE *out, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        write_byte(out, bytes[i]);
}

void bytes_write_short(FILE *out, const uint8_t *bytes, size_t count) {
    if (count <= BYTES_AS_SHORT) {
        bytes_write_name(out, bytes, count);
        return;
    }
    bytes_write_name(out, bytes, BYTES_AS_SHORT);
    (void)fputs("...", out);
}

static void write_text(FILE *out, const uint8_t *bytes, size_t count) {
    (void)fputc('"', out);
    bytes_write_name(out, bytes, count);
    (void)fputc('"', out);
}

static void write_hex(FILE *out, const uint8_t *bytes, size_t count) {
    (void)fputc('<', out);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, "%02x", bytes[i]);
    (void)fputc('>', out);
}

static size_t smaller(size_t one, size_t other) {
    if (one < other)
        return one;
    return other;
}

void bytes_write(FILE *out, const uint8_t *bytes, size_t at_hand,
                 size_t length) {
    size_t known = smaller(at_hand, length);
    size_t shown = smaller(known, BYTES_AS_TEXT);
    if (is_text(bytes, shown)) {
        write_text(out, bytes, shown);
    } else {
        shown = smaller(shown, BYTES_AS_HEX);
        write_hex(out, bytes, shown);
    }
    if (length > shown)
        (void)fputs("...", out);
}
