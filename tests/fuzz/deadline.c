/*
 * Feeds deadline_parse any bytes. What it makes of them must be what a second,
 * slower way to read them finds: the digits of a number with three of them
 * behind the point are written out, and read as milliseconds.
 */
#define _GNU_SOURCE

#include "deadline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 8, BEHIND_POINT = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(int truth) {
    if (!truth)
        abort();
}

/* True for digits, one at least, and at most one point, whose place goes to
 * *point; the length, where there is none. */
static int is_number(const char *text, size_t length, size_t *point) {
    const char *found = memchr(text, '.', length);
    *point = found != NULL ? (size_t)(found - text) : length;
    size_t digits = 0;
    for (size_t i = 0; i < length; i++) {
        if (i != *point && (text[i] < '0' || text[i] > '9'))
            return 0;
        digits += i != *point;
    }
    return digits > 0;
}

/* The digit at that place; behind the last one there are zeros. */
static char digit_at(const char *text, size_t length, size_t place) {
    if (place < length)
        return text[place];
    return '0';
}

/* Returns milliseconds, rounded up; one more than a day for anything above. */
static long long slow_value(const char *text, size_t length, size_t point) {
    char written[16] = "";
    size_t written_length = 0;
    for (size_t i = 0; i < point; i++) {
        if (text[i] == '0' && written_length == 0)
            continue;
        if (written_length == MOST_DIGITS)
            return DEADLINE_LONGEST_MS + 1;
        written[written_length++] = text[i];
    }
    for (size_t i = 1; i <= BEHIND_POINT; i++)
        written[written_length++] = digit_at(text, length, point + i);
    int rest = 0;
    for (size_t i = point + BEHIND_POINT + 1; i < length; i++)
        rest |= text[i] != '0';
    long long sum = strtoll(written, NULL, 10) + rest;
    return sum <= DEADLINE_LONGEST_MS ? sum : DEADLINE_LONGEST_MS + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    /* Of exactly that size, so that one byte too far is noticed. */
    char *text = malloc(length > 0 ? length : 1);
    if (text == NULL)
        abort();
    if (length > 0)
        memcpy(text, bytes, length);
    size_t point;
    int milliseconds = -1;
    errno = 0;
    int result = deadline_parse(text, length, &milliseconds);
    if (!is_number(text, length, &point)) {
        require(result == -1 && errno == EINVAL && milliseconds == -1);
    } else {
        long long wanted = slow_value(text, length, point);
        if (wanted == 0 || wanted > DEADLINE_LONGEST_MS)
            require(result == -1 && errno == ERANGE && milliseconds == -1);
        else
            require(result == 0 && milliseconds == wanted);
    }
    free(text);
    return 0;
}
