/*
 * layout: makes a picture of a record: which process gets which column, and
 * between which of them each segment went. Built by lesson 36.
 */
#ifndef XRAY_LAYOUT_H
#define XRAY_LAYOUT_H

#include "picture.h"
#include "record.h"

/*
 * Moves what the record has of calls, notes and segments into *picture, which
 * must be empty, in the order of time. Processes that use sockets get a column
 * each, up to six; a process that comes later is drawn in the column of the one
 * that made it. The record keeps its processes, now with their columns, and its
 * uses; record->no_memory says if something is missing.
 */
void layout_make(struct record *record, struct picture *picture);

/* The column of a place, or PICTURE_NOBODY. */
int layout_column(const struct record *record, struct record_place place);

#endif
