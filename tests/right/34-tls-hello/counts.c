/* Sorts by counting: a counter for each number that there is. Makes the digest
 * piece by piece, and the output with write. */
#define _GNU_SOURCE

#include "hello.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned counts[65536];
static const char *program;

static void hash_counts(EVP_MD_CTX *digest) {
    char text[16];
    for (unsigned number = 0; number < 65536; number++) {
        int length = sprintf(text, "%u-", number);
        while (counts[number] > 0) {
            EVP_DigestUpdate(digest, text, (size_t)length);
            counts[number]--;
        }
    }
    EVP_DigestUpdate(digest, ",", 1);
}

static void count(unsigned number) {
    if (!hello_is_grease(number))
        counts[number]++;
}

static void count_list(struct hello_list list) {
    for (size_t i = 0; i < list.count; i++)
        count(hello_number(&list, i));
}

static int complain(const char *path, const char *why) {
    fprintf(stderr, "%s: %s: %s\n", program, path, why);
    return 1;
}

/* Writes all, or ends. */
static void put(const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(1, text, length);
        if (written < 0) {
            complain("standard output", strerror(errno));
            exit(1);
        }
        text += written;
        length -= (size_t)written;
    }
}

static int work(const char *path) {
    static uint8_t bytes[200000], message[HELLO_MESSAGE_BYTES];
    static char line[20 + HELLO_MESSAGE_BYTES];
    struct hello hello;
    size_t length, size = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return complain(path, strerror(errno));
    length = fread(bytes, 1, sizeof bytes, file);
    if (ferror(file)) {
        int error = errno;
        fclose(file);
        return complain(path, strerror(error));
    }
    fclose(file);
    enum hello_kind kind = hello_collect(bytes, length, message, &size);
    if (kind != HELLO_WHOLE)
        return complain(path, kind == HELLO_UNFINISHED ? "unfinished"
                                                       : "no ClientHello");
    if (hello_parse(&hello, message, size))
        return complain(path, strerror(errno));

    uint8_t hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
    count_list(hello.suites);
    hash_counts(digest);
    for (size_t i = 0; i < hello.extension_count; i++)
        count(hello.extensions[i]);
    hash_counts(digest);
    count_list(hello.groups);
    hash_counts(digest);
    EVP_DigestFinal_ex(digest, hash, NULL);
    EVP_MD_CTX_free(digest);

    int at = 0;
    for (int i = 0; i < 6; i++)
        at += sprintf(line + at, "%02x", hash[i]);
    line[at++] = ' ';
    if (hello.name.length == 0)
        line[at++] = '-';
    for (size_t i = 0; i < hello.name.length; i++) {
        static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
        static const char large[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        char byte = (char)hello.name.bytes[i];
        const char *found = memchr(large, byte, sizeof large - 1);
        if (found)
            byte = good[found - large];
        if (memchr(good, byte, sizeof good - 1) == NULL)
            byte = '?';
        line[at] = byte;
        at++;
    }
    line[at++] = '\n';
    put(line, (size_t)at);
    return 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    program = argv[0];
    if (argc == 1) {
        fputs("usage: 34-tls-hello FILE...\n", stderr);
        return 2;
    }
    while (*++argv)
        failed |= work(*argv);
    return failed;
}
