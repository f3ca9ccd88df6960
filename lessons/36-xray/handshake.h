/*
 * handshake: what can be seen of TLS on the wire: its handshake, the name of
 * the server, and how many bytes are encrypted. Built by lesson 36.
 */
#ifndef XRAY_HANDSHAKE_H
#define XRAY_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

enum { HANDSHAKE_TEXT_BYTES = 256 };

/*
 * Describes the bytes of a segment, which is length bytes long and of which
 * captured bytes are at hand, if TLS records begin there (RFC 8446, section
 * 5.1): "ClientHello for example.com", "ServerHello, ChangeCipherSpec, 1203
 * encrypted bytes". Returns text, which has HANDSHAKE_TEXT_BYTES, or NULL if
 * these are no TLS records. In a name, "?" stands for each byte that is not a
 * letter, a digit, a dot or a hyphen.
 */
const char *handshake_describe(const uint8_t *bytes, size_t captured,
                               size_t length, char *text);

#endif
