/*
 * fold: makes one row of several that are the same in most pictures, so that a
 * reader sees the others. Built by lesson 36.
 */
#ifndef XRAY_FOLD_H
#define XRAY_FOLD_H

#include "picture.h"

/*
 * Folds in a sorted picture:
 * - three and more calls of a column in a row, which returned at once and did
 *   not fail, before the first packet of that column: to a note,
 *   "set-up: 6 calls";
 * - the three segments of a TCP handshake: to an arrow with two heads;
 * - a segment that only acknowledges: to the arrow that it answers, which then
 *   says "+ ACK".
 * Returns 0; or -1 and ENOMEM, and some are not folded then.
 */
int fold_picture(struct picture *picture);

#endif
