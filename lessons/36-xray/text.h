/*
 * text: draws a picture as text, for a terminal. Built by lesson 36.
 */
#ifndef XRAY_TEXT_H
#define XRAY_TEXT_H

#include <stdio.h>

#include "picture.h"

/* Which characters lines and arrows are made of. */
enum text_characters {
    TEXT_ASCII,   /* | - < > */
    TEXT_UNICODE, /* the lines of a terminal, in UTF-8 */
};

/*
 * Draws a picture, width characters wide, 40 at the least. If its columns would
 * be narrower than 16 characters, it becomes wider: so wide that no word in the
 * text of a call is cut. Returns 0; or -1 and
 * ENOMEM, and something is missing in it then.
 */
int text_draw(FILE *out, const struct picture *picture, size_t width,
              enum text_characters characters);

#endif
