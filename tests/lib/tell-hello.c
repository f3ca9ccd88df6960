/*
 * tell-hello: what common/hello makes of the bytes on standard input.
 *
 *     tell-hello
 *
 * Prints "unfinished", "no TLS", "too long", "damaged", or what the ClientHello
 * says, with a line for each of its parts. A list that it does not have is
 * empty. It also says when the parser breaks its promises: when it gives
 * another answer for a part of the bytes, or reads behind their end.
 */
#define _GNU_SOURCE

#include "hello.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 18 };

static void print_list(const char *title, const struct hello_list *list) {
    printf("%s", title);
    for (size_t i = 0; i < list->count; i++)
        printf(" %04x", hello_number(list, i));
    printf("\n");
}

static void print_text(const char *title, const struct hello_text *text) {
    printf("%s ", title);
    for (size_t i = 0; i < text->length; i++) {
        if (isgraph(text->bytes[i]) && text->bytes[i] != '\\')
            printf("%c", text->bytes[i]);
        else
            printf("\\%02x", text->bytes[i]);
    }
    printf("\n");
}

static void print_hello(const struct hello *hello) {
    printf("version %04x\n", hello->version);
    print_text("name", &hello->name);
    print_text("protocols", &hello->protocols);
    print_list("versions", &hello->versions);
    print_list("groups", &hello->groups);
    print_list("suites", &hello->suites);
    printf("extensions");
    for (size_t i = 0; i < hello->extension_count; i++)
        printf(" %04x", hello->extensions[i]);
    printf("\n");
    if (hello->has_inner_hello)
        printf("another hello is inside\n");
}

static const char *name_of(enum hello_kind kind) {
    switch (kind) {
    case HELLO_WHOLE:
        return "whole";
    case HELLO_UNFINISHED:
        return "unfinished";
    case HELLO_NO_TLS:
        return "no TLS";
    default:
        return "too long";
    }
}

/* Looks at the bytes as they come, one by one. Until the last answer, each
 * answer must be "unfinished", and it must never change after that. */
static void check_parts(const uint8_t *bytes, size_t length,
                        enum hello_kind last) {
    static uint8_t message[HELLO_MESSAGE_BYTES];
    enum hello_kind before = HELLO_UNFINISHED;
    for (size_t part = 0; part <= length; part++) {
        size_t message_length;
        enum hello_kind kind =
            hello_collect(bytes, part, message, &message_length);
        if (before != HELLO_UNFINISHED && kind != before)
            printf("changes after %zu bytes\n", part);
        before = kind;
    }
    if (before != last)
        printf("says another thing the second time\n");
}

int main(void) {
    static uint8_t bytes[MOST_BYTES];
    static uint8_t message[HELLO_MESSAGE_BYTES];
    struct hello hello;
    size_t message_length;
    size_t length = fread(bytes, 1, sizeof bytes, stdin);
    enum hello_kind kind =
        hello_collect(bytes, length, message, &message_length);
    if (length < 4096)
        check_parts(bytes, length, kind);
    if (kind != HELLO_WHOLE) {
        printf("%s\n", name_of(kind));
        return fflush(stdout) == EOF;
    }
    /* In a place of its own, so that a sanitizer notices a byte too far. */
    uint8_t *copy = malloc(message_length);
    if (copy == NULL)
        err(1, "malloc");
    memcpy(copy, message, message_length);
    errno = 0;
    if (hello_parse(&hello, copy, message_length) == 0)
        print_hello(&hello);
    else
        printf("damaged%s\n", errno == EBADMSG ? "" : ", with another errno");
    free(copy);
    return fflush(stdout) == EOF;
}
