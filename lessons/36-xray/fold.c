#define _GNU_SOURCE

#include "fold.h"

#include <stdlib.h>
#include <string.h>

enum { FEWEST_CALLS = 3 }; /* of a set-up that is folded */

static const char handshake[] = "handshake: 3 segments";

/* ---- events that are left out ---------------------------------------------*/

/* Frees what an event owns. An event without a text is left out, but keeps its
 * place in the array until close_gaps. */
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

/* Whether an event is a packet that a column sends or receives. */
static bool is_packet_of(const struct picture_event *event, int column) {
    bool is_packet = picture_is_arrow(event) || event->kind == PICTURE_REPORT;
    return is_packet && (event->column == column || event->to == column);
}

/* The first packet that a column sends or receives, or the number of events. */
static size_t first_packet(const struct picture *picture, int column) {
    for (size_t i = 0; i < picture->count; i++)
        if (is_packet_of(&picture->events[i], column))
            return i;
    return picture->count;
}

static bool has_failed(const struct picture_event *event) {
    static const char failure[] = " = -1";
    return strncmp(event->result, failure, strlen(failure)) == 0;
}

/* Whether an event is a call that returned at once, and did not fail. */
static bool is_plain_call(const struct picture_event *event) {
    if (event->kind != PICTURE_CALL || event->result == NULL)
        return false;
    return !event->waited && !has_failed(event);
}

/* How many plain calls of the same column and connection stand in a row from
 * the first event on, which is one of them. */
static size_t count_calls(const struct picture_event *events, size_t count) {
    const struct picture_event *first = &events[0];
    for (size_t i = 1; i < count; i++) {
        bool belongs_to_first = events[i].column == first->column &&
                                events[i].connection == first->connection;
        if (!is_plain_call(&events[i]) || !belongs_to_first)
            return i;
    }
    return count;
}

/* Makes the first of count calls a note that stands for all of them, and leaves
 * out the others. Returns 0, or -1 and ENOMEM: then all are as they were. */
static int fold_calls(struct picture_event *events, size_t count) {
    /* A copy, but with texts of its own: those of the call are freed below. */
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
        /* The note shows the last state that one of the calls has found. */
        if (events[i].state[0] != '\0') {
            note.state = events[i].state;
            note.socket = events[i].socket;
        }
        clear_event(&events[i]);
    }
    events[0] = note;
    return 0;
}

/* Folds the calls of a set-up that begins with the event at `at`, if there is
 * one. *next becomes the event after it. Returns 0, or -1 and ENOMEM. */
static int fold_set_up(const struct picture *picture, size_t at, size_t *next) {
    struct picture_event *event = &picture->events[at];
    size_t packet = first_packet(picture, event->column);
    bool packet_follows = packet > at && packet < picture->count;
    *next = at + 1;
    if (!is_plain_call(event) || !packet_follows)
        return 0;
    size_t calls = count_calls(event, packet - at);
    *next = at + calls;
    if (calls < FEWEST_CALLS)
        return 0;
    return fold_calls(event, calls);
}

static int fold_set_ups(struct picture *picture) {
    int result = 0;
    size_t at = 0;
    while (at < picture->count) {
        size_t next;
        if (fold_set_up(picture, at, &next) < 0)
            result = -1;
        at = next;
    }
    close_gaps(picture);
    return result;
}

/* ---- segments -------------------------------------------------------------*/

/* Whether two segments went the same way between the same two columns. */
static bool went_same_way(const struct picture_event *one,
                          const struct picture_event *other) {
    return one->column == other->column && one->to == other->to;
}

/* Whether two segments went opposite ways between the same two columns. */
static bool went_opposite_ways(const struct picture_event *one,
                               const struct picture_event *other) {
    return one->column == other->to && one->to == other->column &&
           one->column != one->to;
}

/* Whether two events are segments of the same connection. */
static bool is_same_connection(const struct picture_event *one,
                               const struct picture_event *other) {
    if (one->kind != PICTURE_SEGMENT || other->kind != PICTURE_SEGMENT)
        return false;
    if (one->connection != other->connection)
        return false;
    return went_same_way(one, other) || went_opposite_ways(one, other);
}

/* The next segment of the same connection after an event, or NULL. */
static struct picture_event *next_segment(const struct picture *picture,
                                          const struct picture_event *event) {
    size_t at = (size_t)(event - picture->events);
    for (size_t i = at + 1; i < picture->count; i++) {
        struct picture_event *next = &picture->events[i];
        if (next->text != NULL && is_same_connection(next, event))
            return next;
    }
    return NULL;
}

/* The next segment of the same connection after an event, if it went the other
 * way and has that text; or NULL. */
static struct picture_event *find_answer(const struct picture *picture,
                                         const struct picture_event *event,
                                         const char *text) {
    struct picture_event *next = next_segment(picture, event);
    if (next == NULL || !went_opposite_ways(next, event))
        return NULL;
    if (strcmp(next->text, text) != 0)
        return NULL;
    return next;
}

/* If a handshake begins with the segment, folds it. Returns 0, or -1 and
 * ENOMEM. */
static int fold_handshake(const struct picture *picture,
                          struct picture_event *first) {
    if (strcmp(first->text, "SYN") != 0)
        return 0;
    struct picture_event *second = find_answer(picture, first, "SYN ACK");
    if (second == NULL)
        return 0;
    struct picture_event *third = find_answer(picture, second, "ACK");
    if (third == NULL)
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
    struct picture_event *answer = find_answer(picture, event, "ACK");
    while (answer != NULL) {
        event->acknowledgements++;
        clear_event(answer); /* from now on find_answer passes over it */
        answer = find_answer(picture, event, "ACK");
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
