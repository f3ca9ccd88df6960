/*
 * 34 exercise: a fingerprint that stays the same.
 *
 * What is here compiles, and says of each file whether there is a ClientHello
 * in it. Your part begins in print_file.
 */
#define _GNU_SOURCE

#include "hello.h"

#include <err.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 6 * HELLO_MESSAGE_BYTES }; /* we read no more */

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 34-tls-hello FILE...\n", out);
    exit(status);
}

static void print_file(const char *path) {
    static uint8_t bytes[FILE_BYTES];
    static uint8_t message[HELLO_MESSAGE_BYTES];
    size_t message_length;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);

    /* Your part: the fingerprint and the name. EVP_sha256 is used as in
     * print_fingerprint of tls-hello.c. */
    if (hello_collect(bytes, length, message, &message_length) == HELLO_WHOLE)
        printf("%s: a ClientHello of %zu bytes\n", path, message_length);
    else
        printf("%s: no ClientHello\n", path);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 2)
        usage(stderr, 2);
    for (int i = 1; i < argc; i++)
        print_file(argv[i]);
    return 0;
}
