#define _GNU_SOURCE

#include "layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "membership.h"
#include "message.h"
#include "utf8.h"

enum {
    MOST_COLUMNS = 6,
    MOST_RECEIVERS = 32, /* of a datagram to a group */
};

/* The side of a socket, by all that was seen of it. */
static enum record_side side_of(const struct record *record, uint64_t inode) {
    for (size_t i = 0; inode != 0 && i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        if (use->endpoint.inode == inode &&
            (use->accepted || use->endpoint.listening))
            return RECORD_SERVER;
    }
    return RECORD_CLIENT;
}

int layout_column(const struct record *record, struct record_place place) {
    if (place.process == RECORD_NOBODY)
        return PICTURE_NOBODY;
    enum record_side side = side_of(record, place.inode);
    return record->processes[place.process].columns[side];
}

/* ---- the ends of segments -------------------------------------------------*/

/* How well a use of a socket fits one end of a segment. */
enum fit {
    NO_FIT,
    FITS_TARGET,     /* it connects there, but its local end is not known */
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
    /* What is bound to a group sends from an address of this host. */
    if (!is_any_address(&socket->local) &&
        !group_is(socket->family, &socket->local))
        return false;
    return socket->local.port == end->port || socket->local.port == 0;
}

static enum fit find_fit(const struct endpoint *socket,
                         const struct packet_end *here,
                         const struct packet_end *there) {
    if (!is_local_end(socket, here))
        return NO_FIT;
    if (endpoint_same(&socket->peer, there))
        return socket->local.port == 0 ? FITS_TARGET : FITS_CONNECTION;
    if (socket->local.port != 0 && socket->peer.port == 0)
        return FITS_LISTENER;
    return NO_FIT;
}

/* Which uses of a socket count. */
enum users {
    ALL_USERS,
    SENDERS,
};

/* The place at the end `here` of a segment that was seen at a time: the process
 * that used the socket last before it, or else first after it. */
static struct record_place find_user(const struct record *record, int64_t at,
                                     const struct packet_end *here,
                                     const struct packet_end *there,
                                     enum users users) {
    struct record_place owner = {RECORD_NOBODY, 0};
    enum fit best = NO_FIT;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        enum fit fit = find_fit(&use->endpoint, here, there);
        bool is_closer = fit == best && use->at <= at;
        if (fit == NO_FIT || (fit <= best && !is_closer) ||
            (users == SENDERS && !use->sends))
            continue;
        best = fit;
        owner.process = use->process;
        owner.inode = use->endpoint.inode;
    }
    return owner;
}

static struct record_place find_owner(const struct record *record, int64_t at,
                                      const struct packet_end *here,
                                      const struct packet_end *there) {
    return find_user(record, at, here, there, ALL_USERS);
}

/* Several processes may have UDP sockets of the same port: then the one that
 * called send last has sent a datagram. */
static struct record_place find_sender(const struct record *record,
                                       const struct record_frame *frame) {
    struct record_place sender = {RECORD_NOBODY, 0};
    if (frame->is_datagram)
        sender =
            find_user(record, frame->at, &frame->from, &frame->to, SENDERS);
    if (sender.process == RECORD_NOBODY)
        sender = find_owner(record, frame->at, &frame->from, &frame->to);
    return sender;
}

/* Whether two frames went between the same two ends, in any direction. */
static bool is_same_connection(const struct record_frame *one,
                               const struct record_frame *other) {
    if (endpoint_same(&one->from, &other->from))
        return endpoint_same(&one->to, &other->to);
    return endpoint_same(&one->from, &other->to) &&
           endpoint_same(&one->to, &other->from);
}

/* The number of a connection: that of its first frame. */
static int find_connection(const struct record *record,
                           const struct record_frame *frame) {
    const struct record_frame *first = record->frames;
    while (!is_same_connection(first, frame))
        first++;
    return (int)(first - record->frames);
}

