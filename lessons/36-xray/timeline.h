/*
 * timeline: makes the rows of a picture, in the order of time. Built by lesson
 * 36.
 */
#ifndef XRAY_TIMELINE_H
#define XRAY_TIMELINE_H

#include <stddef.h>

#include "picture.h"
#include "row.h"

/*
 * Makes the rows of a picture whose columns are width characters wide, 16 at
 * the least. Returns 0; or -1 and ENOMEM, and some rows are missing then. The
 * caller gives them to row_free in either case, before it frees the picture.
 */
int timeline_make(struct rows *rows, const struct picture *picture,
                  size_t width, enum row_states states);

#endif
