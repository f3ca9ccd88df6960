/*
 * wrap: where a text that is too long for its row is cut, and goes on in the
 * next row. Built by lesson 36. No function here writes anything, and none can
 * fail.
 */
#ifndef XRAY_WRAP_H
#define XRAY_WRAP_H

#include <stdbool.h>
#include <stddef.h>

/* Stands for what is left out of a label, and behind a call that waits. There,
 * no row begins with it if the text can be cut elsewhere. */
#define WRAP_DOTS " ..."

/* How many characters of a text stand in a row that begins with its part
 * `next`, and has room for `room` of them. Data can be cut anywhere. */
size_t wrap_length(const char *text, const char *next, size_t room);

/* What of a text follows after a row of length characters. The end of that row
 * stands for a blank. */
const char *wrap_rest(const char *text, size_t length);

/*
 * The last place within room characters of a longer text where a reader expects
 * the end of a line: before a blank; or if there is no such blank, behind a
 * parenthesis or the bar between two flags; or if there is none of these,
 * before any blank. Returns 0 if there is no such place in the last two thirds.
 */
size_t wrap_find_break(const char *text, size_t room);

/*
 * The last place within room characters of a longer text where one that has no
 * better place can be cut without cutting a word: before a blank, or behind a
 * parenthesis or a bar; or if there is none, at a joint in an address, a path
 * or a name; or if there is none either, at a joint in a constant. Returns 0 if
 * there is no such place.
 */
size_t wrap_find_joint(const char *text, size_t room);

/* The last place within room characters of a longer text that is in no escaped
 * character: "\n" and "\x1b" in quoted data are one character each. */
size_t wrap_last_whole_character(const char *text, size_t room);

/* Whether the first length characters of a text end within quoted data. */
bool wrap_is_in_quotes(const char *text, size_t length);

#endif
