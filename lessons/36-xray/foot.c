#include "foot.h"

#include <stdbool.h>
#include <string.h>

#include "call.h"
#include "layout.h"

/* ---- who waits ------------------------------------------------------------*/

/* When the last segment came to a column, or 0. */
static int64_t last_arrival(const struct picture *picture, int column) {
    int64_t last = 0;
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        if (picture_is_arrow(event) && event->to == column &&
            event->began > last)
            last = event->began;
    }
    return last;
}

/* From nanoseconds to milliseconds since the picture began. */
static double milliseconds(const struct picture *picture, int64_t at) {
    return (double)(at - picture_beginning(picture)) / 1e6;
}

static void write_waiting(FILE *out, const struct picture *picture,
                          const struct picture_event *event, int64_t ended_at) {
    int64_t last = last_arrival(picture, event->column);
    (void)fprintf(out, "%s is in %s), since %.2f ms",
                  picture_name(picture, event->column), event->text,
                  milliseconds(picture, event->began));
    if (last > 0)
        (void)fprintf(out, "; nothing has come to it since %.2f ms",
                      milliseconds(picture, last));
    (void)fprintf(out, " (the picture ends at %.2f ms).\n",
                  milliseconds(picture, ended_at));
}

static void write_all_waiting(FILE *out, const struct picture *picture,
                              int64_t ended_at) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        if (event->kind == PICTURE_CALL && event->result == NULL)
            write_waiting(out, picture, event, ended_at);
    }
}

/* ---- connections ----------------------------------------------------------*/

/* Whether the kernel has measured the round trip of this TCP connection. */
static bool is_measured(const struct record_use *use) {
    return use->endpoint.state != 0 && use->endpoint.connected &&
           use->endpoint.round_trip > 0;
}

static bool is_same_socket(const struct record_use *one,
                           const struct record_use *other) {
    return one->endpoint.inode == other->endpoint.inode &&
           one->process == other->process;
}

/* Whether no later use of the same socket has been measured. */
static bool is_last(const struct record *record, size_t number) {
    const struct record_use *use = &record->uses[number];
    for (size_t i = number + 1; i < record->use_count; i++)
        if (is_same_socket(use, &record->uses[i]) &&
            record->uses[i].endpoint.round_trip > 0)
            return false;
    return true;
}

static void write_connection(FILE *out, const struct record *record,
                             const struct picture *picture,
                             const struct record_use *use) {
    const struct endpoint *endpoint = &use->endpoint;
    struct record_place place = {use->process, endpoint->inode};
    char what[ENDPOINT_TEXT_BYTES];
    int column = layout_column(record, place);
    if (column == PICTURE_NOBODY)
        return;
    (void)fprintf(out,
                  "%s, %s: round trip %.2f ms, congestion window %u, "
                  "unacknowledged %u\n",
                  picture_name(picture, column),
                  endpoint_describe(endpoint, use->accepted, what),
                  (double)endpoint->round_trip / 1000, endpoint->window,
                  endpoint->unacknowledged);
}

/* ---- what is not drawn as it should be ------------------------------------*/

static void write_shared(FILE *out, const struct record *record) {
    unsigned shared = 0;
    for (size_t i = 0; i < record->process_count; i++)
        if (record->processes[i].shares_column)
            shared++;
    if (shared > 0)
        (void)fprintf(out,
                      "No column was left for %u processes: they are drawn in "
                      "that of another one of the same name.\n",
                      shared);
}

/* What the letters mean. */
static void write_marks(FILE *out, const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        if (picture->events[i].mark == '\0')
            continue;
        (void)fputs("Each connection has a letter, which stands before its "
                    "calls and in its arrows.\n",
                    out);
        return;
    }
}

/* What "+ ACK" means. */
static void write_folded(FILE *out, const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        if (picture->events[i].acknowledgements == 0)
            continue;
        (void)fputs("\"+ ACK\" in an arrow: a segment came back that only "
                    "acknowledges.\n",
                    out);
        return;
    }
}

/* What the words behind some calls mean. */
static void write_legend(FILE *out, const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        if (event->kind != PICTURE_CALL || event->result == NULL ||
            strstr(event->result, CALL_INSIDE) == NULL)
            continue;
        (void)fputs("Bytes that a call moves \"in the kernel\" never come into "
                    "the memory of the program.\n",
                    out);
        return;
    }
}

void foot_write(FILE *out, const struct record *record,
                const struct picture *picture, int64_t ended_at) {
    if (ended_at > 0)
        write_all_waiting(out, picture, ended_at);
    for (size_t i = 0; i < record->use_count; i++)
        if (is_measured(&record->uses[i]) && is_last(record, i))
            write_connection(out, record, picture, &record->uses[i]);
    write_marks(out, picture);
    write_folded(out, picture);
    write_legend(out, picture);
    write_shared(out, record);
    if (record->left_out > 0)
        (void)fprintf(out, "%lu more calls and segments were left out.\n",
                      record->left_out);
}
