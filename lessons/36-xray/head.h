/*
 * head: the first line of a message of HTTP, which says what is wanted, or what
 * has become of it. Built by lesson 36, on http.
 */
#ifndef XRAY_HEAD_H
#define XRAY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Writes "GET /index.html HTTP/1.1" or "HTTP/1.1 200 OK", if the bytes begin
 * with such a line, up to its end: RFC 9112, sections 3 and 4. What follows it
 * is not read, because the other lines may come in other segments. Returns
 * whether they do; if not, nothing is written.
 */
bool head_write(FILE *out, const uint8_t *bytes, size_t length);

#endif
