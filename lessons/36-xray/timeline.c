/* timeline: makes the rows of a picture, in the order of time. */
#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow.h"
#include "entry.h"
#include "wrap.h"

enum { CALL_BYTES = 1024 }; /* of a call in words, with its result */

enum phase {
    BEGINNING,
    RETURN, /* of a call that waited */
};

/* When a row of an event is due. */
struct moment {
    int64_t at;
    size_t event;
    enum phase phase;
};

static int compare_moments(const void *left, const void *right) {
    const struct moment *one = left;
    const struct moment *other = right;
    if (one->at < other->at)
        return -1;
    if (one->at > other->at)
        return 1;
    if (one->event < other->event)
        return -1;
    if (one->event > other->event)
        return 1;
    return 0;
}

/* How long the name of a call is. */
static size_t name_length(const struct picture_event *event) {
    return strcspn(event->text, "(");
}

static bool have_same_name(const struct picture_event *one,
                           const struct picture_event *other) {
    size_t length = name_length(one);
    return name_length(other) == length &&
           strncmp(one->text, other->text, length) == 0;
}

/* Whether another call is under way at some time during an event's call, which
 * returns. */
static bool is_under_way(const struct picture_event *other,
                         const struct picture_event *event) {
    bool has_begun = other->began <= event->ended;
    bool has_returned = other->result != NULL && other->ended <= event->began;
    return has_begun && !has_returned;
}

/* Whether another call of the same name is under way in the same column: that
 * of another thread, for example. */
static bool is_ambiguous(const struct picture *picture,
                         const struct picture_event *event) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *other = &picture->events[i];
        bool is_other_call = other != event && other->kind == PICTURE_CALL;
        if (is_other_call && other->column == event->column &&
            have_same_name(other, event) && is_under_way(other, event))
            return true;
    }
    return false;
}

/* How long the first argument of a call is, which begins there. */
static size_t argument_length(const char *argument) {
    /* The first argument of poll(2) is a list in brackets, with blanks and
     * commas of its own. */
    if (argument[0] == '[')
        return strcspn(argument, "]") + 1;
    return strcspn(argument, " ,");
}

/* Writes in short which call has returned: its name; and where the name alone
 * does not tell which call it is, its first argument: "recv(4)". */
static void write_short(const struct picture *picture,
                        const struct picture_event *event, char *text,
                        size_t size) {
    int length = (int)name_length(event);
    const char *name_end = event->text + length;
    if (*name_end == '(' && is_ambiguous(picture, event)) {
        const char *argument = name_end + 1;
        (void)snprintf(text, size, "%.*s(%.*s)", length, event->text,
                       (int)argument_length(argument), argument);
        return;
    }
    (void)snprintf(text, size, "%.*s", length, event->text);
}

/* Which part of a call, or of a note, a moment is. */
static enum row_part part_of(const struct picture_event *event,
                             enum phase phase) {
    if (phase == RETURN)
        return ROW_RETURN;
    if (event->waited || event->result == NULL)
        return ROW_BEGINNING;
    return ROW_WHOLE;
}

/* Adds the text of a call, or of a note, or a part of it. */
static void add_call(struct rows *rows, const struct picture *picture,
                     const struct entry *entry) {
    const struct picture_event *event = entry->event;
    bool is_call = event->kind == PICTURE_CALL;
    const char *close = "";
    const char *waits = "";
    char name[CALL_BYTES / 2];
    char text[CALL_BYTES];
    if (is_call) {
        close = ")";
        waits = WRAP_DOTS;
    }
    switch (entry->part) {
    case ROW_RETURN:
        write_short(picture, event, name, sizeof name);
        (void)snprintf(text, sizeof text, "... %s%s", name, event->result);
        break;
    case ROW_BEGINNING:
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close, waits);
        break;
    default:
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close,
                       event->result);
        break;
    }
    entry_add_rows(rows, entry, text);
}

static void add_moment(struct rows *rows, const struct picture *picture,
                       const struct moment *moment) {
    const struct picture_event *event = &picture->events[moment->event];
    struct entry entry = {.event = event,
                          .place = row_place_of(picture, event->column),
                          .since = moment->at - picture_beginning(picture),
                          .part = ROW_WHOLE,
                          .is_of_connection = true};
    char report[CALL_BYTES];
    switch (event->kind) {
    case PICTURE_SEGMENT:
    case PICTURE_MESSAGE:
        arrow_add_rows(rows, picture, event, entry.since);
        break;
    case PICTURE_REPORT:
        (void)snprintf(report, sizeof report, "-> %s", event->text);
        entry_add_rows(rows, &entry, report);
        break;
    case PICTURE_CALL:
    case PICTURE_NOTE:
        entry.part = part_of(event, moment->phase);
        if (entry.part == ROW_BEGINNING)
            entry.is_of_connection = !event->makes_it;
        add_call(rows, picture, &entry);
        break;
    }
}

int timeline_make(struct rows *rows, const struct picture *picture,
                  size_t width, enum row_states states) {
    *rows = (struct rows){.width = width, .states = states};
    /* Two for each event, and one more, because calloc(3) may return NULL for
     * none. */
    struct moment *moments = calloc(2 * picture->count + 1, sizeof *moments);
    size_t count = 0;
    if (moments == NULL)
        return -1;
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        moments[count] = (struct moment){event->began, i, BEGINNING};
        count++;
        if (event->waited && event->result != NULL) {
            moments[count] = (struct moment){event->ended, i, RETURN};
            count++;
        }
    }
    qsort(moments, count, sizeof *moments, compare_moments);
    for (size_t i = 0; i < count; i++)
        add_moment(rows, picture, &moments[i]);
    free(moments);
    if (rows->lacks_some)
        return -1;
    return 0;
}
