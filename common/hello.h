/*
 * hello: reads a ClientHello, the first message that a TLS client sends. It is
 * not encrypted. Built by lesson 34.
 *
 * Nothing here touches a socket, and no length in the message is believed. A
 * section number without another name is one of RFC 8446.
 */
#ifndef COMMON_HELLO_H
#define COMMON_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HELLO_MESSAGE_BYTES = 16384, /* we read no longer message */
    HELLO_EXTENSIONS = 128,      /* and not more extensions */
};

/* What the first bytes of a connection are. */
enum hello_kind {
    HELLO_WHOLE,      /* a ClientHello, and all of it is there */
    HELLO_UNFINISHED, /* the beginning of one: more bytes must come */
    HELLO_NO_TLS,     /* something else: no message of TLS, or another one */
    HELLO_TOO_LONG,   /* a ClientHello, but longer than we want to read */
};

/* Numbers of two bytes each, as they stand in the message. */
struct hello_list {
    const uint8_t *bytes;
    size_t count;
};

/* Bytes of the message. */
struct hello_text {
    const uint8_t *bytes;
    size_t length;
};

/*
 * What a ClientHello says. All lists and texts point into the message, so they
 * are good for as long as the message is. A list that is missing has the count
 * 0, and a text that is missing has the length 0.
 */
struct hello {
    unsigned version;            /* an old field: 0x0303 in all new clients */
    struct hello_list suites;    /* cipher suites: section 4.1.2 */
    struct hello_list versions;  /* section 4.2.1 */
    struct hello_list groups;    /* for the key exchange: section 4.2.7 */
    struct hello_text name;      /* the server's: RFC 6066, section 3 */
    struct hello_text protocols; /* ALPN: RFC 7301. Each has its length, in one
                                    byte, before it; this has been checked */
    bool has_inner_hello;        /* the true one is encrypted: ECH */
    size_t extension_count;
    uint16_t extensions[HELLO_EXTENSIONS]; /* their types, in their order */
};

/*
 * Looks at the first length bytes of a connection. TLS sends messages in
 * records, and one message may lie in several of them (section 5.1). If the
 * kind is HELLO_WHOLE, the message without the headers of the records is in
 * message, which has room for HELLO_MESSAGE_BYTES, and *message_length says how
 * long it is. Otherwise both have no meaning.
 */
enum hello_kind hello_collect(const uint8_t *bytes, size_t length,
                              uint8_t *message, size_t *message_length);

/*
 * Reads the message of a ClientHello, which has length bytes.
 *
 * Returns 0, or -1 with errno EBADMSG when the message is damaged: a length in
 * it leads outside, a list of numbers has an odd length, the name is empty or
 * of an unknown kind, bytes are left behind the extensions, an extension comes
 * twice, or it has too many of them. Then *hello has no meaning.
 */
int hello_parse(struct hello *hello, const uint8_t *message, size_t length);

/* Returns a number of the list. The first has the index 0, and the index is
 * less than list->count. */
unsigned hello_number(const struct hello_list *list, size_t index);

/* Returns whether a number is one of those that mean nothing. Browsers send
 * them, so that servers stay able to ignore what they do not know: RFC 8701. */
bool hello_is_grease(unsigned number);

#endif
