#include "utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    FIRST_BEYOND_ASCII = 0x80,
    FIRST_SURROGATE = 0xd800, /* of UTF-16, no characters */
    LAST_SURROGATE = 0xdfff,
    LAST_CHARACTER = 0x10ffff,
    ESCAPE_BYTES = 16, /* "\\u10ffff", and some to spare */
};

/* Characters that are not seen: those for control, and those that Unicode lets
 * a font ignore (the property Default_Ignorable_Code_Point). Some of them make
 * a reader see other characters in another order, or two different names as the
 * same. The last two ranges are no characters (Unicode, section 23.7). */
static const struct {
    uint32_t first;
    uint32_t last;
} unseen[] = {
    {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},
    {0x034f, 0x034f},   {0x061c, 0x061c},   {0x115f, 0x1160},
    {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},
    {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},   {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff}, {0xfffe, 0xffff},   {0xfdd0, 0xfdef},
};

enum { DOTS = 3 }; /* that stand for what is left out of a text */

/* The forms of characters of two, three and four bytes. The bits of the first
 * byte that the mask has tell the form; its other bits belong to the character.
 */
static const struct form {
    uint8_t mask;
    uint8_t value;
    size_t more;       /* bytes that follow */
    uint32_t smallest; /* a smaller character has a shorter form */
} forms[] = {
    {0xe0, 0xc0, 1, 0x80},
    {0xf0, 0xe0, 2, 0x800},
    {0xf8, 0xf0, 3, 0x10000},
};

static const struct form *find_form(uint8_t first) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if ((first & forms[i].mask) == forms[i].value)
            return &forms[i];
    return NULL;
}

static bool is_character(uint32_t value) {
    bool is_surrogate = value >= FIRST_SURROGATE && value <= LAST_SURROGATE;
    return value <= LAST_CHARACTER && !is_surrogate;
}

/* Each byte of a character but the first begins with the bits 10. */
static bool is_later_byte(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

uint32_t utf8_next(const char **text) {
    const uint8_t *bytes = (const uint8_t *)*text;
    *text += 1;
    if (bytes[0] < FIRST_BEYOND_ASCII)
        return bytes[0];
    const struct form *form = find_form(bytes[0]);
    if (form == NULL)
        return UTF8_INVALID;
    uint32_t value = bytes[0] & (uint8_t)~form->mask;
    for (size_t i = 1; i <= form->more; i++) {
        /* The NUL at the end of the text is no later byte either. So we do not
         * read beyond the text. */
        if (!is_later_byte(bytes[i]))
            return UTF8_INVALID;
        uint32_t six_bits = bytes[i] & 0x3f;
        value = (value << 6) | six_bits;
    }
    if (value < form->smallest || !is_character(value))
        return UTF8_INVALID;
    *text += form->more;
    return value;
}

static bool is_drawable(uint32_t character) {
    for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++)
        if (character >= unseen[i].first && character <= unseen[i].last)
            return false;
    return character != UTF8_INVALID;
}

/* Writes what stands for the length bytes of a character that is not drawn, or
 * for a single byte that is none. A control character of ASCII is one byte. */
static void write_escape(const char *bytes, size_t length, uint32_t character,
                         char escape[ESCAPE_BYTES]) {
    if (length == 1)
        (void)snprintf(escape, ESCAPE_BYTES, "\\x%02x", (uint8_t)bytes[0]);
    else
        (void)snprintf(escape, ESCAPE_BYTES, "\\u%04x", (unsigned)character);
}

size_t utf8_escape(const char *text, char *out, size_t size) {
    size_t length = 0;
    size_t written = 0;
    while (*text != '\0') {
        const char *begin = text;
        char escape[ESCAPE_BYTES];
        uint32_t character = utf8_next(&text);
        const char *shown = begin;
        size_t shown_length = (size_t)(text - begin);
        if (!is_drawable(character)) {
            write_escape(begin, shown_length, character, escape);
            shown = escape;
            shown_length = strlen(escape);
        }
        length += shown_length;
        if (length < size) {
            memcpy(out + written, shown, shown_length);
            written = length;
        }
    }
    out[written] = '\0';
    return length;
}

static size_t count_characters(const char *text) {
    size_t count = 0;
    while (*text != '\0') {
        (void)utf8_next(&text);
        count++;
    }
    return count;
}

/* Where a text goes on behind its first count characters. */
static const char *skip_characters(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++)
        (void)utf8_next(&text);
    return text;
}

void utf8_shorten(char *text, size_t room) {
    size_t count = count_characters(text);
    if (count <= room)
        return;
    size_t kept = room - DOTS;
    size_t kept_at_end = kept / 3; /* the beginning says more */
    const char *end = skip_characters(text, count - kept_at_end);
    char *middle = text + (skip_characters(text, kept - kept_at_end) - text);
    /* At least one character more than the dots have is left out, so the text
     * becomes shorter. */
    memset(middle, '.', DOTS);
    memmove(middle + DOTS, end, strlen(end) + 1);
}
