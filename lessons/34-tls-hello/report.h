/*
 * report: prints what the first message of a client says, and a fingerprint of
 * it. Built by lesson 34.
 *
 * All threads print to standard output. A report belongs to one of them until
 * it is complete.
 */
#ifndef TLS_HELLO_REPORT_H
#define TLS_HELLO_REPORT_H

#include "client.h"

#include <stddef.h>
#include <stdint.h>

/* Begins a report: until report_end, other threads that print have to wait. */
void report_begin(void);

/* Ends a report, and writes it. When it cannot be written, that is said on
 * standard error, and the client still gets its connection. */
void report_end(void);

/* Writes length bytes of the message. They may be anything, so only those that
 * stand in names are printed as they are, and "?" for each of the others. */
void report_print_text(const uint8_t *bytes, size_t length);

/*
 * Prints what the client's ClientHello says, as one report. hello_parse must
 * have filled in client->hello. The last line is a fingerprint: the beginning
 * of a SHA-256 of lists that are the same in each connection of most programs.
 * If there is no memory for that, the line says "unknown". If OpenSSL fails
 * later, this function ends the program.
 */
void report_hello(const struct client *client);

#endif
