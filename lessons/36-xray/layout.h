/*
 * layout: makes a picture of a record: which process gets which column, and
 * between which of them each segment went. Built by lesson 36.
 */
#ifndef XRAY_LAYOUT_H
#define XRAY_LAYOUT_H

#include <stdbool.h>

#include "picture.h"
#include "record.h"

/*
 * Moves what the record has of calls, notes and segments into *picture, which
 * must be empty, in the order of time. There are six columns at the most. First
 * each actor gets one, and then each other process that uses sockets. A process
 * for which no column is left is drawn in the column of the process that made
 * it; or if that has none, in another one of its actor. The record keeps its
 * processes, now with their columns, and its uses; record->no_memory says if
 * something is missing.
 */
void layout_make(struct record *record, struct picture *picture);

/* Whether an actor has a column in the picture, or has done nothing. */
bool layout_is_drawn(const struct record *record, const char *actor);

/* The column of a place, or PICTURE_NOBODY. */
int layout_column(const struct record *record, struct record_place place);

#endif
