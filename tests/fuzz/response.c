/*
 * Feeds lesson 26's response.c any bytes, all at once, and in pieces whose size
 * the first byte chooses. Both must give the same.
 */
#define _GNU_SOURCE

#include "../../lessons/26-load-generator/response.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

/* Returns what the last piece has given. Each piece is a block of memory of its
 * own, so that reading behind its end is noticed. */
static enum response_result read_all(struct response *response,
                                     const uint8_t *bytes, size_t size,
                                     size_t step) {
    enum response_result result = RESPONSE_UNFINISHED;
    response_begin(response);
    for (size_t i = 0; i < size && result != RESPONSE_BAD; i += step) {
        const char *flaw = NULL;
        size_t length = size - i;
        if (length > step)
            length = step;
        char *piece = malloc(length);
        if (piece == NULL)
            abort();
        memcpy(piece, bytes + i, length);
        result = response_read(response, piece, length, &flaw);
        require((result == RESPONSE_BAD) == (flaw != NULL));
        free(piece);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct response whole;
    static struct response pieces;
    if (size < 2)
        return 0;
    enum response_result result = read_all(&whole, bytes + 1, size - 1, size);
    enum response_result other =
        read_all(&pieces, bytes + 1, size - 1, (size_t)bytes[0] + 1);
    require(result == other);
    require(whole.head_length <= RESPONSE_HEAD_BYTES);
    if (result == RESPONSE_WHOLE) {
        require(whole.status >= 200 && whole.status <= 999);
        require(whole.status == pieces.status);
    }
    return 0;
}
