#define _GNU_SOURCE

#include "layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 6 };

int layout_column(const struct record *record, struct record_place place) {
    if (place.process == RECORD_NOBODY)
        return PICTURE_NOBODY;
    return record->processes[place.process].columns[place.side];
}

/* ---- the ends of segments -------------------------------------------------*/

/* How well a use of a socket fits one end of a segment. */
enum fit {
    NO_FIT,
    FITS_LISTENER,   /* its local end fits, and it has no peer */
    FITS_CONNECTION, /* both ends fit */
};

static bool is_any_address(const struct packet_end *end) {
    static const uint8_t any[16];
    return memcmp(end->address, any, sizeof any) == 0;
}

static bool is_local_end(const struct endpoint *socket,
                         const struct packet_end *end) {
    if (endpoint_same(&socket->local, end))
        return true;
    if (!is_any_address(&socket->local))
        return false;
    return socket->local.port == end->port || socket->local.port == 0;
}

static enum fit find_fit(const struct endpoint *socket,
                         const struct packet_end *here,
                         const struct packet_end *there) {
    if (!is_local_end(socket, here))
        return NO_FIT;
    if (endpoint_same(&socket->peer, there))
        return FITS_CONNECTION;
    if (socket->local.port != 0 && socket->peer.port == 0)
        return FITS_LISTENER;
    return NO_FIT;
}

/* The place at the end `here` of a segment that was seen at a time: the process
 * that used the socket last before it, or else first after it. */
static struct record_place find_owner(const struct record *record, int64_t at,
                                      const struct packet_end *here,
                                      const struct packet_end *there) {
    struct record_place owner = {RECORD_NOBODY, RECORD_CLIENT};
    enum fit best = NO_FIT;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        enum fit fit = find_fit(&use->endpoint, here, there);
        bool is_closer = fit == best && use->at <= at;
        if (fit == NO_FIT || (fit <= best && !is_closer))
            continue;
        best = fit;
        owner.process = use->process;
        owner.side = RECORD_CLIENT;
        if (use->accepted || use->endpoint.listening)
            owner.side = RECORD_SERVER;
    }
    return owner;
}

/* Makes an event of each frame that one of our processes sent or received. */
static void add_segments(struct record *record) {
    for (size_t i = 0; i < record->frame_count; i++) {
        struct record_frame *frame = &record->frames[i];
        struct record_event event = {
            .place = find_owner(record, frame->at, &frame->from, &frame->to),
            .to = find_owner(record, frame->at, &frame->to, &frame->from),
            .drawn = {.kind = PICTURE_SEGMENT,
                      .began = frame->at,
                      .text = frame->text,
                      .state = ""}};
        if (event.place.process == RECORD_NOBODY &&
            event.to.process == RECORD_NOBODY)
            continue;
        if (record_add_event(record, &event) >= 0)
            frame->text = NULL; /* the event has it now */
    }
}

/* ---- columns --------------------------------------------------------------*/

static bool has_events(const struct record *record, int process) {
    for (size_t i = 0; i < record->event_count; i++)
        if (record->events[i].place.process == process)
            return true;
    return false;
}

static bool has_column(const struct record *record, int process) {
    return record->processes[process].columns[RECORD_CLIENT] != PICTURE_NOBODY;
}

/* How many processes of an actor have columns. */
static int count_columns(const struct record *record, const char *actor) {
    int count = 0;
    for (size_t i = 0; i < record->process_count; i++)
        if (record->processes[i].actor == actor && has_column(record, (int)i))
            count++;
    return count;
}

/* Whether a process has sent a segment to itself. */
static bool talks_to_itself(const struct record *record, int process) {
    for (size_t i = 0; i < record->event_count; i++) {
        const struct record_event *event = &record->events[i];
        if (event->drawn.kind == PICTURE_SEGMENT &&
            event->place.process == process && event->to.process == process)
            return true;
    }
    return false;
}

/* Adds a column with a name of its own memory. Returns its number; or
 * PICTURE_NOBODY and ENOMEM. */
static int add_named_column(struct picture *picture, const char *name,
                            const char *suffix) {
    char *whole = NULL;
    char **names = realloc(picture->names,
                           (picture->columns + 1) * sizeof *picture->names);
    if (names == NULL)
        return PICTURE_NOBODY;
    picture->names = names;
    if (asprintf(&whole, "%s%s", name, suffix) < 0)
        return PICTURE_NOBODY;
    names[picture->columns] = whole;
    picture->columns++;
    return (int)picture->columns - 1;
}

