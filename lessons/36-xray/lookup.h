/*
 * lookup: what a program asks the Domain Name System, and what it is told, in
 * words. Built by lesson 36, on dns.
 */
#ifndef XRAY_LOOKUP_H
#define XRAY_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What carries a message. In a stream its length stands before it, in two bytes
 * (RFC 1035, section 4.2.2). */
enum lookup_carrier {
    LOOKUP_DATAGRAM,
    LOOKUP_STREAM,
};

/*
 * Writes "DNS question www.example A", "DNS answer: 2 addresses" or "DNS
 * answer: NXDOMAIN", if the bytes are one such message from their first byte to
 * their last. Any port can be that of a name server, so the port tells nothing.
 * Returns whether they are; if not, nothing is written.
 */
bool lookup_write(FILE *out, const uint8_t *bytes, size_t length,
                  enum lookup_carrier carrier);

#endif
