/*
 * arrow: the rows of an arrow, and its label, which says what was sent and may
 * be too long for it. Built by lesson 36.
 */
#ifndef XRAY_ARROW_H
#define XRAY_ARROW_H

#include <stddef.h>
#include <stdint.h>

#include "picture.h"
#include "row.h"

/*
 * Adds the rows of a segment or a message: the arrow, and below it what has no
 * room in its label, and what the extra of the event says. since is the time of
 * the event, in nanoseconds since the picture's beginning. The rows belong to
 * rows. If memory runs out, some are missing, and rows->lacks_some says so.
 */
void arrow_add_rows(struct rows *rows, const struct picture *picture,
                    const struct picture_event *event, int64_t since);

/*
 * Shortens the label of an arrow to room characters, 11 at the least, if it is
 * longer. Of a label with a name, the flags are left out first: "GET /
 * HTTP/1.1" is left of "PSH ACK GET / HTTP/1.1"; and then the number of
 * acknowledgements. If that is not enough, the label is cut between two words,
 * and three dots stand for what is left out. If it ends with a number of bytes
 * or of acknowledgements, that is kept where there is room. Writes to shown,
 * which has ROW_TEXT_BYTES; returns how long that is.
 */
size_t arrow_shorten_label(const char *label, size_t room, char *shown);

#endif
