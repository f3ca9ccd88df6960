/*
 * svg: draws a picture as an image, for a web page. Built by lesson 36.
 */
#ifndef XRAY_SVG_H
#define XRAY_SVG_H

#include <stdio.h>

#include "picture.h"

/*
 * Draws a picture as SVG, with light colours or dark ones as the reader has
 * chosen, and without any script. Rows beyond the first 1000 are counted, not
 * drawn. Returns 0; or -1 and ENOMEM, and something is missing in it then.
 */
int svg_draw(FILE *out, const struct picture *picture);

#endif
