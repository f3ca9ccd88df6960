/*
 * Feeds http's parsers any bytes. The first byte says which parser. All texts
 * of a head must lie within it, what has been decided about a beginning must
 * not change when more bytes come, and chunks must give the same body in one
 * piece and byte by byte.
 */
#define _GNU_SOURCE

#include "http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { KINDS = 3 };

static void require(bool truth) {
    if (!truth)
        abort();
}

/* A copy of exactly that size, so that one byte too far is noticed. */
static char *copy_of(const uint8_t *bytes, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

static void require_inside(const struct http_text *text, const char *bytes,
                           size_t length) {
    if (text->length == 0)
        return;
    require(text->bytes >= bytes);
    require(text->bytes + text->length <= bytes + length);
    require(memchr(text->bytes, '\n', text->length) == NULL);
    require(memchr(text->bytes, '\r', text->length) == NULL);
    require(memchr(text->bytes, '\0', text->length) == NULL);
}

static enum http_result try_head(const uint8_t *bytes, size_t size,
                                 bool is_request, size_t *head_length) {
    static struct http_head head;
    const char *flaw = NULL;
    uint64_t length;
    char *copy = copy_of(bytes, size);
    enum http_result result;
    if (is_request)
        result = http_parse_request(&head, copy, size, &flaw);
    else
        result = http_parse_reply(&head, copy, size, &flaw);
    *head_length = head.length;
    require(result != HTTP_BAD || flaw != NULL);
    if (result == HTTP_WHOLE) {
        require(head.length <= size && head.length <= HTTP_HEAD_BYTES);
        require(copy[head.length - 1] == '\n');
        require(head.field_count <= HTTP_FIELDS && head.minor <= 9);
        require_inside(&head.method, copy, head.length);
        require_inside(&head.target, copy, head.length);
        require_inside(&head.reason, copy, head.length);
        for (size_t i = 0; i < head.field_count; i++) {
            require(head.fields[i].name.length > 0);
            require_inside(&head.fields[i].name, copy, head.length);
            require_inside(&head.fields[i].value, copy, head.length);
        }
        (void)http_find(&head, "Location");
        (void)http_lists(&head, "Connection", "close");
        if (is_request)
            (void)http_request_framing(&head, &length, &flaw);
        else
            (void)http_reply_framing(&head, false, &length, &flaw);
    }
    free(copy);
    return result;
}

static void try_heads(const uint8_t *bytes, size_t size, bool is_request) {
    size_t last_length;
    size_t length;
    enum http_result last = try_head(bytes, size, is_request, &last_length);
    for (size_t prefix = 0; prefix < size; prefix += 1 + prefix / 16) {
        enum http_result now = try_head(bytes, prefix, is_request, &length);
        require(now == HTTP_UNFINISHED || now == last);
        require(now != HTTP_WHOLE || length == last_length);
    }
}

/* Reads chunks in pieces. The body gets into place, which has room for it.
 * Returns its length, and how it ends in *result. */
static size_t read_chunks(const uint8_t *bytes, size_t size, size_t piece,
                          char *place, enum http_chunk_result *result) {
    struct http_chunks chunks = {0};
    size_t done = 0;
    size_t body = 0;
    *result = HTTP_CHUNK_MORE;
    while (done < size) {
        size_t now = piece;
        if (now > size - done)
            now = size - done;
        char *copy = copy_of(bytes + done, now);
        const char *data;
        const char *flaw = NULL;
        size_t used;
        size_t length;
        *result =
            http_chunks_read(&chunks, copy, now, &used, &data, &length, &flaw);
        require(used <= now && used > 0);
        if (*result == HTTP_CHUNK_DATA) {
            require(data >= copy && data + length <= copy + now && length > 0);
            memcpy(place + body, data, length);
            body += length;
        }
        free(copy);
        done += used;
        require(*result != HTTP_CHUNK_MORE || used == now);
        if (*result == HTTP_CHUNK_LAST || *result == HTTP_CHUNK_BAD) {
            require(*result != HTTP_CHUNK_BAD || flaw != NULL);
            break;
        }
    }
    if (*result == HTTP_CHUNK_DATA)
        *result = HTTP_CHUNK_MORE;
    return body;
}

static void try_chunks(const uint8_t *bytes, size_t size) {
    enum http_chunk_result result;
    enum http_chunk_result other;
    char *whole = copy_of(bytes, size);
    char *parts = copy_of(bytes, size);
    size_t length = read_chunks(bytes, size, size, whole, &result);
    require(read_chunks(bytes, size, 1, parts, &other) == length);
    require(other == result && memcmp(whole, parts, length) == 0);
    free(whole);
    free(parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size == 0)
        return 0;
    switch (bytes[0] % KINDS) {
    case 0:
        try_heads(bytes + 1, size - 1, false);
        break;
    case 1:
        try_heads(bytes + 1, size - 1, true);
        break;
    default:
        try_chunks(bytes + 1, size - 1);
    }
    return 0;
}
