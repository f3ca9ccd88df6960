#define _GNU_SOURCE

#include "connection.h"

#include <stdlib.h>
#include <string.h>

/* The letters of connections in the order of their first arrows; any more have
 * the last one in common. */
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz+";

struct connection {
    int id;        /* of its events */
    int64_t began; /* when its first arrow was drawn */
    int column;    /* which that arrow comes from */
    char mark;     /* its letter, or 0 */
};

struct connections {
    struct connection *all; /* malloc(3)ed */
    size_t count;
};

/* ---- which events belong together -----------------------------------------*/

/* Whether two messages went between the same two sockets. */
static bool is_same_pair(const struct record_event *one,
                         const struct record_event *other) {
    if (one->place.inode == other->place.inode)
        return one->to.inode == other->to.inode;
    return one->place.inode == other->to.inode &&
           one->to.inode == other->place.inode;
}

/* Messages have numbers behind those of all frames: that of the first one
 * between the same two sockets. */
static void number_messages(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (event->drawn.kind != PICTURE_MESSAGE)
            continue;
        size_t first = 0;
        while (record->events[first].drawn.kind != PICTURE_MESSAGE ||
               !is_same_pair(&record->events[first], event))
            first++;
        event->connection = (int)(record->frame_count + first);
    }
}

static bool is_listener(const struct record *record, uint64_t inode) {
    for (size_t i = 0; i < record->use_count; i++)
        if (record->uses[i].endpoint.inode == inode &&
            record->uses[i].endpoint.listening)
            return true;
    return false;
}

/* What a process tells itself by a UNIX socket is not drawn. */
static bool is_drawn_arrow(const struct record_event *event) {
    if (event->drawn.kind == PICTURE_MESSAGE)
        return event->place.process != event->to.process;
    return event->drawn.kind == PICTURE_SEGMENT &&
           event->connection != RECORD_NO_CONNECTION;
}

/* The connection of a socket, by its segments or messages; none if it has no
 * arrows, or those of several connections, as a server of UDP. */
static int find_by_socket(const struct record *record, uint64_t inode) {
    int found = RECORD_NO_CONNECTION;
    for (size_t i = 0; inode != 0 && i < record->event_count; i++) {
        const struct record_event *event = &record->events[i];
        if (!is_drawn_arrow(event) ||
            (event->place.inode != inode && event->to.inode != inode))
            continue;
        if (found != RECORD_NO_CONNECTION && found != event->connection)
            return RECORD_NO_CONNECTION;
        found = event->connection;
    }
    return found;
}

static void number_calls(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        uint64_t inode = event->place.inode;
        if (picture_is_arrow(&event->drawn))
            continue;
        event->connection = RECORD_NO_CONNECTION;
        if (event->made != 0)
            inode = event->made;
        if (event->drawn.kind == PICTURE_CALL && !is_listener(record, inode))
            event->connection = find_by_socket(record, inode);
    }
}

/* ---- numbers and letters --------------------------------------------------*/

static struct connection *find_connection(struct connections *connections,
                                          int id) {
    for (size_t i = 0; i < connections->count; i++)
        if (connections->all[i].id == id)
            return &connections->all[i];
    return NULL;
}

/* Keeps the connection of an arrow; there is room for it. */
static void keep(struct connections *connections,
                 const struct record_event *event) {
    struct connection *known = find_connection(connections, event->connection);
    if (known == NULL) {
        known = &connections->all[connections->count];
        connections->count++;
    } else if (known->began <= event->drawn.began) {
        return;
    }
    *known = (struct connection){.id = event->connection,
                                 .began = event->drawn.began,
                                 .column = event->drawn.column};
}

static int compare(const void *left, const void *right) {
    const struct connection *one = left;
    const struct connection *other = right;
    if (one->began != other->began)
        return one->began < other->began ? -1 : 1;
    return one->id < other->id ? -1 : 1;
}

/* Whether another connection comes from the same column. */
static bool is_one_of_several(const struct connections *connections,
                              const struct connection *connection) {
    for (size_t i = 0; i < connections->count; i++) {
        const struct connection *other = &connections->all[i];
        if (other != connection && other->column == connection->column)
            return true;
    }
    return false;
}

static void give_letters(struct connections *connections) {
    size_t next = 0;
    for (size_t i = 0; i < connections->count; i++) {
        if (!is_one_of_several(connections, &connections->all[i]))
            continue;
        connections->all[i].mark = letters[next];
        if (letters[next + 1] != '\0')
            next++;
    }
}

static void mark_events(struct record *record,
                        struct connections *connections) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        const struct connection *found =
            find_connection(connections, event->connection);
        if (found == NULL)
            continue;
        event->drawn.connection = (unsigned)(found - connections->all) + 1;
        event->drawn.mark = found->mark;
        event->drawn.makes_it = event->made != 0;
    }
}

void connection_tell_apart(struct record *record) {
    struct connections connections = {0};
    connections.all =
        calloc(record->event_count + 1, sizeof connections.all[0]);
    if (connections.all == NULL) {
        record->no_memory = true;
        return;
    }
    number_messages(record);
    number_calls(record);
    for (size_t i = 0; i < record->event_count; i++)
        if (is_drawn_arrow(&record->events[i]))
            keep(&connections, &record->events[i]);
    if (connections.count > 1) {
        qsort(connections.all, connections.count, sizeof connections.all[0],
              compare);
        give_letters(&connections);
        mark_events(record, &connections);
    }
    free(connections.all);
}
