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
    ALERT_BYTES = 2, /* one that is not encrypted */
    CLIENT_HELLO = 1,
    LONGEST_NAME = 64, /* of a name, so many characters are written */
    MAJOR_VERSION = 3, /* 0x0301 and so on: all of TLS */
    LAST_MINOR = 4,
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
struct rest {
    const uint8_t *bytes;
    size_t length;
};

/* Reads the number in the next bytes, the highest byte first. If there are
 * fewer bytes, returns 0, and nothing is left. */
static size_t take_number(struct rest *rest, size_t bytes) {
    size_t number = 0;
    if (rest->length < bytes) {
        rest->length = 0;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | rest->bytes[i];
    rest->bytes += bytes;
    rest->length -= bytes;
    return number;
}

/* Takes the next length bytes, or all that are left. */
static struct rest take(struct rest *rest, size_t length) {
    struct rest taken = {rest->bytes, rest->length};
    if (taken.length > length)
        taken.length = length;
    rest->bytes += taken.length;
    rest->length -= taken.length;
    return taken;
}

/* Appends to text, as far as there is room. */
static void append(char *text, const char *separator, const char *what) {
    size_t length = strlen(text);
    (void)snprintf(text + length, HANDSHAKE_TEXT_BYTES - length, "%s%s",
                   separator, what);
}

/* Appends a thing to the list of what a segment has. */
static void add(char *text, const char *what) {
    append(text, text[0] == '\0' ? "" : ", ", what);
}

/* ---- messages in the clear ------------------------------------------------*/

static char printable(uint8_t byte) {
    if (isalnum(byte) || byte == '.' || byte == '-')
        return (char)byte;
    return '?';
}

/* Appends " for NAME", if a ClientHello is whole and says which server is
 * meant. */
static void add_server_name(char *text, struct rest message) {
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
        name[i] = printable(hello.name.bytes[i]);
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

/* Reads the messages of a record, one after the other. Returns whether they
 * look like messages: if not, they are encrypted. */
static bool read_handshake(char *text, struct rest record) {
    while (record.length >= HANDSHAKE_HEADER) {
        struct rest header = record;
        size_t type = take_number(&header, 1);
        size_t length = take_number(&header, 3);
        struct rest message = take(&record, HANDSHAKE_HEADER + length);
        const char *name = name_of(type);
        if (name == NULL)
            return false;
        add(text, name);
        if (type == CLIENT_HELLO)
            add_server_name(text, message);
    }
    return true;
}

static void read_alert(char *text, struct rest record) {
    char what[32] = "alert close_notify";
    (void)take_number(&record, 1); /* its level means nothing any more */
    size_t number = take_number(&record, 1);
    if (number != 0)
        (void)snprintf(what, sizeof what, "alert %zu", number);
    add(text, what);
}

/* ---- records --------------------------------------------------------------*/

struct header {
    size_t type;
    size_t version;
    size_t size; /* of the record behind the header */
};

static bool is_tls(const struct header *header) {
    size_t major = header->version >> 8;
    size_t minor = header->version & 0xff;
    return header->type >= CHANGE_CIPHER_SPEC &&
           header->type <= APPLICATION_DATA && major == MAJOR_VERSION &&
           minor <= LAST_MINOR && header->size <= LONGEST_RECORD;
}

/* What is known of a segment's records so far. */
struct summary {
    char *text;
    bool encrypted; /* from ChangeCipherSpec on */
    size_t hidden;  /* bytes of encrypted records */
};

/* Reads a record, of which the bytes that were captured are in `record`. */
static void read_record(struct summary *summary, const struct header *header,
                        struct rest record) {
    bool hidden = summary->encrypted;
    if (header->type == CHANGE_CIPHER_SPEC) {
        add(summary->text, "ChangeCipherSpec");
        summary->encrypted = true;
        return;
    }
    if (!hidden && header->type == ALERT && header->size == ALERT_BYTES)
        read_alert(summary->text, record);
    else if (!hidden && header->type == HANDSHAKE)
        hidden = !read_handshake(summary->text, record);
    else
        hidden = true;
    if (hidden)
        summary->hidden += header->size;
}

const char *handshake_describe(const uint8_t *bytes, size_t captured,
                               size_t length, char *text) {
    struct rest rest = {bytes, captured};
    struct summary summary = {.text = text};
    size_t seen = 0;
    text[0] = '\0';
    while (rest.length >= RECORD_HEADER) {
        struct header header;
        header.type = take_number(&rest, 1);
        header.version = take_number(&rest, 2);
        header.size = take_number(&rest, 2);
        if (!is_tls(&header))
            return NULL;
        read_record(&summary, &header, take(&rest, header.size));
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
        add(text, what);
    }
    return text[0] == '\0' ? NULL : text;
}
