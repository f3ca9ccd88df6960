/* wrap: where a text that is too long for its row goes on in another one. */
#include "wrap.h"

#include <string.h>

/* Whether a line may end before the character at `at`, which is not the first:
 * it must be a blank. A result stays beside its equals sign, a unit beside its
 * number, and the dots of a call that waits beside the call. */
static bool may_break(const char *text, size_t at) {
    static const char unit[] = " ms)";
    const char *next = text + at;
    bool is_result = text[at - 1] == '=';
    bool is_unit = strncmp(next, unit, strlen(unit)) == 0;
    bool is_dots = strcmp(next, WRAP_DOTS) == 0;
    if (is_result || is_unit || is_dots)
        return false;
    return *next == ' ';
}

size_t wrap_find_break(const char *text, size_t room) {
    size_t first_third = room / 3;
    for (size_t at = room; at > first_third; at--)
        if (may_break(text, at))
            return at;
    for (size_t at = room; at > first_third; at--)
        if (text[at - 1] == '|' || text[at - 1] == '(')
            return at;
    for (size_t at = room; at > first_third; at--)
        if (text[at] == ' ')
            return at;
    return 0;
}

bool wrap_is_in_quotes(const char *text, size_t length) {
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\')
            i++; /* the next one is an escaped character */
        else if (text[i] == '"')
            quoted = !quoted;
    }
    return quoted;
}

/* How long the character is that a text begins with: an escaped one, as in
 * quoted data, has two or four bytes. */
static size_t character_length(const char *text) {
    static const char hexadecimal[] = "\\x";
    if (strncmp(text, hexadecimal, strlen(hexadecimal)) == 0)
        return strlen("\\x1b");
    if (text[0] == '\\' && text[1] != '\0')
        return strlen("\\n");
    return 1;
}

size_t wrap_last_whole_character(const char *text, size_t room) {
    size_t at = 0;
    for (;;) {
        size_t next = at + character_length(text + at);
        if (next > room)
            return at;
        at = next;
    }
}

size_t wrap_find_joint(const char *text, size_t room) {
    static const char *const joints[] = {"(|", ":/", ".-@", "_"};
    for (size_t at = room; at > 0; at--)
        if (text[at] == ' ')
            return at;
    for (size_t i = 0; i < sizeof joints / sizeof joints[0]; i++)
        for (size_t at = room; at > 0; at--)
            if (strchr(joints[i], text[at - 1]) != NULL)
                return at;
    return 0;
}

size_t wrap_length(const char *text, const char *next, size_t room) {
    size_t length = strlen(next);
    if (length <= room)
        return length;
    size_t at = wrap_find_break(next, room);
    size_t end = (size_t)(next - text) + room;
    if (at == 0 && !wrap_is_in_quotes(text, end))
        at = wrap_find_joint(next, room);
    if (at == 0)
        return wrap_last_whole_character(next, room);
    return at;
}

const char *wrap_rest(const char *text, size_t length) {
    const char *next = text + length;
    if (*next == ' ')
        next++;
    return next;
}
