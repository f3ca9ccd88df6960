#include "span.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

/* ---- spans ----------------------------------------------------------------*/

/* Opens a span at a row, in a lane: until it is closed, it goes on to the last
 * row. Returns 0; or -1 and ENOMEM. */
static int open_span(struct spans *spans, const struct rows *rows, size_t row,
                     size_t lane) {
    if (spans->count == spans->room) {
        size_t room = spans->room * 2;
        if (room == 0)
            room = FIRST_ROOM;
        struct span *all = realloc(spans->all, room * sizeof *all);
        if (all == NULL)
            return -1;
        spans->all = all;
        spans->room = room;
    }
    spans->all[spans->count] = (struct span){.event = rows->all[row].event,
                                             .place = rows->all[row].from,
                                             .lane = lane,
                                             .first = row,
                                             .end = rows->count,
                                             .is_open = true};
    spans->count++;
    return 0;
}

static void close_span(struct span *span, size_t end) {
    span->end = end;
    span->is_open = false;
}

/* Closes all spans of a place, whose process ends in that row. */
static void close_place(struct spans *spans, size_t place, size_t row) {
    for (size_t i = 0; i < spans->count; i++)
        if (spans->all[i].is_open && spans->all[i].place == place)
            close_span(&spans->all[i], row);
}

bool span_covers(const struct spans *spans, size_t place, size_t row) {
    for (size_t i = 0; i < spans->count; i++) {
        const struct span *span = &spans->all[i];
        if (span->place == place && span->first <= row && row < span->end)
            return true;
    }
    return false;
}

void span_free(struct spans *spans) {
    free(spans->all);
    *spans = (struct spans){0};
}

/* ---- sleep ----------------------------------------------------------------*/

/* Closes the span of a call that has returned. */
static void close_call(struct spans *spans, const struct picture_event *event,
                       size_t row) {
    for (size_t i = 0; i < spans->count; i++)
        if (spans->all[i].event == event)
            close_span(&spans->all[i], row);
}

int span_find_sleeps(struct spans *spans, const struct rows *rows) {
    int result = 0;
    *spans = (struct spans){0};
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->all[i];
        if (row->part == ROW_NOTHING)
            continue;
        if (row->event->ends)
            close_place(spans, row->from, i);
        if (row->part == ROW_RETURN)
            close_call(spans, row->event, i);
        if (row->part == ROW_BEGINNING && row->event->slept) {
            if (open_span(spans, rows, i, 0) < 0)
                result = -1;
        }
    }
    return result;
}

/* ---- states ---------------------------------------------------------------*/

/* The open span of a socket at a place, or NULL. */
static struct span *find_socket(const struct spans *spans, size_t place,
                                uint64_t socket) {
    for (size_t i = 0; i < spans->count; i++) {
        struct span *span = &spans->all[i];
        if (span->is_open && span->place == place &&
            span->event->socket == socket)
            return span;
    }
    return NULL;
}

/* Whether no span that is open is in a lane of a place. */
static bool is_free(const struct spans *spans, size_t place, size_t lane) {
    for (size_t i = 0; i < spans->count; i++) {
        const struct span *span = &spans->all[i];
        if (span->is_open && span->place == place && span->lane == lane)
            return false;
    }
    return true;
}

/* The first lane that is free at a place; or `lanes` if none is. */
static size_t find_lane(const struct spans *spans, size_t place, size_t lanes) {
    size_t lane = 0;
    while (lane < lanes && !is_free(spans, place, lane))
        lane++;
    return lane;
}

/* Where a socket is in another state from a row on, closes the span of the old
 * state and opens one of the new state, in the same lane. Returns 0; or -1 and
 * ENOMEM. */
static int change_state(struct spans *spans, const struct rows *rows,
                        size_t row, size_t lanes) {
    const struct picture_event *event = rows->all[row].event;
    size_t place = rows->all[row].from;
    bool has_state = event->state[0] != '\0';
    bool is_known = has_state || event->closes;
    struct span *span = find_socket(spans, place, event->socket);
    size_t lane;
    if (!is_known)
        return 0; /* the state was not seen, so it may be the old one */
    if (span == NULL) {
        lane = find_lane(spans, place, lanes);
    } else {
        lane = span->lane;
        if (strcmp(span->event->state, event->state) == 0)
            return 0;
        close_span(span, row);
    }
    if (!has_state)
        return 0; /* the socket is closed */
    if (lane == lanes)
        return 0; /* no lane is free */
    return open_span(spans, rows, row, lane);
}

/* Closes the span of the socket that close(2) has closed in a row. */
static void close_socket(struct spans *spans, const struct row *row,
                         size_t end) {
    struct span *span = find_socket(spans, row->from, row->event->socket);
    if (span != NULL)
        close_span(span, end);
}

/* Whether a row shows what was seen of a socket after a call. */
static bool shows_socket(const struct row *row) {
    bool is_at_end = row->part == ROW_WHOLE || row->part == ROW_RETURN;
    return is_at_end && row->event->socket != 0;
}

int span_find_states(struct spans *spans, const struct rows *rows,
                     size_t lanes) {
    int result = 0;
    *spans = (struct spans){0};
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->all[i];
        if (row->part == ROW_NOTHING)
            continue;
        if (row->event->ends)
            close_place(spans, row->from, i);
        if (!shows_socket(row))
            continue;
        if (change_state(spans, rows, i, lanes) < 0)
            result = -1;
        /* The last state of the socket lasts for this row. */
        if (row->event->closes)
            close_socket(spans, row, i + 1);
    }
    return result;
}
