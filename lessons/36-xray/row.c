/* row: the rows of a picture, and the places of its columns. */
#include "row.h"

#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"

enum { FIRST_ROOM = 64 }; /* rows */

/* ---- places ---------------------------------------------------------------*/

static bool has_strangers(const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        if (event->column == PICTURE_NOBODY)
            return true;
        if (picture_is_arrow(event) && event->to == PICTURE_NOBODY)
            return true;
    }
    return false;
}

size_t row_places(const struct picture *picture) {
    if (has_strangers(picture))
        return picture->columns + 1;
    return picture->columns;
}

size_t row_place_of(const struct picture *picture, int column) {
    if (column == PICTURE_NOBODY)
        return picture->columns;
    return picture->columns - 1 - (size_t)column;
}

const char *row_name_at(const struct picture *picture, size_t place) {
    int column = PICTURE_NOBODY;
    if (place < picture->columns)
        column = (int)(picture->columns - 1 - place);
    return picture_name(picture, column);
}

const char *row_format_name(const struct picture *picture, size_t place,
                            size_t room, char *text) {
    (void)snprintf(text, ROW_TEXT_BYTES, "%s", row_name_at(picture, place));
    utf8_shorten(text, room);
    return text;
}

/* ---- rows -----------------------------------------------------------------*/

struct row *row_add(struct rows *rows) {
    if (rows->count == rows->room) {
        size_t room = rows->room * 2;
        if (room == 0)
            room = FIRST_ROOM;
        struct row *all = realloc(rows->all, room * sizeof *all);
        if (all == NULL) {
            rows->lacks_some = true;
            return NULL;
        }
        rows->all = all;
        rows->room = room;
    }
    struct row *row = &rows->all[rows->count];
    *row = (struct row){.state = ""};
    rows->count++;
    return row;
}

void row_format_time(const struct row *row, char *text, size_t size) {
    text[0] = '\0';
    if (row->has_time)
        (void)snprintf(text, size, "%7.2f", (double)row->since / 1e6);
}

void row_format_state(const struct row *row, char *text, size_t size) {
    bool has_state = row->state[0] != '\0';
    if (row->unacknowledged == 0)
        (void)snprintf(text, size, "%s", row->state);
    else if (has_state)
        (void)snprintf(text, size, "%s, %u unacked", row->state,
                       row->unacknowledged);
    else
        (void)snprintf(text, size, "%u unacked", row->unacknowledged);
}

bool row_is_arrow(const struct row *row) {
    return row->kind == ROW_ARROW || row->kind == ROW_MESSAGE;
}

void row_free(struct rows *rows) {
    free(rows->all);
    *rows = (struct rows){0};
}
