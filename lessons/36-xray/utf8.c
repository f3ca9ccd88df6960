#include "utf8.h"

#include <stdbool.h>
#include <string.h>

enum {
    FIRST_PRINTABLE = 0x20,
    DELETE = 0x7f,
    FIRST_C1 = 0x80, /* control characters beyond ASCII */
    LAST_C1 = 0x9f,
    FIRST_SURROGATE = 0xd800, /* of UTF-16, no characters */
    LAST_SURROGATE = 0xdfff,
    LAST_CHARACTER = 0x10ffff,
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
    if (bytes[0] < FIRST_C1)
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
    if (character == UTF8_INVALID || character == DELETE)
        return false;
    if (character >= FIRST_C1 && character <= LAST_C1)
        return false;
    return character >= FIRST_PRINTABLE;
}

void utf8_clean(char *text) {
    /* We write into the text that we read. This is right, because what we have
     * written is never longer than what we have read. */
    const char *from = text;
    char *to = text;
    while (*from != '\0') {
        const char *begin = from;
        if (is_drawable(utf8_next(&from))) {
            size_t length = (size_t)(from - begin);
            memmove(to, begin, length);
            to += length;
        } else {
            *to = '?';
            to++;
        }
    }
    *to = '\0';
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
