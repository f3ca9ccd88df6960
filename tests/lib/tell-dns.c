/*
 * tell-dns: what the functions of common/dns make of what they are given.
 *
 *     tell-dns name TEXT          the bytes of a name, and the name as text
 *     tell-dns equals TEXT TEXT   whether two names are the same
 *     tell-dns reverse ADDRESS    the name of an address
 *     tell-dns type TEXT          a type as a number, and as text
 *     tell-dns read OFFSET        the name that begins there in a message
 *     tell-dns message            what is in a message
 *     tell-dns cut                at which lengths the message is whole
 *     tell-dns write SIZE         a message with room for so many bytes
 *
 * It prints what came out, or the error in words. A message comes from standard
 * input, in hexadecimal digits, with or without blanks. We put it into a buffer
 * that ends where the message does, so that a sanitizer notices when a byte
 * beyond it is read.
 */
#define _GNU_SOURCE

#include "dns.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void usage(void) {
    fputs("usage: tell-dns name|equals|reverse|type|read|message|cut|write "
          "...\n",
          stderr);
    exit(2);
}

static void print_error(void) {
    puts(strerror(errno));
}

static void print_hex(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        printf("%02x", bytes[i]);
}

/* Prints the bytes of a name, and its text. */
static void print_name(const struct dns_name *name) {
    char text[DNS_NAME_TEXT_BYTES];
    print_hex(name->bytes, name->length);
    printf(" %s\n", dns_name_format(name, text));
}

static void tell_name(const char *text) {
    struct dns_name name;
    if (dns_name_parse(&name, text) == 0)
        print_name(&name);
    else
        print_error();
}

static void tell_equals(const char *text_a, const char *text_b) {
    struct dns_name a;
    struct dns_name b;
    if (dns_name_parse(&a, text_a) < 0)
        err(1, "%s", text_a);
    if (dns_name_parse(&b, text_b) < 0)
        err(1, "%s", text_b);
    if (dns_name_equals(&a, &b))
        puts("the same");
    else
        puts("another");
}

static void tell_reverse(const char *address) {
    struct dns_name name;
    if (dns_name_reverse(&name, address) == 0) {
        char text[DNS_NAME_TEXT_BYTES];
        puts(dns_name_format(&name, text));
    } else {
        print_error();
    }
}

static void tell_type(const char *text) {
    uint16_t type;
    if (dns_type_parse(&type, text) == 0) {
        char formatted[DNS_TYPE_TEXT_BYTES];
        printf("%d %s\n", type, dns_type_format(type, formatted));
    } else {
        print_error();
    }
}

/* ---- Messages --------------------------------------------------------------
 */

/* Returns the bytes of the message from standard input. The caller frees them.
 */
static uint8_t *read_bytes(size_t *length) {
    uint8_t *bytes = malloc(DNS_MESSAGE_BYTES);
    char digits[3] = "";
    size_t count = 0;
    if (bytes == NULL)
        err(1, "malloc");
    *length = 0;
    for (;;) {
        int character = getchar();
        if (character == EOF)
            break;
        if (isspace(character))
            continue;
        digits[count] = (char)character;
        count++;
        if (count < 2)
            continue;
        count = 0;
        if (*length == DNS_MESSAGE_BYTES)
            errx(1, "the message is too long");
        bytes[*length] = (uint8_t)strtoul(digits, NULL, 16);
        (*length)++;
    }
    uint8_t *exact = realloc(bytes, *length > 0 ? *length : 1);
    if (exact == NULL)
        err(1, "realloc");
    return exact;
}

static void tell_read(size_t offset) {
    struct dns_message message = {.at = offset};
    uint8_t *bytes = read_bytes(&message.length);
    struct dns_name name;
    message.bytes = bytes;
    if (offset > message.length)
        errx(1, "the message is shorter");
    if (dns_read_name(&message, &name) == 0) {
        printf("to %zu: ", message.at);
        print_name(&name);
    } else {
        print_error();
    }
    free(bytes);
}

static void print_header(const struct dns_header *header) {
    printf("id %d operation %u status %u", header->id, header->operation,
           header->status);
    if (header->is_reply)
        printf(" reply");
    if (header->is_authoritative)
        printf(" authoritative");
    if (header->is_cut)
        printf(" cut");
    if (header->wants_recursion)
        printf(" wants-recursion");
    if (header->offers_recursion)
        printf(" offers-recursion");
    printf(" %d %d %d %d\n", header->questions, header->answers,
           header->authorities, header->additions);
}

static int tell_question(struct dns_message *message) {
    struct dns_question question;
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    if (dns_read_question(message, &question) < 0)
        return -1;
    printf("%s %d %s\n", dns_name_format(&question.name, name), question.class,
           dns_type_format(question.type, type));
    return 0;
}

