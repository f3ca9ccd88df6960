#define _GNU_SOURCE

#include "layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "membership.h"
#include "message.h"

enum {
    MOST_COLUMNS = 6,
    MOST_RECEIVERS = 32, /* of a datagram to a group */
};

/* Whether accept(2) made the socket of a use, or that socket is a listener. */
static bool is_of_server(const struct record_use *use) {
    return use->accepted || use->endpoint.listening;
}

/* The side of a socket, by all uses of it. Inode 0 stands for no socket. */
static enum record_side side_of(const struct record *record, uint64_t inode) {
    if (inode == 0)
        return RECORD_CLIENT;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        if (use->endpoint.inode == inode && is_of_server(use))
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

/* How well a use of a socket fits one end of a segment, from the worst to the
 * best. */
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

/* Whether a socket can send from any address of this host. A socket that is
 * bound to a group can, too: a group is no address to send from. */
static bool has_any_address(const struct endpoint *socket) {
    return is_any_address(&socket->local) ||
           group_is(socket->family, &socket->local);
}

/* Whether the end of a segment may be the local end of a socket. Port 0 means
 * that the socket had no port yet, so the end may have any port. */
static bool is_local_end(const struct endpoint *socket,
                         const struct packet_end *end) {
    if (endpoint_same(&socket->local, end))
        return true;
    if (!has_any_address(socket))
        return false;
    return socket->local.port == end->port || socket->local.port == 0;
}

static enum fit find_fit(const struct endpoint *socket,
                         const struct packet_end *here,
                         const struct packet_end *there) {
    bool has_port = socket->local.port != 0;
    bool has_peer = socket->peer.port != 0;
    if (!is_local_end(socket, here))
        return NO_FIT;
    if (endpoint_same(&socket->peer, there)) {
        if (has_port)
            return FITS_CONNECTION;
        return FITS_TARGET;
    }
    if (has_port && !has_peer)
        return FITS_LISTENER;
    return NO_FIT;
}

/* Which uses of a socket count. */
enum users {
    ALL_USERS,
    SENDERS,
};

/* Whether a use that fits a segment replaces the best one so far. We look at
 * the uses in the order of time. So among uses that fit equally well, we end
 * with the last one before the segment, or else with the first one after it. */
static bool is_better(enum fit fit, bool was_before, enum fit best) {
    if (fit == NO_FIT || fit < best)
        return false;
    if (fit > best)
        return true;
    return was_before; /* both fit equally well */
}

/* The place at the end `here` of a segment that was seen at a time: the process
 * that used the socket last before the segment, or else first after it. */
static struct record_place find_user(const struct record *record, int64_t at,
                                     const struct packet_end *here,
                                     const struct packet_end *there,
                                     enum users users) {
    struct record_place owner = {RECORD_NOBODY, 0};
    enum fit best = NO_FIT;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        enum fit fit = find_fit(&use->endpoint, here, there);
        bool was_before = use->at <= at;
        bool counts = users == ALL_USERS || use->sends;
        if (counts && is_better(fit, was_before, best)) {
            best = fit;
            owner.process = use->process;
            owner.inode = use->endpoint.inode;
        }
    }
    return owner;
}

static struct record_place find_owner(const struct record *record, int64_t at,
                                      const struct packet_end *here,
                                      const struct packet_end *there) {
    return find_user(record, at, here, there, ALL_USERS);
}

/* Several processes may have UDP sockets of the same port. Then the sender of a
 * datagram is the process that called send last before it. */
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

/* The number of a connection: that of its first frame. The search ends, because
 * the frame itself is one of the record's frames. */
static int find_connection(const struct record *record,
                           const struct record_frame *frame) {
    int first = 0;
    while (!is_same_connection(&record->frames[first], frame))
        first++;
    return first;
}

/* Adds an event of a frame, which gets a copy of the text. */
static void add_event(struct record *record, struct record_event *event,
                      const char *text) {
    event->drawn.text = strdup(text);
    if (event->drawn.text == NULL || record_add_event(record, event) < 0) {
        free(event->drawn.text);
        free(event->drawn.extra);
        record->no_memory = true;
    }
}

/* Says below the arrow of an event to which group the datagram was sent. */
static void name_group(struct record *record, const struct record_frame *frame,
                       struct record_event *event) {
    char group[ENDPOINT_TEXT_BYTES];
    (void)endpoint_format(frame->family, &frame->to, ENDPOINT_WHOLE, group);
    if (asprintf(&event->drawn.extra, "to %s", group) < 0) {
        event->drawn.extra = NULL;
        record->no_memory = true;
    }
}

/* Adds an event for each socket that a datagram to a group has arrived at. The
 * first arrow says what was sent, and to which group. The other arrows say that
 * they are the same datagram. */