/* Adds an event of a frame, which gets a copy of the text. */
static void add_event(struct record *record, struct record_event *event,
                      const char *text) {
    event->drawn.text = strdup(text);
    if (event->drawn.text != NULL && record_add_event(record, event) >= 0)
        return;
    free(event->drawn.text);
    free(event->drawn.extra);
    record->no_memory = true;
}

/* Adds an event for each socket that a datagram to a group has arrived at: one
 * arrow tells what was sent and to which group, the others that it is the same
 * datagram. */
static void add_group_segments(struct record *record,
                               const struct record_frame *frame,
                               struct record_event *event) {
    struct record_place receivers[MOST_RECEIVERS];
    size_t count =
        membership_find_receivers(record, frame, receivers, MOST_RECEIVERS);
    char group[ENDPOINT_TEXT_BYTES];
    (void)endpoint_format(frame->family, &frame->to, ENDPOINT_WHOLE, group);
    if (count > MOST_RECEIVERS)
        count = MOST_RECEIVERS;
    event->connection = RECORD_NO_CONNECTION;
    event->to.process = RECORD_NOBODY;
    if (count > 0)
        event->to = receivers[0];
    if (asprintf(&event->drawn.extra, "to %s", group) < 0) {
        event->drawn.extra = NULL;
        record->no_memory = true;
    }
    add_event(record, event, frame->text);
    for (size_t i = 1; i < count; i++) {
        event->to = receivers[i];
        event->drawn.extra = NULL;
        event->drawn.is_copy = true;
        event->drawn.began++; /* so that the order stays */
        add_event(record, event, frame->text);
    }
}

