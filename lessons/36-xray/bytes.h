/*
 * bytes: data as a reader can read it: as text where it is text, or else as
 * hexadecimal digits. Built by lesson 36.
 */
#ifndef XRAY_BYTES_H
#define XRAY_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    BYTES_AS_TEXT = 24,  /* bytes of a text that are shown at the most */
    BYTES_AS_HEX = 12,   /* bytes of anything else that are shown at the most */
    BYTES_AS_SHORT = 64, /* bytes of a name in a message, at the most */
};

/*
 * Writes the first bytes of data that is length bytes long, of which at_hand
 * are known: as a C string, "hello\n", or as <0102> if more than a quarter of
 * them are not printable. Three dots follow if not all of length is shown.
 */
void bytes_write(FILE *out, const uint8_t *bytes, size_t at_hand,
                 size_t length);

/* Writes a name of count bytes, of a file or of a socket. Bytes that are not
 * printable are written as in a C string: \x01. */
void bytes_write_name(FILE *out, const uint8_t *bytes, size_t count);

/* The same for a name that is part of a message. If it is longer than
 * BYTES_AS_SHORT, the end is left out, and three dots stand for it. */
void bytes_write_short(FILE *out, const uint8_t *bytes, size_t count);

#endif
