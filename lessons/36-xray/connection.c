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

/* The first message between the same two sockets as a message: at the latest,
 * that message itself. */
static size_t find_first_message(const struct record *record,
                                 const struct record_event *message) {
    size_t first = 0;
    for (;;) {
        const struct record_event *event = &record->events[first];
        if (event->drawn.kind == PICTURE_MESSAGE &&
            is_same_pair(event, message))
            return first;
        first++;
    }
}

/* Gives each message the number of its connection. For a segment, this is the
 * number of a frame (see layout.c). So for a message, we take the number of the
 * connection's first message, counted on from the last frame. */
static void number_messages(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (event->drawn.kind == PICTURE_MESSAGE) {
            size_t first = find_first_message(record, event);
            event->connection = (int)(record->frame_count + first);
        }
    }
}

static bool is_listener(const struct record *record, uint64_t inode) {
    for (size_t i = 0; i < record->use_count; i++) {
        const struct endpoint *socket = &record->uses[i].endpoint;
        if (socket->inode == inode && socket->listening)
            return true;
    }
    return false;
}

/* Whether an event is an arrow of a connection. A message from a process to
 * itself is not drawn, and a datagram to a group is of no connection. */
static bool is_connection_arrow(const struct record_event *event) {
    switch (event->drawn.kind) {
    case PICTURE_MESSAGE:
        return event->place.process != event->to.process;
    case PICTURE_SEGMENT:
        return event->connection != RECORD_NO_CONNECTION;
    default:
        return false;
    }
}

/* Whether an event is such an arrow from or to a socket. */
static bool is_arrow_of(const struct record_event *event, uint64_t inode) {
    bool is_end = event->place.inode == inode || event->to.inode == inode;
    return is_end && is_connection_arrow(event);
}

/* The connection of a socket, by its arrows. A socket has no connection if it
 * has no arrows, or if it has those of several connections, as that of a UDP
 * server. Inode 0 stands for no socket. */
static int find_by_socket(const struct record *record, uint64_t inode) {
    int found = RECORD_NO_CONNECTION;
    if (inode == 0)
        return RECORD_NO_CONNECTION;
    for (size_t i = 0; i < record->event_count; i++) {
        const struct record_event *event = &record->events[i];
        if (!is_arrow_of(event, inode))
            continue;
        if (found != RECORD_NO_CONNECTION && found != event->connection)
            return RECORD_NO_CONNECTION;
        found = event->connection;
    }
    return found;
}

/* Gives each call the number of its socket's connection, and accept(2) that of
 * the socket that it has made. Notes and reports have none. */
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

/* Adds the connection of an arrow, if it is a new one; there is room for it.
 * Of each connection, the first arrow is stored. */
static void add_arrow(struct connections *connections,
                      const struct record_event *event) {
    struct connection *known = find_connection(connections, event->connection);
    if (known != NULL && known->began <= event->drawn.began)
        return;
    if (known == NULL) {
        known = &connections->all[connections->count];
        connections->count++;
    }
    *known = (struct connection){.id = event->connection,
                                 .began = event->drawn.began,
                                 .column = event->drawn.column};
}

/* The order of the first arrows. No two connections have the same id. */
static int compare_connections(const void *left, const void *right) {
    const struct connection *one = left;
    const struct connection *other = right;
    if (one->began < other->began)
        return -1;
    if (one->began > other->began)
        return 1;
    if (one->id < other->id)
        return -1;
    return 1;
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
        size_t index = (size_t)(found - connections->all);
        event->drawn.connection = (unsigned)index + 1; /* they begin at 1 */
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
        if (is_connection_arrow(&record->events[i]))
            add_arrow(&connections, &record->events[i]);
    if (connections.count > 1) {
        qsort(connections.all, connections.count, sizeof connections.all[0],
              compare_connections);
        give_letters(&connections);
        mark_events(record, &connections);
    }
    free(connections.all);
}
