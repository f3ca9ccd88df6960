/* report: prints what the first message of a client says, and a fingerprint. */
#define _GNU_SOURCE

#include "report.h"

#include "hello.h"

#include <ctype.h>
#include <err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    FINGERPRINT_BYTES = 6, /* we print so many of SHA-256's 32 */
    NUMBERS_A_LINE = 8,
};

static bool is_name_byte(uint8_t byte) {
    if (isalnum(byte))
        return true;
    return byte == '.' || byte == '-' || byte == '_' || byte == '/';
}

void report_print_text(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (is_name_byte(bytes[i]))
            (void)putchar(bytes[i]);
        else
            (void)putchar('?');
    }
}

void report_begin(void) {
    flockfile(stdout);
}

void report_end(void) {
    if (fflush(stdout) == EOF)
        warn("standard output");
    funlockfile(stdout);
}

static void print_name(const struct hello *hello) {
    if (hello->name.length == 0) {
        printf("  name         none\n");
        return;
    }
    printf("  name         ");
    report_print_text(hello->name.bytes, hello->name.length);
    if (hello->has_inner_hello)
        printf(" (the outer name: another one may be encrypted)");
    printf("\n");
}

static void print_protocols(const struct hello *hello) {
    const uint8_t *bytes = hello->protocols.bytes;
    size_t at = 0;
    printf("  protocols   ");
    if (hello->protocols.length == 0)
        printf(" none");
    while (at < hello->protocols.length) {
        size_t length = bytes[at];
        printf(" ");
        report_print_text(bytes + at + 1, length);
        at += 1 + length;
    }
    printf("\n");
}

static void print_version(unsigned version) {
    if (version == 0x0304)
        printf(" TLS-1.3");
    else if (version == 0x0303)
        printf(" TLS-1.2");
    else if (hello_is_grease(version))
        printf(" GREASE");
    else
        printf(" 0x%04x", version);
}

/* The only version of an old client stands in a field of the message. */
static void print_versions(const struct hello *hello) {
    printf("  versions    ");
    if (hello->versions.count == 0)
        print_version(hello->version);
    for (size_t i = 0; i < hello->versions.count; i++)
        print_version(hello_number(&hello->versions, i));
    printf("\n");
}

/* Prints the numbers of a list. Those that mean nothing are called GREASE. */
static void print_list(const char *title, const struct hello_list *list) {
    printf("  %-12s", title);
    if (list->count == 0)
        printf(" none");
    for (size_t i = 0; i < list->count; i++) {
        unsigned number = hello_number(list, i);
        if (i > 0 && i % NUMBERS_A_LINE == 0)
            printf("\n  %-12s", "");
        if (hello_is_grease(number))
            printf(" GREASE");
        else
            printf(" 0x%04x", number);
    }
    printf("\n");
}

static void print_extensions(const struct hello *hello) {
    printf("  %-12s", "extensions");
    if (hello->extension_count == 0)
        printf(" none");
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (i > 0 && i % NUMBERS_A_LINE == 0)
            printf("\n  %-12s", "");
        if (hello_is_grease(hello->extensions[i]))
            printf(" GREASE");
        else
            printf(" 0x%04x", hello->extensions[i]);
    }
    printf("\n");
}

/* Adds a text to what the fingerprint is made of. */
static void hash_text(EVP_MD_CTX *hash, const char *text) {
    if (EVP_DigestUpdate(hash, text, strlen(text)) != 1)
        errx(1, "EVP_DigestUpdate");
}

/* Adds a number, as decimal digits. */
static void hash_number(EVP_MD_CTX *hash, unsigned number) {
    char text[sizeof "65535-"];
    (void)snprintf(text, sizeof text, "%u-", number);
    hash_text(hash, text);
}

static void hash_list(EVP_MD_CTX *hash, const struct hello_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        unsigned number = hello_number(list, i);
        if (!hello_is_grease(number))
            hash_number(hash, number);
    }
    hash_text(hash, ",");
}

/* Prints the beginning of a hash of lists that are the same in each connection
 * of most programs: the cipher suites, the extensions and the groups. */
static void print_fingerprint(const struct hello *hello) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash);
        warnx("EVP_DigestInit_ex: no memory");
        printf("  fingerprint  unknown\n");
        return;
    }
    hash_list(hash, &hello->suites);
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (!hello_is_grease(hello->extensions[i]))
            hash_number(hash, hello->extensions[i]);
    }
    hash_text(hash, ",");
    hash_list(hash, &hello->groups);
    if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
        errx(1, "EVP_DigestFinal_ex");
    EVP_MD_CTX_free(hash);
    printf("  fingerprint  ");
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
        printf("%02x", digest[i]);
    printf("\n");
}

void report_hello(const struct client *client) {
    const struct hello *hello = &client->hello;
    report_begin();
    printf("%s sent a ClientHello of %zu bytes\n", client->name,
           client->message_length);
    print_name(hello);
    print_protocols(hello);
    print_versions(hello);
    print_list("groups", &hello->groups);
    print_list("suites", &hello->suites);
    print_extensions(hello);
    print_fingerprint(hello);
    report_end();
}