static void add_group_segments(struct record *record,
                               const struct record_frame *frame,
                               struct record_event *event) {
    struct record_place receivers[MOST_RECEIVERS];
    size_t count =
        membership_find_receivers(record, frame, receivers, MOST_RECEIVERS);
    if (count > MOST_RECEIVERS)
        count = MOST_RECEIVERS;
    event->connection = RECORD_NO_CONNECTION;
    event->to.process = RECORD_NOBODY;
    if (count > 0)
        event->to = receivers[0];
    name_group(record, frame, event);
    add_event(record, event, frame->text);
    for (size_t i = 1; i < count; i++) {
        event->to = receivers[i];
        event->drawn.extra = NULL;
        event->drawn.is_copy = true;
        /* picture_sort may exchange events of the same time. A nanosecond more
         * for each copy makes it keep them in this order. */
        event->drawn.began++;
        add_event(record, event, frame->text);
    }
}

/* Adds the event of a frame, or its events if it was sent to a group. A frame
 * that none of our processes sent or received has none. */
static void add_segment(struct record *record,
                        const struct record_frame *frame) {
    struct record_event event = {
        .place = find_sender(record, frame),
        .to = find_owner(record, frame->at, &frame->to, &frame->from),
        .connection = find_connection(record, frame),
        .drawn = {.kind = PICTURE_SEGMENT, .began = frame->at, .state = ""}};
    bool is_ours = event.place.process != RECORD_NOBODY ||
                   event.to.process != RECORD_NOBODY;
    if (!is_ours)
        return;
    if (frame->to.port != 0 && group_is(frame->family, &frame->to))
        add_group_segments(record, frame, &event);
    else
        add_event(record, &event, frame->text);
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

/* Whether a process is one of an actor's. All processes of an actor point to
 * the same name, so we can compare the addresses. */
static bool belongs_to(const struct record_process *process,
                       const char *actor) {
    return process->actor == actor;
}

/* How many processes of an actor have columns. */
static int count_columns(const struct record *record, const char *actor) {
    int count = 0;
    for (size_t i = 0; i < record->process_count; i++)
        if (belongs_to(&record->processes[i], actor) &&
            has_column(record, (int)i))
            count++;
    return count;
}

/* Whether an event is a segment from a process to itself. */
static bool is_own_segment(const struct record_event *event, int process) {
    return event->drawn.kind == PICTURE_SEGMENT &&
           event->place.process == process && event->to.process == process;
}

/* Whether a process has sent a segment to itself, as a client and a server. */
static bool talks_to_itself(const struct record *record, int process) {
    for (size_t i = 0; i < record->event_count; i++) {
        const struct record_event *event = &record->events[i];
        if (is_own_segment(event, process) &&
            side_of(record, event->place.inode) !=
                side_of(record, event->to.inode))
            return true;
    }
    return false;
}

/* Adds a column with the name of an actor, the number behind it if that is not
 * 1, and a suffix: "client 2 (server)". Returns the number of the column; or
 * PICTURE_NOBODY and ENOMEM. */
static int add_named_column(struct picture *picture, const char *actor,
                            int number, const char *suffix) {
    char *whole = NULL;
    char counted[16] = "";
    char **names = realloc(picture->names,
                           (picture->columns + 1) * sizeof *picture->names);
    if (names == NULL)
        return PICTURE_NOBODY;
    picture->names = names;
    if (number > 1)
        (void)snprintf(counted, sizeof counted, " %d", number);
    if (asprintf(&whole, "%s%s%s", actor, counted, suffix) < 0)
        return PICTURE_NOBODY;
    int column = (int)picture->columns;
    names[column] = whole;
    picture->columns++;
    return column;
}

/* Gives a process a column of its own, or two if it talks to itself. The second
 * process of an actor is called "NAME 2". */
static void add_column(struct record *record, struct picture *picture,
                       int process) {
    struct record_process *self = &record->processes[process];
    int number = 1 + count_columns(record, self->actor);
    int *columns = self->columns;
    const char *actor = self->actor;
    if (talks_to_itself(record, process)) {
        columns[RECORD_SERVER] =
            add_named_column(picture, actor, number, " (server)");
        columns[RECORD_CLIENT] =
            add_named_column(picture, actor, number, " (client)");
    } else {
        columns[RECORD_CLIENT] = add_named_column(picture, actor, number, "");
        columns[RECORD_SERVER] = columns[RECORD_CLIENT];
    }
    if (columns[RECORD_CLIENT] == PICTURE_NOBODY ||
        columns[RECORD_SERVER] == PICTURE_NOBODY)
        record->no_memory = true;
}

/* How many columns a process needs. */
static size_t columns_needed(const struct record *record, int process) {
    if (talks_to_itself(record, process))
        return 2;
    return 1;
}

/* The process that stands for an actor: the first one that uses sockets, or
 * else the first that did something; or RECORD_NOBODY. */
static int find_representative(const struct record *record, const char *actor) {
    int first = RECORD_NOBODY;
    for (size_t i = 0; i < record->process_count; i++) {
        const struct record_process *process = &record->processes[i];
        if (!belongs_to(process, actor) || !has_events(record, (int)i))
            continue;
        if (process->uses_sockets)
            return (int)i;
        if (first == RECORD_NOBODY)
            first = (int)i;
    }
    return first;
}

/* Chooses a process if there are enough free columns for it. */
static void choose_process(struct record *record, int process,
                           size_t *free_columns) {
    size_t needed = columns_needed(record, process);
    if (record->processes[process].is_chosen || needed > *free_columns)
        return;
    record->processes[process].is_chosen = true;
    *free_columns -= needed;
}

/* Chooses which processes get columns of their own: first one of each actor, so
 * that no actor is missing; then, while there are free columns, the others that
 * use sockets, in the order in which they were made. */
static void choose_processes(struct record *record) {
    size_t free_columns = MOST_COLUMNS;
    for (size_t i = 0; i < record->process_count; i++) {
        int process = find_representative(record, record->processes[i].actor);
        if (process != RECORD_NOBODY)
            choose_process(record, process, &free_columns);
    }
    for (size_t i = 0; i < record->process_count; i++)
        if (record->processes[i].uses_sockets && has_events(record, (int)i))
            choose_process(record, (int)i, &free_columns);
}

/* Whose columns a process can share: those of its maker; or if that has none,
 * those of the process that stands for the actor. */
static int find_host(const struct record *record, int process) {
    const struct record_process *self = &record->processes[process];
    if (self->maker != RECORD_NOBODY && has_column(record, self->maker))
        return self->maker;
    return find_representative(record, self->actor);
}

/* Draws a process that has no columns of its own in those of another one. */
static void share_columns(struct record *record, int process) {
    int host = find_host(record, process);
    if (!has_column(record, host))
        return; /* no column was free for the whole actor */
    struct record_process *self = &record->processes[process];
    memcpy(self->columns, record->processes[host].columns,
           sizeof self->columns);
    self->shares_column = true;
}

/* Adds the columns of the processes of an actor that were chosen. */
static void add_actor_columns(struct record *record, struct picture *picture,
                              const char *actor) {
    for (size_t i = 0; i < record->process_count; i++) {
        const struct record_process *process = &record->processes[i];
        bool needs_column = process->is_chosen && !has_column(record, (int)i);
        if (needs_column && belongs_to(process, actor))
            add_column(record, picture, (int)i);
    }
}

/* Adds all columns. The processes of an actor stand side by side. At the second
 * process of an actor there is nothing to do any more. */
static void add_columns(struct record *record, struct picture *picture) {
    for (size_t i = 0; i < record->process_count; i++)
        add_actor_columns(record, picture, record->processes[i].actor);
    for (size_t i = 0; i < record->process_count; i++) {
        bool is_drawn =
            record->processes[i].uses_sockets && has_events(record, (int)i);
        if (is_drawn && !has_column(record, (int)i))
            share_columns(record, (int)i);
    }
}

bool layout_is_drawn(const struct record *record, const char *actor) {
    bool did_nothing = find_representative(record, actor) == RECORD_NOBODY;
    return did_nothing || count_columns(record, actor) > 0;
}

/* Makes the death of a process a note in the column of its maker. */
static void move_death(struct record *record, struct record_event *event,
                       int maker) {
    char *text = NULL;
    if (asprintf(&text, "its child is %s", event->drawn.text) < 0) {
        record->no_memory = true;
        return;
    }
    free(event->drawn.text);
    event->drawn.text = text;
    event->drawn.ends = false;
    event->place.process = maker;
}

/* If a process without a column was killed, its maker's column says so. */
static void move_deaths(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (!event->is_death || has_column(record, event->place.process))
            continue;
        int maker = record->processes[event->place.process].maker;
        if (maker != RECORD_NOBODY)
            move_death(record, event, maker);
    }
}

/* Whether a process is drawn in the column of another one. */
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
        /* When a guest ends, its host may go on in the same column. */
        if (is_guest(record, event->place.process))
            event->drawn.ends = false;
        event->drawn.socket = event->place.inode;
        if (event->made != 0)
            event->drawn.socket = event->made;
    }
}

/* ---- the picture ----------------------------------------------------------*/

/* Whether an event is left out of the picture: because it is of no column; or
 * because it is a message from a process to itself, which its calls show. */
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

/* Moves the events that are drawn into the picture. */
static void move_events(struct record *record, struct picture *picture) {
    picture->events = calloc(record->event_count + 1, sizeof *picture->events);
    if (picture->events == NULL) {
        record->no_memory = true;
        return;
    }
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (is_hidden(event))
            continue;
        picture->events[picture->count] = event->drawn;
        picture->count++;
        /* The picture owns the texts now: record_free must not free them. */
        event->drawn.text = NULL;
        event->drawn.result = NULL;
        event->drawn.extra = NULL;
    }
}

void layout_make(struct record *record, struct picture *picture) {
    for (size_t i = 0; i < record->frame_count; i++)
        add_segment(record, &record->frames[i]);
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
