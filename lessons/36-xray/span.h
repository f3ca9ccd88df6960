/*
 * span: what lasts over several rows of a picture: that a process sleeps in a
 * call, and that a socket is in a state. Built by lesson 36.
 */
#ifndef XRAY_SPAN_H
#define XRAY_SPAN_H

#include <stdbool.h>
#include <stddef.h>

#include "picture.h"
#include "row.h"

struct span {
    const struct picture_event *event; /* the call that begins it, or after
                                          which it begins */
    size_t place;                      /* see row.h */
    size_t lane;  /* of a state; two states at the same time and place have
                     different lanes */
    size_t first; /* the row where it begins */
    size_t end;   /* the first row that is no longer part of it; or the number
                     of rows */
    bool is_open; /* its end was not found in the rows that were looked at */
};

struct spans {
    struct span *all; /* malloc(3)ed */
    size_t count;
    size_t room;
};

/*
 * Finds where processes sleep: from the row where the call begins to that where
 * it returns, or where the process ends, or to the last one. Returns 0; or -1
 * and ENOMEM, and some are missing then. The caller gives them to span_free in
 * either case.
 */
int span_find_sleeps(struct spans *spans, const struct rows *rows);

/*
 * Finds which states the sockets are in, by what was seen after each call: from
 * the row of that call to that of the next one which finds another state, or
 * where the process ends, or to the last row. A state that is seen after
 * close(2) is the last one of its socket, and lasts for that row. A place has
 * so many lanes, and a socket that finds none free is left out. Returns as
 * span_find_sleeps does.
 */
int span_find_states(struct spans *spans, const struct rows *rows,
                     size_t lanes);

/* Whether a row is part of any of the spans at a place. */
bool span_covers(const struct spans *spans, size_t place, size_t row);

void span_free(struct spans *spans);

#endif
