#define _GNU_SOURCE

#include "fold.h"

#include <stdlib.h>
#include <string.h>

enum { FEWEST_CALLS = 3 }; /* that a set-up is folded from */

static const char handshake[] = "handshake: 3 segments";

/* ---- events that are left out ---------------------------------------------*/

/* Frees what an event owns: without a text, it is left out. */
static void clear_event(struct picture_event *event) {
    free(event->text);
    free(event->result);
    free(event->extra);
    event->text = NULL;
    event->result = NULL;
    event->extra = NULL;
}

/* Closes the gaps of the events that are left out. */
static void close_gaps(struct picture *picture) {
    size_t kept = 0;
    for (size_t i = 0; i < picture->count; i++) {
        if (picture->events[i].text == NULL)
            continue;
        picture->events[kept] = picture->events[i];
        kept++;
    }
    picture->count = kept;
}

/* ---- the set-up -----------------------------------------------------------*/

/* The first packet that a column sends or receives, or the number of events. */
static size_t first_packet(const struct picture *picture, int column) {
    size_t first = 0;
    while (first < picture->count) {
        const struct picture_event *event = &picture->events[first];
        bool is_packet =
            picture_is_arrow(event) || event->kind == PICTURE_REPORT;
        if (is_packet && (event->column == column || event->to == column))
            break;
        first++;
    }
    return first;
}

/* Whether a call returned at once, and did not fail. */
static bool is_plain_call(const struct picture_event *event) {
    return event->kind == PICTURE_CALL && event->result != NULL &&
           !event->waited && strncmp(event->result, " = -1", 5) != 0;
}

/* How many plain calls of the same column and connection stand in a row from
 * the first event on, which is one of them. */
static size_t count_calls(const struct picture_event *events, size_t count) {
    size_t same = 1;
    while (same < count && is_plain_call(&events[same]) &&
           events[same].column == events[0].column &&
           events[same].connection == events[0].connection)
        same++;
    return same;
}

/* Makes the first of count calls a note that stands for all of them, and leaves
 * out the others. Returns 0, or -1 and ENOMEM: then all are as they were. */
static int fold_calls(struct picture_event *events, size_t count) {
    struct picture_event note = events[0];
    note.kind = PICTURE_NOTE;
    note.result = strdup("");
    if (note.result == NULL)
        return -1;
    if (asprintf(&note.text, "set-up: %zu calls", count) < 0) {
        free(note.result);
        return -1;
    }
    note.closes = false;
    for (size_t i = 0; i < count; i++) {
        if (events[i].state[0] != '\0') {
            note.state = events[i].state;
            note.socket = events[i].socket;
        }
        clear_event(&events[i]);
    }
    events[0] = note;
    return 0;
}

static int fold_set_ups(struct picture *picture) {
    int result = 0;
    size_t next = 0;
    while (next < picture->count) {
        struct picture_event *event = &picture->events[next];
        size_t packet = first_packet(picture, event->column);
        if (!is_plain_call(event) || packet == picture->count ||
            packet < next) {
            next++;
            continue;
        }
        size_t calls = count_calls(event, packet - next);
        if (calls >= FEWEST_CALLS && fold_calls(event, calls) < 0)
            result = -1;
        next += calls;
    }
    close_gaps(picture);
    return result;
}

/* ---- segments -------------------------------------------------------------*/

static bool is_segment(const struct picture_event *event, const char *text) {
    return event->kind == PICTURE_SEGMENT && event->text != NULL &&
           strcmp(event->text, text) == 0;
}

/* Whether a segment went the other way than another one, between the same two
 * columns. */
static bool is_answer(const struct picture_event *event,
                      const struct picture_event *other) {
    return event->column == other->to && event->to == other->column &&
           event->column != event->to;
}

static bool is_same_connection(const struct picture_event *one,
                               const struct picture_event *other) {
    if (one->kind != PICTURE_SEGMENT || other->kind != PICTURE_SEGMENT ||
        one->connection != other->connection)
        return false;
    return is_answer(one, other) ||
           (one->column == other->column && one->to == other->to);
}

/* The next segment of the same connection after an event, or NULL. */
static struct picture_event *next_segment(const struct picture *picture,
                                          const struct picture_event *event) {
    size_t first = (size_t)(event - picture->events) + 1;
    for (size_t i = first; i < picture->count; i++) {
        struct picture_event *next = &picture->events[i];
        if (next->text != NULL && is_same_connection(next, event))
            return next;
    }
    return NULL;
}

/* If a handshake begins with the event, folds it. */
static int fold_handshake(const struct picture *picture,
                          struct picture_event *first) {
    if (!is_segment(first, "SYN"))
        return 0;
    struct picture_event *second = next_segment(picture, first);
    if (second == NULL || !is_segment(second, "SYN ACK") ||
        !is_answer(second, first))
        return 0;
    struct picture_event *third = next_segment(picture, second);
    if (third == NULL || !is_segment(third, "ACK") || !is_answer(third, second))
        return 0;
    char *text = strdup(handshake);
    if (text == NULL)
        return -1;
    free(first->text);
    first->text = text;
    first->both_ways = true;
    clear_event(second);
    clear_event(third);
    return 0;
}

/* Folds the segments that come after an event, answer it, and only acknowledge.
 */
static void fold_acknowledgements(const struct picture *picture,
                                  struct picture_event *event) {
    struct picture_event *next = next_segment(picture, event);
    while (next != NULL && is_segment(next, "ACK") && is_answer(next, event)) {
        event->acknowledgements++;
        clear_event(next);
        next = next_segment(picture, event);
    }
}

static int fold_segments(struct picture *picture) {
    int result = 0;
    for (size_t i = 0; i < picture->count; i++) {
        struct picture_event *event = &picture->events[i];
        if (event->text == NULL || event->kind != PICTURE_SEGMENT)
            continue;
        if (fold_handshake(picture, event) < 0)
            result = -1;
        if (!event->both_ways)
            fold_acknowledgements(picture, event);
    }
    close_gaps(picture);
    return result;
}

int fold_picture(struct picture *picture) {
    int result = fold_set_ups(picture);
    if (fold_segments(picture) < 0)
        result = -1;
    return result;
}
