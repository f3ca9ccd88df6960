#define _GNU_SOURCE

#include "foot.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "layout.h"
#include "utf8.h"

enum {
    NAME_ROOM = 32,   /* characters of a name that are written */
    NAME_BYTES = 512, /* more than a name has */
};

/* Writes the name of a column to text, without its middle if it is long.
 * Returns text. */
static const char *format_name(const struct picture *picture, int column,
                               char text[NAME_BYTES]) {
    (void)snprintf(text, NAME_BYTES, "%s", picture_name(picture, column));
    utf8_shorten(text, NAME_ROOM);
    return text;
}

/* ---- processes that wait --------------------------------------------------*/

/* When the last segment came to a column, or 0. */
static int64_t last_arrival(const struct picture *picture, int column) {
    int64_t last = 0;
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        bool arrives = picture_is_arrow(event) && event->to == column;
        if (arrives && event->began > last)
            last = event->began;
    }
    return last;
}

/* How many milliseconds after the picture's beginning a time is. */
static double milliseconds(const struct picture *picture, int64_t at) {
    return (double)(at - picture_beginning(picture)) / 1e6;
}

static void write_waiting(FILE *out, const struct picture *picture,
                          const struct picture_event *event, int64_t ended_at) {
    int64_t last = last_arrival(picture, event->column);
    char name[NAME_BYTES];
    (void)fprintf(out, "%s is in %s), since %.2f ms",
                  format_name(picture, event->column, name), event->text,
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

/* Whether the use is of a TCP connection whose round trip the kernel has
 * measured. */
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
    for (size_t i = number + 1; i < record->use_count; i++) {
        const struct record_use *later = &record->uses[i];
        if (is_same_socket(use, later) && later->endpoint.round_trip > 0)
            return false;
    }
    return true;
}

/* Writes what the kernel knew of a connection when it was last used. */
static void write_connection(FILE *out, const struct record *record,
                             const struct picture *picture,
                             const struct record_use *use) {
    const struct endpoint *endpoint = &use->endpoint;
    struct record_place place = {use->process, endpoint->inode};
    char name[NAME_BYTES];
    char what[ENDPOINT_TEXT_BYTES];
    int column = layout_column(record, place);
    if (column == PICTURE_NOBODY)
        return;
    (void)fprintf(out,
                  "%s, %s: round trip %.2f ms, congestion window %u, "
                  "unacknowledged %u\n",
                  format_name(picture, column, name),
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

static bool has_mark(const struct picture_event *event) {
    return event->mark != '\0';
}

static bool has_acknowledgements(const struct picture_event *event) {
    return event->acknowledgements > 0;
}

/* Whether an event is a call that moved bytes "in the kernel". */
static bool moved_inside(const struct picture_event *event) {
    if (event->kind != PICTURE_CALL || event->result == NULL)
        return false;
    return strstr(event->result, CALL_INSIDE) != NULL;
}

/* Whether any event of a picture is as a function says. */
static bool has_any(const struct picture *picture,
                    bool (*is_so)(const struct picture_event *)) {
    for (size_t i = 0; i < picture->count; i++)
        if (is_so(&picture->events[i]))
            return true;
    return false;
}

/* Says what the signs and words mean that the picture has. */
static void write_legend(FILE *out, const struct picture *picture) {
    if (has_any(picture, has_mark))
        (void)fputs("Each connection has a letter, which stands before its "
                    "calls and in its arrows.\n",
                    out);
    if (has_any(picture, has_acknowledgements))
        (void)fputs("\"+ ACK\" in an arrow: a segment came back that only "
                    "acknowledges.\n",
                    out);
    if (has_any(picture, moved_inside))
        (void)fputs("Bytes that a call moves \"in the kernel\" never come into "
                    "the memory of the program.\n",
                    out);
}

/* ---- lines ----------------------------------------------------------------*/

static void write_sentences(FILE *out, const struct record *record,
                            const struct picture *picture, int64_t ended_at) {
    if (ended_at > 0)
        write_all_waiting(out, picture, ended_at);
    for (size_t i = 0; i < record->use_count; i++)
        if (is_measured(&record->uses[i]) && is_last(record, i))
            write_connection(out, record, picture, &record->uses[i]);
    write_legend(out, picture);
    write_shared(out, record);
    if (record->left_out > 0)
        (void)fprintf(out, "%lu more calls and segments were left out.\n",
                      record->left_out);
}

/* How much of a line of length characters stands in a row of width characters:
 * all up to the last blank that has room, or at least the first word. */
static size_t row_length(const char *line, size_t length, size_t width) {
    if (length <= width)
        return length;
    for (size_t at = width; at > 0; at--)
        if (line[at] == ' ')
            return at;
    const char *blank = memchr(line, ' ', length);
    if (blank == NULL)
        return length;
    return (size_t)(blank - line);
}

/* Writes a line, on as many rows as it needs. */
static void write_line(FILE *out, const char *line, size_t length,
                       size_t width) {
    size_t used = row_length(line, length, width);
    while (used < length) {
        (void)fprintf(out, "%.*s\n", (int)used, line);
        line += used + 1; /* the end of the row stands for the blank */
        length -= used + 1;
        used = row_length(line, length, width);
    }
    (void)fprintf(out, "%.*s\n", (int)used, line);
}

int foot_write(FILE *out, const struct record *record,
               const struct picture *picture, int64_t ended_at, size_t width) {
    char *text = NULL;
    size_t size;
    FILE *whole = open_memstream(&text, &size);
    if (whole == NULL)
        return -1;
    write_sentences(whole, record, picture, ended_at);
    if (fclose(whole) == EOF) {
        free(text);
        return -1;
    }
    const char *next = text;
    while (*next != '\0') {
        size_t length = strcspn(next, "\n");
        write_line(out, next, length, width);
        next += length + 1; /* each line ends with a newline */
    }
    free(text);
    return 0;
}
