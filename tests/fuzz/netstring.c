/*
 * Feeds the parser of lesson 05's solution any bytes. If it finds a netstring,
 * the message must lie within the bytes, and must give the same bytes when it
 * is written again. With one byte less it must find nothing yet. And once it
 * has found a netstring or a mistake, more bytes must not change that.
 */
#define main solution_main
#include "../../lessons/05-byte-streams/solution.c" // NOLINT: its parser
#undef main

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(int truth) {
    if (!truth)
        abort();
}

/* Parses a copy of exactly this size, so that a sanitizer notices when a byte
 * beyond it is read. */
static enum verdict parse_copy(const uint8_t *bytes, size_t size,
                               struct netstring *found) {
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    enum verdict verdict = parse_netstring(copy, size, found);
    if (verdict == WHOLE) {
        char prefix[sizeof "100000:"];
        int length = snprintf(prefix, sizeof prefix, "%zu:", found->length);
        require(found->length <= LARGEST_MESSAGE && found->taken <= size);
        require(found->message == copy + length);
        require(found->taken == (size_t)length + found->length + 1);
        require(memcmp(copy, prefix, (size_t)length) == 0);
        require(copy[found->taken - 1] == ',');
    }
    free(copy);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct netstring found = {0};
    struct netstring before = {0};
    enum verdict last = parse_copy(bytes, size, &found);
    enum verdict verdict = NOT_YET;
    /* Try every short prefix, and some of the longer ones. */
    for (size_t prefix = 0; prefix <= size; prefix += 1 + prefix / 16) {
        enum verdict now = parse_copy(bytes, prefix, &before);
        require(now == last || (now == NOT_YET && verdict == NOT_YET));
        verdict = now;
    }
    if (last == WHOLE) {
        require(parse_copy(bytes, found.taken - 1, &before) == NOT_YET);
        require(parse_copy(bytes, found.taken, &before) == WHOLE);
        require(before.taken == found.taken);
    }
    return 0;
}
