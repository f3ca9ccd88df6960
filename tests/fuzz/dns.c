/*
 * Feeds common/dns any bytes as a message, and reads all that its header says
 * there is. A name that was read must be a whole one, must be the same when it
 * is written as text and read again, and must fit into its text. Data must lie
 * within the message. The same question, written anew, must be read as the
 * same.
 */
#define _GNU_SOURCE

#include "dns.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(bool truth) {
    if (!truth)
        abort();
}

/* Walks over the labels of a name, up to the 0 that must be its last byte. */
static void require_whole_name(const struct dns_name *name) {
    size_t at = 0;
    require(name->length > 0 && name->length <= DNS_NAME_BYTES);
    while (name->bytes[at] != 0) {
        require(name->bytes[at] <= DNS_LABEL_BYTES);
        at += 1 + name->bytes[at];
        require(at < name->length);
    }
    require(at + 1 == name->length);
}

static void try_name(const struct dns_name *name) {
    char text[DNS_NAME_TEXT_BYTES];
    struct dns_name again;
    require_whole_name(name);
    require(dns_name_format(name, text) == text);
    require(strlen(text) < sizeof text);
    require(dns_name_parse(&again, text) == 0);
    require(again.length == name->length);
    require(memcmp(again.bytes, name->bytes, name->length) == 0);
    require(dns_name_equals(&again, name));
}

static void try_question(const struct dns_question *question) {
    uint8_t bytes[DNS_NAME_BYTES + 4];
    struct dns_writer writer = {.bytes = bytes, .size = sizeof bytes};
    struct dns_question again;
    try_name(&question->name);
    require(dns_write_question(&writer, question) == 0);
    struct dns_message message = {.bytes = bytes, .length = writer.length};
    require(dns_read_question(&message, &again) == 0);
    require(message.at == message.length);
    require(again.type == question->type && again.class == question->class);
    require(dns_name_equals(&again.name, &question->name));
}

static void try_record(const struct dns_message *message,
                       const struct dns_record *record) {
    static char text[DNS_DATA_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    struct dns_name name;
    uint16_t number;
    try_name(&record->name);
    require(record->data_at + record->data_length == message->at);
    require(message->at <= message->length);
    if (dns_data_format(message, record, text) == 0)
        require(strlen(text) < sizeof text);
    if (dns_data_name(message, record, &name) == 0)
        try_name(&name);
    require(dns_type_parse(&number, dns_type_format(record->type, type)) == 0);
    require(number == record->type);
}

static void try_message(struct dns_message message) {
    struct dns_header header;
    struct dns_question question;
    struct dns_record record;
    if (dns_read_header(&message, &header) < 0) {
        require(message.length < DNS_HEADER_BYTES);
        return;
    }
    for (unsigned i = 0; i < header.questions; i++) {
        if (dns_read_question(&message, &question) < 0)
            return;
        try_question(&question);
    }
    unsigned records = header.answers;
    records += header.authorities;
    records += header.additions;
    for (unsigned i = 0; i < records; i++) {
        if (dns_read_record(&message, &record) < 0)
            return;
        try_record(&message, &record);
    }
}

/* The same bytes as a text. */
static void try_text(const uint8_t *bytes, size_t length) {
    struct dns_name name;
    uint16_t type;
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, bytes, length);
    text[length] = '\0';
    if (dns_name_parse(&name, text) == 0)
        try_name(&name);
    if (dns_name_reverse(&name, text) == 0)
        try_name(&name);
    (void)dns_type_parse(&type, text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct dns_message message = {.bytes = bytes, .length = length};
    try_message(message);
    try_text(bytes, length);
    return 0;
}
