/*
 * row: a picture as rows of text and arrows, which text and svg both draw.
 * Built by lesson 36.
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

/* The name of the column at a place. */
const char *row_name_at(const struct picture *picture, size_t place);

/* Writes that name to text, which has ROW_TEXT_BYTES, shortened to room
 * characters, 3 at the least. Returns text. */
const char *row_format_name(const struct picture *picture, size_t place,
                            size_t room, char *text);

/* How wide a column must be at the least so that no word in the text of a call
 * is cut, such as SOCK_CLOEXEC: 16 characters or more. */
size_t row_least_width(const struct picture *picture);

/*
 * Makes the rows of a picture whose columns are width characters wide, 16 at
 * the least. Returns 0; or -1 and ENOMEM, and some rows are missing then. The
 * caller gives them to row_free in either case, before it frees the picture.
 */
int row_make(struct rows *rows, const struct picture *picture, size_t width,
             enum row_states states);

/* Writes the row's time in milliseconds, 7 characters wide at the least, or
 * nothing if it has none. */
void row_format_time(const struct row *row, char *text, size_t size);

/* Writes the row's state: "ESTABLISHED, 100 unacked", "100 unacked" where the
 * state is told further above, or nothing. */
void row_format_state(const struct row *row, char *text, size_t size);

/*
 * Shortens the label of an arrow to room characters, 11 at the least, if it is
 * longer. Of a label with a name, the flags are left out first: "GET /
 * HTTP/1.1" is left of "PSH ACK GET / HTTP/1.1"; and then the number of
 * acknowledgements. If that is not enough, the label is cut between two words,
 * and three dots stand for what is left out. If it ends with a number of bytes
 * or of acknowledgements, that is kept where there is room. Writes to shown,
 * which has ROW_TEXT_BYTES; returns how long that is.
 */
size_t row_shorten(const char *label, size_t room, char *shown);

/* Whether it is drawn as an arrow. */
bool row_is_arrow(const struct row *row);

void row_free(struct rows *rows);

#endif
