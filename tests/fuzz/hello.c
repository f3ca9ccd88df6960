/*
 * Feeds hello any bytes: once as the beginning of a connection, and once as a
 * message without records. What the parser finds must lie within the message.
 * When the bytes come one by one, its answer must change once at most, from
 * "unfinished" to another one; and a message in records of one byte must be the
 * same message.
 */
#define _GNU_SOURCE

#include "hello.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { MOST_BYTES = 2048 }; /* more is slow, and finds nothing new */

static void require(int truth) {
    if (!truth)
        abort();
}

/* A copy of exactly that size, so that one byte too far is noticed. */
static uint8_t *copy(const uint8_t *bytes, size_t length) {
    uint8_t *place = malloc(length > 0 ? length : 1);
    require(place != NULL);
    if (length > 0)
        memcpy(place, bytes, length);
    return place;
}

static void require_within(const uint8_t *part, size_t length,
                           const uint8_t *message, size_t message_length) {
    if (length == 0)
        return;
    require(part >= message);
    require(part + length <= message + message_length);
}

static void require_list(const struct hello_list *list, const uint8_t *message,
                         size_t length) {
    require_within(list->bytes, 2 * list->count, message, length);
    for (size_t i = 0; i < list->count; i++)
        require(hello_number(list, i) <= 0xffff);
}

static void parse(const uint8_t *bytes, size_t length) {
    struct hello hello;
    uint8_t *message = copy(bytes, length);
    if (hello_parse(&hello, message, length) == 0) {
        require_list(&hello.suites, message, length);
        require_list(&hello.versions, message, length);
        require_list(&hello.groups, message, length);
        require_within(hello.name.bytes, hello.name.length, message, length);
        require_within(hello.protocols.bytes, hello.protocols.length, message,
                       length);
        require(hello.extension_count <= HELLO_EXTENSIONS);
        size_t at = 0;
        while (at < hello.protocols.length)
            at += 1 + hello.protocols.bytes[at];
        require(at == hello.protocols.length);
    }
    free(message);
}

static enum hello_kind collect(const uint8_t *bytes, size_t length,
                               uint8_t *message, size_t *message_length) {
    uint8_t *part = copy(bytes, length);
    enum hello_kind kind = hello_collect(part, length, message, message_length);
    free(part);
    return kind;
}

/* Puts each byte of the message into a record of its own. */
static void divide(const uint8_t *message, size_t length) {
    static uint8_t records[6 * MOST_BYTES];
    static uint8_t again[HELLO_MESSAGE_BYTES];
    size_t again_length;
    for (size_t i = 0; i < length; i++) {
        const uint8_t record[] = {22, 3, 1, 0, 1, message[i]};
        memcpy(records + 6 * i, record, sizeof record);
    }
    require(collect(records, 6 * length, again, &again_length) == HELLO_WHOLE);
    require(again_length == length);
    require(memcmp(again, message, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    uint8_t *message = malloc(HELLO_MESSAGE_BYTES);
    size_t message_length = 0;
    enum hello_kind before = HELLO_UNFINISHED;
    require(message != NULL);
    if (length > MOST_BYTES)
        length = MOST_BYTES;
    parse(bytes, length);
    for (size_t part = 0; part <= length; part++) {
        enum hello_kind kind = collect(bytes, part, message, &message_length);
        require(before == HELLO_UNFINISHED || kind == before);
        before = kind;
    }
    if (before == HELLO_WHOLE) {
        require(message_length <= length);
        divide(message, message_length);
        parse(message, message_length);
    }
    free(message);
    return 0;
}