/* Makes an event of each frame that one of our processes sent or received. */
static void add_segments(struct record *record) {
    for (size_t i = 0; i < record->frame_count; i++) {
        struct record_frame *frame = &record->frames[i];
        struct record_event event = {
            .place = find_sender(record, frame),
            .to = find_owner(record, frame->at, &frame->to, &frame->from),
            .connection = find_connection(record, frame),
            .drawn = {
                .kind = PICTURE_SEGMENT, .began = frame->at, .state = ""}};
        if (event.place.process == RECORD_NOBODY &&
            event.to.process == RECORD_NOBODY)
            continue;
        if (frame->to.port != 0 && group_is(frame->family, &frame->to))
            add_group_segments(record, frame, &event);
        else
            add_event(record, &event, frame->text);
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

/* Whether a process has sent a segment to itself, as a client and a server. */
static bool talks_to_itself(const struct record *record, int process) {
    for (size_t i = 0; i < record->event_count; i++) {
        const struct record_event *event = &record->events[i];
        if (event->drawn.kind == PICTURE_SEGMENT &&
            event->place.process == process && event->to.process == process &&
            side_of(record, event->place.inode) !=
                side_of(record, event->to.inode))
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
    utf8_clean(whole);
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

/* How many columns a process needs. */
static size_t columns_needed(const struct record *record, int process) {
    return talks_to_itself(record, process) ? 2 : 1;
}

/* The process that stands for an actor: the first one that uses sockets, or
 * else the first that did something; or RECORD_NOBODY. */
static int first_of(const struct record *record, const char *actor) {
    int first = RECORD_NOBODY;
    for (size_t i = 0; i < record->process_count; i++) {
        const struct record_process *process = &record->processes[i];
        if (process->actor != actor || !has_events(record, (int)i))
            continue;
        if (process->uses_sockets)
            return (int)i;
        if (first == RECORD_NOBODY)
            first = (int)i;
    }
    return first;
}

/* Chooses a process if there are columns left for it. */
static void choose(struct record *record, int process, size_t *left) {
    size_t needed = columns_needed(record, process);
    if (record->processes[process].is_chosen || needed > *left)
        return;
    record->processes[process].is_chosen = true;
    *left -= needed;
}

/* Chooses which processes get columns of their own: first one of each actor, so
 * that none is missing; then, while there are columns left, the others that use
 * sockets, in the order in which they were made. */
static void choose_processes(struct record *record) {
    size_t left = MOST_COLUMNS;
    for (size_t i = 0; i < record->process_count; i++) {
        int first = first_of(record, record->processes[i].actor);
        if (first != RECORD_NOBODY)
            choose(record, first, &left);
    }
    for (size_t i = 0; i < record->process_count; i++)
        if (record->processes[i].uses_sockets && has_events(record, (int)i))
            choose(record, (int)i, &left);
}

/* Whose columns a process can share: those of its maker; or if that has none,
 * those of the process that stands for the actor. */
static int find_host(const struct record *record, int process) {
    const struct record_process *self = &record->processes[process];
    if (self->maker != RECORD_NOBODY && has_column(record, self->maker))
        return self->maker;
    return first_of(record, self->actor);
}

/* Draws a process without columns of its own in those of another one. */
static void share_columns(struct record *record, int process) {
    struct record_process *self = &record->processes[process];
    if (!self->uses_sockets || !has_events(record, process) ||
        has_column(record, process))
        return;
    int host = find_host(record, process);
    if (!has_column(record, host))
        return; /* no column was left for the whole actor */
    memcpy(self->columns, record->processes[host].columns,
           sizeof self->columns);
    self->shares_column = true;
}

/* The processes of an actor stand side by side. */
static void add_columns(struct record *record, struct picture *picture) {
    for (size_t i = 0; i < record->process_count; i++)
        for (size_t k = i; k < record->process_count; k++) {
            const struct record_process *process = &record->processes[k];
            if (process->actor == record->processes[i].actor &&
                process->is_chosen && !has_column(record, (int)k))
                add_column(record, picture, (int)k);
        }
    for (size_t i = 0; i < record->process_count; i++)
        share_columns(record, (int)i);
}

bool layout_is_drawn(const struct record *record, const char *actor) {
    return first_of(record, actor) == RECORD_NOBODY ||
           count_columns(record, actor) > 0;
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
        event->drawn.ends = false;
        event->place.process = maker;
    }
}

/* Whether another process has the column of this one too. */
static bool is_guest(const struct record *record, int process) {
    return process != RECORD_NOBODY && record->processes[process].shares_column;
}

/* Finds the columns of all events, now that they are chosen. */
static void find_columns(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        event->drawn.column = layout_column(record, event->place);
        event->drawn.to = PICTURE_NOBODY;
        if (picture_is_arrow(&event->drawn))
            event->drawn.to = layout_column(record, event->to);
        if (is_guest(record, event->place.process))
            event->drawn.ends = false;
        event->drawn.socket = event->place.inode;
        if (event->made != 0)
            event->drawn.socket = event->made;
    }
}

/* ---- the picture ----------------------------------------------------------*/

/* Whether an event belongs into no column. What a process tells itself by a
 * UNIX socket is seen in its calls. */
static bool is_hidden(const struct record_event *event) {
    switch (event->drawn.kind) {
    case PICTURE_SEGMENT:
        return false;
    case PICTURE_MESSAGE:
        return event->place.process == event->to.process;
    default:
        return event->drawn.column == PICTURE_NOBODY;
    }
}

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
        if (is_hidden(event))
            continue;
        picture->events[picture->count] = drawn;
        picture->count++;
        event->drawn.text = NULL; /* the picture has them now */
        event->drawn.result = NULL;
        event->drawn.extra = NULL;
    }
}

void layout_make(struct record *record, struct picture *picture) {
    add_segments(record);
    message_find_receivers(record);
    choose_processes(record);
    add_columns(record, picture);
    move_deaths(record);
    find_columns(record);
    connection_tell_apart(record);
    move_events(record, picture);
    picture_sort(picture);
    if (picture_fold(picture) < 0)
        record->no_memory = true;
}
