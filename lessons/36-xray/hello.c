#include "hello.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* RFC 8446, sections 4, 5.1 and 6; RFC 6066, section 3, for the name. */
enum {
    CHANGE_CIPHER_SPEC = 20,
    ALERT = 21,
    HANDSHAKE = 22,
    APPLICATION_DATA = 23,
    RECORD_HEADER = 5,
    LONGEST_RECORD = 16384 + 2048, /* TLS 1.2's; 1.3 has fewer */
    HANDSHAKE_HEADER = 4,
    CLIENT_HELLO = 1,
    FIXED_PART = 2 + 32, /* of ClientHello: version and random */
    SERVER_NAME = 0,
    LONGEST_NAME = 64, /* of what we print */
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

/* What has not been read yet. */
struct rest {
    const uint8_t *bytes;
    size_t length;
};

/* The number in the next so many bytes; 0 and nothing left when they lack. */
static size_t take_number(struct rest *rest, size_t bytes) {
    size_t number = 0;
    if (rest->length < bytes)
        rest->length = 0;
    else
        for (size_t i = 0; i < bytes; i++) {
            number = number << 8 | *rest->bytes++;
            rest->length--;
        }
    return number;
}

/* The next so many bytes, as far as they are there. */
static struct rest take(struct rest *rest, size_t length) {
    struct rest taken = {rest->bytes,
                         rest->length < length ? rest->length : length};
    rest->bytes += taken.length;
    rest->length -= taken.length;
    return taken;
}

/* Appends to text, as far as there is room. */
static void add(char *text, const char *what) {
    size_t length = strlen(text);
    (void)snprintf(text + length, HELLO_TEXT_BYTES - length, "%s%s",
                   length == 0 ? "" : ", ", what);
}

/* " for NAME", out of the extension that asks for it. */
static void add_name(char *text, struct rest extension) {
    char name[LONGEST_NAME + 8] = " for ";
    size_t length = strlen(name);
    (void)take_number(&extension, 2 + 1); /* the list's length, the kind */
    struct rest asked = take(&extension, take_number(&extension, 2));
    for (size_t i = 0; i < asked.length && i < LONGEST_NAME; i++) {
        int c = asked.bytes[i];
        name[length++] = (char)(isalnum(c) || c == '.' || c == '-' ? c : '?');
    }
    name[length] = '\0';
    length = strlen(text);
    if (asked.length > 0)
        (void)snprintf(text + length, HELLO_TEXT_BYTES - length, "%s", name);
}

static void read_client_hello(char *text, struct rest hello) {
    (void)take(&hello, FIXED_PART);
    (void)take(&hello, take_number(&hello, 1)); /* session */
    (void)take(&hello, take_number(&hello, 2)); /* ciphers */
    (void)take(&hello, take_number(&hello, 1)); /* compression */
    struct rest extensions = take(&hello, take_number(&hello, 2));
    while (extensions.length >= 4) {
        size_t type = take_number(&extensions, 2);
        struct rest one = take(&extensions, take_number(&extensions, 2));
        if (type == SERVER_NAME && one.length > 0)
            add_name(text, one);
    }
}

/* The messages of a record in the clear: one after the other. Returns whether
 * it looked like that. */
static bool read_handshake(char *text, struct rest record) {
    while (record.length >= HANDSHAKE_HEADER) {
        size_t type = take_number(&record, 1);
        struct rest message = take(&record, take_number(&record, 3));
        size_t i = 0;
        while (i < sizeof handshakes / sizeof handshakes[0] &&
               handshakes[i].type != type)
            i++;
        if (i == sizeof handshakes / sizeof handshakes[0])
            return false;
        add(text, handshakes[i].name);
        if (type == CLIENT_HELLO)
            read_client_hello(text, message);
    }
    return true;
}

static void read_alert(char *text, struct rest record) {
    char what[32];
    (void)take_number(&record, 1); /* its level, which nobody heeds any more */
    size_t number = take_number(&record, 1);
    (void)snprintf(what, sizeof what, "alert %zu", number);
    add(text, number == 0 ? "alert close_notify" : what);
}

const char *hello_describe(const uint8_t *bytes, size_t captured, size_t length,
                           char *text) {
    struct rest rest = {bytes, captured};
    size_t hidden = 0, seen = 0;
    bool secret = false;
    text[0] = '\0';
    while (rest.length >= RECORD_HEADER) {
        size_t type = take_number(&rest, 1);
        size_t version = take_number(&rest, 2);
        size_t size = take_number(&rest, 2);
        if (type < CHANGE_CIPHER_SPEC || type > APPLICATION_DATA ||
            version >> 8 != 3 || (version & 0xff) > 4 || size > LONGEST_RECORD)
            return NULL;
        struct rest record = take(&rest, size);
        seen += RECORD_HEADER + size;
        if (type == CHANGE_CIPHER_SPEC) {
            add(text, "ChangeCipherSpec");
            secret = true;
        } else if (type == ALERT && size == 2 && !secret) {
            read_alert(text, record);
        } else if (type == APPLICATION_DATA || secret || type == ALERT ||
                   !read_handshake(text, record)) {
            hidden += size;
        }
    }
    if (seen == 0)
        return NULL;
    if (length > seen && captured < length) /* records that we have not got */
        hidden += length - seen;
    if (hidden > 0) {
        char what[48];
        (void)snprintf(what, sizeof what, "%zu encrypted bytes", hidden);
        add(text, what);
    }
    return text[0] == '\0' ? NULL : text;
}
