/*
 * hello: what can be seen of TLS on the wire: who is asked for, and how much is
 * hidden. Built by lesson 36.
 */
#ifndef COMMON_HELLO_H
#define COMMON_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum { HELLO_TEXT_BYTES = 256 };

/*
 * Describes a segment's bytes, of which captured are at hand out of length, if
 * TLS records begin there (RFC 8446, section 5.1): "ClientHello for
 * example.com", "ServerHello, ChangeCipherSpec, 1203 encrypted bytes". Returns
 * text, which has HELLO_TEXT_BYTES, or NULL when they are no such records.
 * Names are printed as they came, but for bytes that are no letters, digits,
 * dots or hyphens: "?".
 */
const char *hello_describe(const uint8_t *bytes, size_t captured, size_t length,
                           char *text);

#endif
