/*
 * 34 exercise: a fingerprint that stays the same. One good answer.
 *
 * usage: 34-tls-hello FILE...
 */
#define _GNU_SOURCE

#include "hello.h"

#include <ctype.h>
#include <err.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* We read no more of a file. A record of one byte has six with its header.
     */
    FILE_BYTES = 6 * HELLO_MESSAGE_BYTES,
    NUMBERS = HELLO_MESSAGE_BYTES / 2, /* the most that a message can have */
    FINGERPRINT_BYTES = 6,
};

/* Numbers that are to be sorted. */
struct numbers {
    size_t count;
    unsigned list[NUMBERS];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 34-tls-hello FILE...\n", out);
    exit(status);
}

/* Adds a number, unless it means nothing. */
static void add_number(struct numbers *numbers, unsigned number) {
    if (hello_is_grease(number))
        return;
    numbers->list[numbers->count] = number;
    numbers->count++;
}

static void add_list(struct numbers *numbers, const struct hello_list *list) {
    for (size_t i = 0; i < list->count; i++)
        add_number(numbers, hello_number(list, i));
}

static int compare_numbers(const void *a, const void *b) {
    unsigned left = *(const unsigned *)a;
    unsigned right = *(const unsigned *)b;
    if (left < right)
        return -1;
    if (left > right)
        return 1;
    return 0;
}

static void hash_text(EVP_MD_CTX *hash, const char *text) {
    if (EVP_DigestUpdate(hash, text, strlen(text)) != 1)
        errx(1, "EVP_DigestUpdate");
}

/* Sorts the numbers, and adds them to what is hashed: in decimal digits, each
 * with a hyphen behind it, and a comma at the end. */
static void hash_numbers(EVP_MD_CTX *hash, struct numbers *numbers) {
    char text[sizeof "65535-"];
    qsort(numbers->list, numbers->count, sizeof numbers->list[0],
          compare_numbers);
    for (size_t i = 0; i < numbers->count; i++) {
        (void)snprintf(text, sizeof text, "%u-", numbers->list[i]);
        hash_text(hash, text);
    }
    hash_text(hash, ",");
}

static void print_fingerprint(const struct hello *hello) {
    static struct numbers suites;
    static struct numbers extensions;
    static struct numbers groups;
    uint8_t digest[EVP_MAX_MD_SIZE];
    suites.count = 0;
    extensions.count = 0;
    groups.count = 0;
    add_list(&suites, &hello->suites);
    for (size_t i = 0; i < hello->extension_count; i++)
        add_number(&extensions, hello->extensions[i]);
    add_list(&groups, &hello->groups);

    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        errx(1, "EVP_DigestInit_ex");
    hash_numbers(hash, &suites);
    hash_numbers(hash, &extensions);
    hash_numbers(hash, &groups);
    if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
        errx(1, "EVP_DigestFinal_ex");
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
        printf("%02x", digest[i]);
}

static void print_name(const struct hello_text *name) {
    if (name->length == 0)
        (void)putchar('-');
    for (size_t i = 0; i < name->length; i++) {
        int character = tolower(name->bytes[i]);
        if (isalnum(character) || character == '.' || character == '-')
            (void)putchar(character);
        else
            (void)putchar('?');
    }
}

/* Reads the beginning of a file. Returns -1 when it cannot be read, which has
 * been reported. */
static int read_file(const char *path, uint8_t *bytes, size_t *length) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        warn("%s", path);
        return -1;
    }
    *length = fread(bytes, 1, FILE_BYTES, file);
    int result = 0;
    if (ferror(file)) {
        warn("%s", path);
        result = -1;
    }
    (void)fclose(file); /* we have only read from it */
    return result;
}

/* Prints the line for a file. Returns -1 when it has no ClientHello, which has
 * been reported. */
static int print_file(const char *path) {
    static uint8_t bytes[FILE_BYTES];
    static uint8_t message[HELLO_MESSAGE_BYTES];
    struct hello hello;
    size_t length;
    size_t message_length;
    if (read_file(path, bytes, &length) < 0)
        return -1;
    switch (hello_collect(bytes, length, message, &message_length)) {
    case HELLO_WHOLE:
        break;
    case HELLO_UNFINISHED:
        warnx("%s: the ClientHello is cut", path);
        return -1;
    case HELLO_NO_TLS:
        warnx("%s: no ClientHello", path);
        return -1;
    case HELLO_TOO_LONG:
        warnx("%s: the ClientHello is too long", path);
        return -1;
    }
    if (hello_parse(&hello, message, message_length) < 0) {
        warnx("%s: the ClientHello is damaged", path);
        return -1;
    }
    print_fingerprint(&hello);
    (void)putchar(' ');
    print_name(&hello.name);
    (void)putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    int status = 0;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 2)
        usage(stderr, 2);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    /* Without memory for what this sets up, EVP_DigestInit_ex would crash. */
    if (OSSL_LIB_CTX_get0_global_default() == NULL)
        errx(1, "OSSL_LIB_CTX_get0_global_default: no memory");
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    for (int i = 1; i < argc; i++) {
        if (print_file(argv[i]) < 0)
            status = 1;
    }
    if (ferror(stdout) || fflush(stdout) == EOF)
        err(1, "standard output");
    return status;
}
