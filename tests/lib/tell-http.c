/*
 * tell-http: what the functions of common/http make of standard input.
 *
 *     tell-http reply|request|head-reply|chunks
 *
 * `reply` and `request` print what a head says, and how its body ends.
 * `head-reply` is a reply to HEAD. `chunks` prints the body, and what comes
 * behind it. It reads the chunks at once, and then in pieces of each size. It
 * says so when these do not give the same.
 */
#define _GNU_SOURCE

#include "http.h"

#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_BYTES = 1 << 20, LARGEST_PIECE = 40, SHOWN_FIELDS = 6 };

static void print_text(const char *bytes, size_t length) {
    (void)putchar('[');
    for (size_t i = 0; i < length; i++) {
        if (isprint((unsigned char)bytes[i]))
            (void)putchar(bytes[i]);
        else
            printf("\\%02x", (unsigned char)bytes[i]);
    }
    (void)putchar(']');
}

static void print_framing(enum http_framing framing, uint64_t length,
                          const char *flaw) {
    switch (framing) {
    case HTTP_NO_BODY:
        (void)fputs("no body", stdout);
        break;
    case HTTP_LENGTH:
        printf("%" PRIu64 " bytes", length);
        break;
    case HTTP_CHUNKED:
        (void)fputs("chunks", stdout);
        break;
    case HTTP_UNTIL_END:
        (void)fputs("until the end", stdout);
        break;
    case HTTP_CONFUSED:
        printf("confused: %s", flaw);
        break;
    }
}

static void print_fields(const struct http_head *head) {
    for (size_t i = 0; i < head->field_count && i < SHOWN_FIELDS; i++) {
        (void)putchar(' ');
        print_text(head->fields[i].name.bytes, head->fields[i].name.length);
        print_text(head->fields[i].value.bytes, head->fields[i].value.length);
    }
    if (head->field_count > SHOWN_FIELDS)
        printf(" %zu fields", head->field_count);
}

static void tell_head(const char *kind, char *bytes, size_t length) {
    static struct http_head head;
    const char *flaw = "no flaw";
    uint64_t body_length;
    enum http_result result;
    enum http_framing framing;
    bool is_request = strcmp(kind, "request") == 0;
    if (is_request)
        result = http_parse_request(&head, bytes, length, &flaw);
    else
        result = http_parse_reply(&head, bytes, length, &flaw);
    if (result == HTTP_UNFINISHED)
        (void)fputs("unfinished", stdout);
    if (result == HTTP_BAD)
        (void)fputs(flaw, stdout);
    if (result != HTTP_WHOLE)
        return;
    if (is_request) {
        framing = http_request_framing(&head, &body_length, &flaw);
        print_text(head.method.bytes, head.method.length);
        print_text(head.target.bytes, head.target.length);
    } else {
        bool is_head = strcmp(kind, "head-reply") == 0;
        framing = http_reply_framing(&head, is_head, &body_length, &flaw);
        printf("%u ", head.status);
        print_text(head.reason.bytes, head.reason.length);
    }
    printf(" 1.%u", head.minor);
    print_fields(&head);
    printf(", %zu left, ", length - head.length);
    print_framing(framing, body_length, flaw);
}

/* The body of some chunks, and how it ends. */
struct body {
    char bytes[INPUT_BYTES];
    size_t length;
    size_t used;
    enum http_chunk_result result;
    const char *flaw;
};

/* Reads the chunks in pieces, each in memory of exactly its size. */
static void read_chunks(struct body *body, const char *bytes, size_t length,
                        size_t piece) {
    struct http_chunks chunks = {0};
    memset(body, 0, sizeof *body);
    while (body->used < length) {
        size_t now = piece;
        if (now > length - body->used)
            now = length - body->used;
        char *copy = malloc(now > 0 ? now : 1); /* exactly its size */
        if (copy == NULL)
            err(1, "memory");
        memcpy(copy, bytes + body->used, now);
        const char *data;
        size_t used;
        size_t data_length;
        body->result = http_chunks_read(&chunks, copy, now, &used, &data,
                                        &data_length, &body->flaw);
        if (body->result == HTTP_CHUNK_DATA) {
            memcpy(body->bytes + body->length, data, data_length);
            body->length += data_length;
        }
        body->used += used;
        free(copy);
        if (body->result == HTTP_CHUNK_BAD || body->result == HTTP_CHUNK_LAST)
            return;
    }
}

static void tell_chunks(const char *bytes, size_t length) {
    static struct body whole;
    static struct body body;
    read_chunks(&whole, bytes, length, INPUT_BYTES);
    for (size_t piece = 1; piece < LARGEST_PIECE; piece++) {
        read_chunks(&body, bytes, length, piece);
        /* A part of a chunk is data, or needs more, as the pieces fall. */
        bool both_go_on =
            body.result <= HTTP_CHUNK_DATA && whole.result <= HTTP_CHUNK_DATA;
        if (body.length != whole.length || body.used != whole.used ||
            memcmp(body.bytes, whole.bytes, body.length) != 0 ||
            (body.result != whole.result && !both_go_on))
            printf("another result in pieces of %zu: ", piece);
    }
    print_text(whole.bytes, whole.length);
    if (whole.result == HTTP_CHUNK_BAD)
        printf(" %s", whole.flaw);
    else if (whole.result == HTTP_CHUNK_LAST)
        printf(" end, %zu left", length - whole.used);
    else
        (void)fputs(" unfinished", stdout);
}

int main(int argc, char **argv) {
    static char input[INPUT_BYTES];
    if (argc != 2)
        errx(2, "usage: tell-http reply|request|head-reply|chunks");
    size_t length = fread(input, 1, sizeof input, stdin);
    char *bytes = malloc(length + 1); /* malloc(0) may be NULL */
    if (bytes == NULL)
        err(1, "memory");
    memcpy(bytes, input, length);
    if (strcmp(argv[1], "chunks") == 0)
        tell_chunks(bytes, length);
    else
        tell_head(argv[1], bytes, length);
    free(bytes);
    (void)putchar('\n');
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
