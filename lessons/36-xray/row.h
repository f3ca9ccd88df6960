/*
 * row: a picture as rows of text and arrows, which text and svg both draw.
 * Built by lesson 36. The module timeline makes the rows of a picture.
 *
 * The columns of a picture stand at places, which are numbered from the left. A
 * text that is too long for its column takes several rows.
 */
#ifndef XRAY_ROW_H
#define XRAY_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "picture.h"

enum { ROW_TEXT_BYTES = 512 };

enum row_kind {
    ROW_CALL,    /* a call, or a part of one */
    ROW_NOTE,    /* something else that happened to a process */
    ROW_ARROW,   /* a segment, from one place to another */
    ROW_LABEL,   /* what stands below an arrow */
    ROW_REPORT,  /* what is sent, but to no other place in the picture */
    ROW_MESSAGE, /* an arrow that crosses no wire: its line is broken */
};

/* Which part of an event a row begins with. */
enum row_part {
    ROW_NOTHING,   /* none: it goes on with what the row above began */
    ROW_WHOLE,     /* all of it */
    ROW_BEGINNING, /* of a call that returns later, or never */
    ROW_RETURN,    /* of a call that has begun before */
};

struct row {
    enum row_kind kind;
    enum row_part part;
    const struct picture_event *event; /* of the picture; NULL if the part is
                                          ROW_NOTHING */
    bool has_time;  /* false in the second row of a text that takes several */
    int64_t since;  /* nanoseconds since the picture's beginning */
    size_t from;    /* the place of a text, or where an arrow begins */
    size_t to;      /* where an arrow ends */
    bool both_ways; /* of an arrow: it has a head at each end */
    char text[ROW_TEXT_BYTES];
    unsigned connection; /* its number, or 0: see picture_event */
    char mark;           /* its letter, or 0; an arrow has it in its text, and
                            0 here */
    const char *state;   /* at the right edge of the column; "" for none */
    unsigned unacknowledged;
};

/* Where a row says in which state the socket of its call is. */
enum row_states {
    ROW_ALL_STATES,    /* after each call */
    ROW_STATE_CHANGES, /* after a call that finds it in another state */
};

struct rows {
    struct row *all; /* malloc(3)ed */
    size_t count;
    size_t room;
    size_t width; /* of a column, in characters */
    enum row_states states;
    bool lacks_some; /* rows are missing, because memory ran out */
};

/* How many places there are: one for each column, and one more if the picture
 * has segments to or from a process that we do not watch. */
size_t row_places(const struct picture *picture);

/* The place of a column, or of PICTURE_NOBODY. The last column stands at the
 * left, and those that we do not watch at the right of all columns. */
size_t row_place_of(const struct picture *picture, int column);

/* The name of the column at a place. */
const char *row_name_at(const struct picture *picture, size_t place);

/* Writes that name to text, which has ROW_TEXT_BYTES, shortened to room
 * characters, 3 at the least. Returns text. */
const char *row_format_name(const struct picture *picture, size_t place,
                            size_t room, char *text);

/* Adds a row at the end: a ROW_CALL in which all else is 0, with the state "".
 * Returns the row, which is good until the next one is added; or NULL and
 * ENOMEM, and then rows->lacks_some says so. */
struct row *row_add(struct rows *rows);

/* Writes the row's time in milliseconds, 7 characters wide at the least, or
 * nothing if it has none. */
void row_format_time(const struct row *row, char *text, size_t size);

/* Writes the row's state: "ESTABLISHED, 100 unacked", "100 unacked" where the
 * state is told further above, or nothing. */
void row_format_state(const struct row *row, char *text, size_t size);

/* Whether it is drawn as an arrow. */
bool row_is_arrow(const struct row *row);

/* Frees all rows, and leaves none. */
void row_free(struct rows *rows);

#endif
