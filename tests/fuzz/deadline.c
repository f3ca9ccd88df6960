/*
 * Feeds deadline_parse any bytes. Its result must be the same as that of a
 * second, slower way to read them: write out the digits of the number with
 * three digits after the point, and read them as milliseconds.
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

/* Returns whether the text is made of digits, at least one, and at most one
 * point. *point becomes the place of the point, or the length if there is none.
 */
static int is_number(const char *text, size_t length, size_t *point) {
    const char *found = memchr(text, '.', length);
    size_t digits = 0;
    *point = length;
    if (found != NULL)
        *point = (size_t)(found - text);
    for (size_t i = 0; i < length; i++) {
        if (i == *point)
            continue;
        if (text[i] < '0' || text[i] > '9')
            return 0;
        digits++;
    }
    return digits > 0;
}

/* The digit at that place. After the last digit we read zeros. */
static char digit_at(const char *text, size_t length, size_t place) {
    if (place < length)
        return text[place];
    return '0';
}

/* Returns whether there is a digit other than 0 from this place on. */
static int has_rest(const char *text, size_t length, size_t place) {
    for (size_t i = place; i < length; i++)
        if (text[i] != '0')
            return 1;
    return 0;
}

/* Returns milliseconds, rounded up, or one more than a day for any value above
 * that. */
static long long slow_value(const char *text, size_t length, size_t point) {
    char written[16] = "";
    size_t count = 0;
    for (size_t i = 0; i < point; i++) {
        if (text[i] == '0' && count == 0)
            continue;
        if (count == MOST_DIGITS)
            return DEADLINE_LONGEST_MS + 1;
        written[count] = text[i];
        count++;
    }
    for (size_t i = 1; i <= BEHIND_POINT; i++) {
        written[count] = digit_at(text, length, point + i);
        count++;
    }
    long long sum = strtoll(written, NULL, 10);
    if (has_rest(text, length, point + BEHIND_POINT + 1))
        sum++;
    if (sum > DEADLINE_LONGEST_MS)
        return DEADLINE_LONGEST_MS + 1;
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    /* The copy has exactly this size, so that a sanitizer notices when a byte
     * beyond it is read. */
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