static int tell_record(struct dns_message *message) {
    static char data[DNS_DATA_TEXT_BYTES];
    struct dns_record record;
    struct dns_name target;
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    if (dns_read_record(message, &record) < 0)
        return -1;
    size_t at = message->at;
    if (dns_data_format(message, &record, data) < 0)
        return -1;
    printf("%s %u %d %s %s\n", dns_name_format(&record.name, name), record.ttl,
           record.class, dns_type_format(record.type, type), data);
    if (dns_data_name(message, &record, &target) == 0)
        printf("its data are a name: %s\n", dns_name_format(&target, name));
    if (message->at != at)
        errx(1, "reading the data has moved the message");
    return 0;
}

/* Prints all that is in a message. */
static int tell_all(struct dns_message *message) {
    struct dns_header header;
    if (dns_read_header(message, &header) < 0)
        return -1;
    print_header(&header);
    for (unsigned i = 0; i < header.questions; i++) {
        if (tell_question(message) < 0)
            return -1;
    }
    unsigned records = header.answers;
    records += header.authorities;
    records += header.additions;
    for (unsigned i = 0; i < records; i++) {
        if (tell_record(message) < 0)
            return -1;
    }
    printf("%zu bytes more\n", message->length - message->at);
    return 0;
}

static void tell_message(void) {
    struct dns_message message = {.at = 0};
    uint8_t *bytes = read_bytes(&message.length);
    message.bytes = bytes;
    if (tell_all(&message) < 0)
        print_error();
    free(bytes);
}

/* Returns whether all in the message can be read. */
static bool is_whole(struct dns_message message) {
    static char data[DNS_DATA_TEXT_BYTES];
    struct dns_header header;
    struct dns_question question;
    struct dns_record record;
    if (dns_read_header(&message, &header) < 0)
        return false;
    for (unsigned i = 0; i < header.questions; i++) {
        if (dns_read_question(&message, &question) < 0)
            return false;
    }
    for (unsigned i = 0; i < header.answers; i++) {
        if (dns_read_record(&message, &record) < 0)
            return false;
        if (dns_data_format(&message, &record, data) < 0)
            return false;
    }
    return true;
}

/* Each length is tried in a buffer that ends there. */
static void tell_cut(void) {
    size_t whole;
    uint8_t *bytes = read_bytes(&whole);
    for (size_t length = 0; length <= whole; length++) {
        uint8_t *exact = malloc(length > 0 ? length : 1);
        if (exact == NULL)
            err(1, "malloc");
        memcpy(exact, bytes, length);
        struct dns_message cut = {.bytes = exact, .length = length};
        if (is_whole(cut))
            printf("whole with %zu bytes\n", length);
        free(exact);
    }
    free(bytes);
}

/* Writes a reply with a question and two records, and prints what fits. */
static void tell_written(size_t size) {
    static const uint8_t address[] = {192, 0, 2, 7};
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL)
        err(1, "malloc");
    struct dns_writer writer = {.bytes = bytes, .size = size};
    const struct dns_header header = {
        .id = 0xabcd,
        .is_reply = true,
        .operation = 15,
        .is_cut = true,
        .wants_recursion = true,
        .status = DNS_REFUSED,
        .questions = 1,
        .answers = 2,
        .authorities = 0x1234,
        .additions = 0xfedc,
    };
    struct dns_question question = {.type = DNS_A, .class = DNS_IN};
    if (dns_name_parse(&question.name, "Ab") < 0)
        err(1, "dns_name_parse");
    if (dns_write_header(&writer, &header) < 0)
        printf("header: %s\n", strerror(errno));
    if (dns_write_question(&writer, &question) < 0)
        printf("question: %s\n", strerror(errno));
    if (dns_write_record(&writer, &question.name, DNS_A, DNS_IN, 0x12345678,
                         address, sizeof address) < 0)
        printf("record: %s\n", strerror(errno));
    if (dns_write_record(&writer, &question.name, DNS_TXT, DNS_IN, 1, NULL, 0) <
        0)
        printf("empty record: %s\n", strerror(errno));
    print_hex(bytes, writer.length);
    putchar('\n');
    free(bytes);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "name") == 0)
        tell_name(argv[2]);
    else if (argc == 4 && strcmp(argv[1], "equals") == 0)
        tell_equals(argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "reverse") == 0)
        tell_reverse(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "type") == 0)
        tell_type(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "read") == 0)
        tell_read(strtoul(argv[2], NULL, 10));
    else if (argc == 2 && strcmp(argv[1], "message") == 0)
        tell_message();
    else if (argc == 2 && strcmp(argv[1], "cut") == 0)
        tell_cut();
    else if (argc == 3 && strcmp(argv[1], "write") == 0)
        tell_written(strtoul(argv[2], NULL, 10));
    else
        usage();
    return 0;
}
