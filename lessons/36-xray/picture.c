#define _GNU_SOURCE

#include "picture.h"

#include <stdlib.h>
#include <string.h>

enum { FEWEST_FOLDED = 3 }; /* calls that are the same */

static int compare_events(const void *left, const void *right) {
    const struct picture_event *one = left;
    const struct picture_event *other = right;
    if (one->began < other->began)
        return -1;
    if (one->began > other->began)
        return 1;
    return 0;
}

bool picture_is_arrow(const struct picture_event *event) {
    return event->kind == PICTURE_SEGMENT || event->kind == PICTURE_MESSAGE;
}

void picture_sort(struct picture *picture) {
    if (picture->count > 0)
        qsort(picture->events, picture->count, sizeof picture->events[0],
              compare_events);
}

/* ---- calls that are the same ----------------------------------------------*/

/* Whether an event is a call that returned at once. */
static bool is_short_call(const struct picture_event *event) {
    return event->kind == PICTURE_CALL && event->result != NULL &&
           !event->waited;
}

/* Whether two events are short calls that a reader cannot tell apart. */
static bool is_same(const struct picture_event *one,
                    const struct picture_event *other) {
    if (!is_short_call(one) || !is_short_call(other))
        return false;
    return one->column == other->column &&
           strcmp(one->state, other->state) == 0 &&
           strcmp(one->text, other->text) == 0 &&
           strcmp(one->result, other->result) == 0;
}

/* How many events from the first on are the same as the first: 1 at least, and
 * count at most. */
static size_t count_same(const struct picture_event *first, size_t count) {
    size_t same = 1;
    while (same < count && is_same(first, first + same))
        same++;
    return same;
}

/* Of count events that are the same, the first stays. Makes the second a note
 * about how many followed, and frees the texts of all others. Returns 0; or -1
 * and ENOMEM, and then all are as they were. */
static int fold_same(struct picture_event *events, size_t count) {
    struct picture_event note = {.kind = PICTURE_NOTE,
                                 .column = events[1].column,
                                 .to = PICTURE_NOBODY,
                                 .began = events[1].began,
                                 .ended = events[1].ended,
                                 .state = ""};
    note.result = strdup("");
    if (note.result == NULL)
        return -1;
    if (asprintf(&note.text, "the same %zu times more", count - 1) < 0) {
        free(note.result);
        return -1;
    }
    for (size_t i = 1; i < count; i++) {
        free(events[i].text);
        free(events[i].result);
    }
    events[1] = note;
    return 0;
}

int picture_fold(struct picture *picture) {
    int result = 0;
    size_t kept = 0; /* events, which stand at the array's beginning */
    size_t next = 0; /* the first event that was not looked at */
    while (next < picture->count) {
        struct picture_event *first = &picture->events[next];
        size_t same = count_same(first, picture->count - next);
        size_t remaining = same;
        if (same >= FEWEST_FOLDED) {
            if (fold_same(first, same) == 0)
                remaining = 2; /* the first event, and the note */
            else
                result = -1;
        }
        memmove(&picture->events[kept], first, remaining * sizeof *first);
        kept += remaining;
        next += same;
    }
    picture->count = kept;
    return result;
}

/* ---- the list -------------------------------------------------------------*/

const char *picture_name(const struct picture *picture, int column) {
    if (column == PICTURE_NOBODY)
        return "others";
    return picture->names[column];
}

int64_t picture_beginning(const struct picture *picture) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < picture->count; i++)
        if (picture->events[i].began < first)
            first = picture->events[i].began;
    return first;
}

static void write_report(FILE *out, const struct picture *picture,
                         const struct picture_event *event) {
    (void)fprintf(out, "wire\t%s > routers\t%s\n",
                  picture_name(picture, event->column), event->text);
}

static void write_arrow(FILE *out, const struct picture *picture,
                        const struct picture_event *event) {
    const char *kind = "wire";
    if (event->kind == PICTURE_MESSAGE)
        kind = "message";
    (void)fprintf(out, "%s\t%s > %s\t", kind,
                  picture_name(picture, event->column),
                  picture_name(picture, event->to));
    if (event->mark != '\0')
        (void)fprintf(out, "%c ", event->mark);
    (void)fputs(event->text, out);
    if (event->extra != NULL)
        (void)fprintf(out, " %s", event->extra);
    (void)fputc('\n', out);
}

/* Writes a call or a note. */
static void write_call(FILE *out, const struct picture *picture,
                       const struct picture_event *event) {
    (void)fprintf(out, "%s\t%s", picture_name(picture, event->column),
                  event->text);
    if (event->kind == PICTURE_CALL)
        (void)fputc(')', out);
    if (event->result != NULL)
        (void)fputs(event->result, out);
    else
        (void)fputs(" ...", out); /* the call has not returned */
    (void)fprintf(out, "\t%s", event->state);
    if (event->mark != '\0')
        (void)fprintf(out, "\t%c", event->mark);
    (void)fputc('\n', out);
}

void picture_write_list(FILE *out, const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        switch (event->kind) {
        case PICTURE_SEGMENT:
        case PICTURE_MESSAGE:
            write_arrow(out, picture, event);
            break;
        case PICTURE_REPORT:
            write_report(out, picture, event);
            break;
        case PICTURE_CALL:
        case PICTURE_NOTE:
            write_call(out, picture, event);
            break;
        }
    }
}

void picture_free(struct picture *picture) {
    for (size_t i = 0; i < picture->columns; i++)
        free(picture->names[i]);
    for (size_t i = 0; i < picture->count; i++) {
        free(picture->events[i].text);
        free(picture->events[i].result);
        free(picture->events[i].extra);
    }
    free(picture->names);
    free(picture->events);
    *picture = (struct picture){0};
}
