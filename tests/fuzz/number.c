/*
 * Feeds number_parse any text, and any limits: the first bytes are those. What
 * it makes of the rest must be what a second, slower way to read it finds: the
 * digits without the zeros in front, compared as text with the limits'.
 */
#define _GNU_SOURCE

#include "number.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 8, LIMITS_BYTES = 2 * LIMIT_BYTES, LIMIT_TEXT_BYTES = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(int truth) {
    if (!truth)
        abort();
}

static int is_number(const char *text) {
    for (const char *at = text; *at != '\0'; at++)
        if (*at < '0' || *at > '9')
            return 0;
    return *text != '\0';
}

/* Less than 0, 0 or more than 0, as digits are less than limit, equal or more.
 * Of two numbers without zeros in front, the longer one is more. */
static int compare(const char *digits, unsigned long long limit) {
    char text[LIMIT_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%llu", limit);
    while (digits[0] == '0' && digits[1] != '\0')
        digits++;
    if (strlen(digits) != strlen(text))
        return strlen(digits) < strlen(text) ? -1 : 1;
    return strcmp(digits, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    uint64_t least;
    uint64_t most;
    unsigned long long number = 7;
    if (length < LIMITS_BYTES)
        return 0;
    memcpy(&least, bytes, LIMIT_BYTES);
    memcpy(&most, bytes + LIMIT_BYTES, LIMIT_BYTES);
    /* Of exactly that size, so that one byte too far is noticed. */
    size_t text_length = length - LIMITS_BYTES;
    char *text = strndup((const char *)bytes + LIMITS_BYTES, text_length);
    require(text != NULL);

    errno = 0;
    int result = number_parse(text, least, most, &number);
    if (!is_number(text)) {
        require(result == -1 && errno == EINVAL && number == 7);
    } else if (compare(text, least) < 0 || compare(text, most) > 0) {
        require(result == -1 && errno == ERANGE && number == 7);
    } else {
        require(result == 0 && errno == 0);
        require(compare(text, number) == 0);
    }
    free(text);
    return 0;
}