/* Gives a process a column of its own, or two if it talks to itself. The second
 * process of an actor is called "NAME 2". */
static void add_column(struct record *record, struct picture *picture,
                       int process) {
    struct record_process *self = &record->processes[process];
    int number = 1 + count_columns(record, self->actor);
    int *columns = self->columns;
    char name[64];
    if (number == 1)
        (void)snprintf(name, sizeof name, "%s", self->actor);
    else
        (void)snprintf(name, sizeof name, "%s %d", self->actor, number);
    if (talks_to_itself(record, process)) {
        columns[RECORD_SERVER] = add_named_column(picture, name, " (server)");
        columns[RECORD_CLIENT] = add_named_column(picture, name, " (client)");
    } else {
        columns[RECORD_CLIENT] = add_named_column(picture, name, "");
        columns[RECORD_SERVER] = columns[RECORD_CLIENT];
    }
    if (columns[RECORD_CLIENT] == PICTURE_NOBODY ||
        columns[RECORD_SERVER] == PICTURE_NOBODY)
        record->no_memory = true;
}

/* Gives columns to all processes of an actor that use sockets. */
static void add_socket_columns(struct record *record, struct picture *picture,
                               const char *actor) {
    for (size_t i = 0; i < record->process_count; i++) {
        const struct record_process *process = &record->processes[i];
        if (process->actor != actor || !process->uses_sockets)
            continue;
        if (has_column(record, (int)i) || !has_events(record, (int)i))
            continue;
        if (picture->columns < MOST_COLUMNS)
            add_column(record, picture, (int)i);
    }
}

/* The processes of an actor stand side by side. If none of them uses sockets,
 * the first that did something gets a column. */
static void choose_columns(struct record *record, struct picture *picture) {
    for (size_t i = 0; i < record->process_count; i++)
        add_socket_columns(record, picture, record->processes[i].actor);
    for (size_t i = 0; i < record->process_count; i++)
        if (count_columns(record, record->processes[i].actor) == 0 &&
            has_events(record, (int)i) && picture->columns < MOST_COLUMNS)
            add_column(record, picture, (int)i);
    for (size_t i = 0; i < record->process_count; i++) {
        struct record_process *self = &record->processes[i];
        if (!self->uses_sockets || has_column(record, (int)i) ||
            self->maker == RECORD_NOBODY)
            continue;
        memcpy(self->columns, record->processes[self->maker].columns,
               sizeof self->columns);
    }
}

/* If a process without a column was killed, its maker's column says so. */
static void move_deaths(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (!event->is_death || has_column(record, event->place.process))
            continue;
        int maker = record->processes[event->place.process].maker;
        char *text = NULL;
        if (maker == RECORD_NOBODY)
            continue;
        if (asprintf(&text, "its child is %s", event->drawn.text) < 0) {
            record->no_memory = true;
            continue;
        }
        free(event->drawn.text);
        event->drawn.text = text;
        event->place.process = maker;
    }
}

/* ---- the picture ----------------------------------------------------------*/

/* Moves the events that have a column into the picture. */
static void move_events(struct record *record, struct picture *picture) {
    picture->events = calloc(record->event_count + 1, sizeof *picture->events);
    if (picture->events == NULL) {
        record->no_memory = true;
        return;
    }
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        struct picture_event drawn = event->drawn;
        drawn.column = layout_column(record, event->place);
        drawn.to = PICTURE_NOBODY;
        if (drawn.kind == PICTURE_SEGMENT)
            drawn.to = layout_column(record, event->to);
        else if (drawn.column == PICTURE_NOBODY)
            continue;
        picture->events[picture->count] = drawn;
        picture->count++;
        event->drawn.text = NULL; /* the picture has them now */
        event->drawn.result = NULL;
    }
}

void layout_make(struct record *record, struct picture *picture) {
    add_segments(record);
    choose_columns(record, picture);
    move_deaths(record);
    move_events(record, picture);
    picture_sort(picture);
    if (picture_fold(picture) < 0)
        record->no_memory = true;
}
