#include "handshake.h"

#include "hello.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* RFC 8446, sections 4, 5.1 and 6. */
enum {
    CHANGE_CIPHER_SPEC = 20,
    ALERT = 21,
    HANDSHAKE = 22,
    APPLICATION_DATA = 23,
    RECORD_HEADER = 5,
    LONGEST_RECORD = 16384 + 2048, /* of TLS 1.2; in 1.3 it is shorter */
    HANDSHAKE_HEADER = 4,
    ALERT_BYTES = 2, /* an alert that is not encrypted; others are longer */
    CLIENT_HELLO = 1,
    LONGEST_NAME = 64, /* characters of a name that are written */
    MAJOR_VERSION = 3, /* the first byte of all versions of TLS */
    LAST_MINOR = 4,    /* the second byte, of TLS 1.3 */
};

static const struct {
    unsigned type;
    const char *name;
} handshakes[] = {
    {0, "HelloRequest"},        {CLIENT_HELLO, "ClientHello"},
    {2, "ServerHello"},         {4, "NewSessionTicket"},
    {11, "Certificate"},        {12, "ServerKeyExchange"},
    {13, "CertificateRequest"}, {14, "ServerHelloDone"},
    {15, "CertificateVerify"},  {16, "ClientKeyExchange"},
    {20, "Finished"},           {22, "CertificateStatus"},
};

/* The bytes that are not read yet. */
struct unread {
    const uint8_t *bytes;
    size_t length;
};

/* Reads the number in the next bytes, the highest byte first. If there are
 * fewer bytes, returns 0, and all of them count as read. */
static size_t read_number(struct unread *unread, size_t bytes) {
    size_t number = 0;
    if (unread->length < bytes) {
        unread->length = 0;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        number = (number << 8) | unread->bytes[i];
    unread->bytes += bytes;
    unread->length -= bytes;
    return number;
}

/* Reads a part: the next length bytes, or as many as there are. Nothing in the
 * part itself is read yet. */
static struct unread read_part(struct unread *unread, size_t length) {
    struct unread part = {unread->bytes, length};
    if (part.length > unread->length)
        part.length = unread->length;
    unread->bytes += part.length;
    unread->length -= part.length;
    return part;
}

/* Appends to text, as far as there is room. */
static void append(char *text, const char *separator, const char *what) {
    size_t length = strlen(text);
    (void)snprintf(text + length, HANDSHAKE_TEXT_BYTES - length, "%s%s",
                   separator, what);
}

/* Appends a thing to the list of what a segment has. */
static void add_item(char *text, const char *what) {
    const char *separator = ", ";
    if (text[0] == '\0')
        separator = "";
    append(text, separator, what);
}

/* ---- messages in the clear ------------------------------------------------*/

/* A character for each byte of a name: see handshake.h. */
static char to_printable(uint8_t byte) {
    bool is_letter_or_digit = isalnum(byte) != 0;
    if (is_letter_or_digit || byte == '.' || byte == '-')
        return (char)byte;
    return '?';
}

/* Appends " for NAME", if a ClientHello is whole and says which server is
 * meant. */
static void add_server_name(char *text, struct unread message) {
    char name[LONGEST_NAME + 1];
    struct hello hello;
    if (hello_parse(&hello, message.bytes, message.length) < 0)
        return;
    if (hello.name.length == 0)
        return;
    size_t length = hello.name.length;
    if (length > LONGEST_NAME)
        length = LONGEST_NAME;
    for (size_t i = 0; i < length; i++)
        name[i] = to_printable(hello.name.bytes[i]);
    name[length] = '\0';
    append(text, " for ", name);
}

/* The name of a message of the handshake, or NULL. */
static const char *name_of(size_t type) {
    for (size_t i = 0; i < sizeof handshakes / sizeof handshakes[0]; i++)
        if (handshakes[i].type == type)
            return handshakes[i].name;
    return NULL;
}

/* Reads the messages of a record, one after the other. Returns whether all are
 * messages that we know: if not, the record is encrypted. */
static bool read_handshake(char *text, struct unread record) {
    while (record.length >= HANDSHAKE_HEADER) {
        struct unread header = record;
        size_t type = read_number(&header, 1);
        size_t length = read_number(&header, 3);
        struct unread message = read_part(&record, HANDSHAKE_HEADER + length);
        const char *name = name_of(type);
        if (name == NULL)
            return false;
        add_item(text, name);
        if (type == CLIENT_HELLO)
            add_server_name(text, message);
    }
    return true;
}

static void read_alert(char *text, struct unread record) {
    char what[32] = "alert close_notify";
    (void)read_number(&record, 1); /* its level means nothing any more */
    size_t number = read_number(&record, 1);
    if (number != 0)
        (void)snprintf(what, sizeof what, "alert %zu", number);
    add_item(text, what);
}

/* ---- records --------------------------------------------------------------*/

struct header {
    size_t type;
    size_t version;
    size_t size; /* of the record behind the header */
};

/* Whether the header is one of a TLS record. */
static bool is_tls(const struct header *header) {
    size_t major = header->version >> 8;
    size_t minor = header->version & 0xff;
    bool has_type =
        header->type >= CHANGE_CIPHER_SPEC && header->type <= APPLICATION_DATA;
    bool has_version = major == MAJOR_VERSION && minor <= LAST_MINOR;
    return has_type && has_version && header->size <= LONGEST_RECORD;
}

/* What is known of a segment's records so far. */
struct summary {
    char *text;
    bool encrypted; /* from ChangeCipherSpec on */
    size_t hidden;  /* bytes of encrypted records */
};

/* Reads a record before ChangeCipherSpec. Returns whether it can be read: in
 * TLS 1.3, a record may be encrypted even if no ChangeCipherSpec was sent. */
static bool read_clear_record(char *text, const struct header *header,
                              struct unread record) {
    switch (header->type) {
    case ALERT:
        if (header->size != ALERT_BYTES)
            return false;
        read_alert(text, record);
        return true;
    case HANDSHAKE:
        return read_handshake(text, record);
    default:
        return false;
    }
}

/* Reads a record, of which the bytes that were captured are in `record`. */
static void read_record(struct summary *summary, const struct header *header,
                        struct unread record) {
    bool is_readable = false;
    if (header->type == CHANGE_CIPHER_SPEC) {
        add_item(summary->text, "ChangeCipherSpec");
        summary->encrypted = true;
        return;
    }
    if (!summary->encrypted)
        is_readable = read_clear_record(summary->text, header, record);
    if (!is_readable)
        summary->hidden += header->size;
}

const char *handshake_describe(const uint8_t *bytes, size_t captured,
                               size_t length, char *text) {
    struct unread unread = {bytes, captured};
    struct summary summary = {.text = text};
    size_t seen = 0; /* bytes of the records whose headers were captured */
    text[0] = '\0';
    while (unread.length >= RECORD_HEADER) {
        struct header header;
        header.type = read_number(&unread, 1);
        header.version = read_number(&unread, 2);
        header.size = read_number(&unread, 2);
        if (!is_tls(&header))
            return NULL;
        struct unread record = read_part(&unread, header.size);
        read_record(&summary, &header, record);
        seen += RECORD_HEADER + header.size;
    }
    if (seen == 0)
        return NULL;
    if (captured < length && seen < length)
        summary.hidden += length - seen; /* records that were not captured */
    if (summary.hidden > 0) {
        char what[48];
        (void)snprintf(what, sizeof what, "%zu encrypted bytes",
                       summary.hidden);
        add_item(text, what);
    }
    if (text[0] == '\0')
        return NULL;
    return text;
}
