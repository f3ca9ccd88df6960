/*
 * entry: the rows of a text that stands in a column of a picture, such as a
 * call, and the state of its socket. Built by lesson 36.
 */
#ifndef XRAY_ENTRY_H
#define XRAY_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "picture.h"
#include "row.h"

/* A text that stands at one place, for an event. */
struct entry {
    const struct picture_event *event;
    size_t place;  /* see row.h */
    int64_t since; /* nanoseconds since the picture's beginning */
    enum row_part part;
    bool is_of_connection; /* if the event is */
};

/*
 * Adds a text on as many rows as it needs; text must not be empty. At the end
 * of a call, the state of its socket stands behind the text or below it. The
 * rows belong to rows, and keep no pointer to text. If memory runs out, some
 * are missing, and rows->lacks_some says so.
 */
void entry_add_rows(struct rows *rows, const struct entry *entry,
                    const char *text);

/* How wide a column must be at the least so that no word in the text of a call
 * is cut, such as SOCK_CLOEXEC: 16 characters or more. */
size_t entry_least_width(const struct picture *picture);

#endif
