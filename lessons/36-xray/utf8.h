/*
 * utf8: characters that are not ASCII, in the names of actors. Built by
 * lesson 36.
 */
#ifndef XRAY_UTF8_H
#define XRAY_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_INVALID = 0xfffd }; /* the character that Unicode has for it */

/*
 * Reads the next character of a text that is not at its end, and moves *text
 * behind it. Returns UTF8_INVALID for a byte that no character begins with, and
 * for one that is cut or written too long (RFC 3629, sections 3 and 4).
 */
uint32_t utf8_next(const char **text);

/*
 * Copies a text with what cannot be drawn written in ASCII: a control character
 * of ASCII and a byte that is not UTF-8 as \x1b; any other control character,
 * and one that is not seen but changes how others are seen, as \u202e. Writes
 * to out, which has size bytes, as much as has room there, and a final NUL.
 * Returns the length of the whole copy, as snprintf(3) does.
 */
size_t utf8_escape(const char *text, char *out, size_t size);

/*
 * Shortens a text in place to room characters, 3 at the least, if it has more:
 * three dots stand for what is left out of its middle. So two texts that differ
 * only at their ends, "client 2" and "client 3", still differ.
 */
void utf8_shorten(char *text, size_t room);

#endif
