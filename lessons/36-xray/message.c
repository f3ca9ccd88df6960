#define _GNU_SOURCE

#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "call.h"
#include "handshake.h"
#include "proc.h"

enum { SENT_BYTES = 4096 }; /* of a message that are looked at */

/* ---- what was sent --------------------------------------------------------*/

/* The last use of a socket, or NULL. */
static const struct record_use *last_use(const struct record *record,
                                         uint64_t inode) {
    for (size_t i = record->use_count; i > 0; i--)
        if (record->uses[i - 1].endpoint.inode == inode)
            return &record->uses[i - 1];
    return NULL;
}

/* The socket that was last bound to a name and that others can send to, or
 * connect to; 0 if there is none. */
static uint64_t find_bound(const struct record *record, const char *name) {
    for (size_t i = record->use_count; name[0] != '\0' && i > 0; i--) {
        const struct endpoint *socket = &record->uses[i - 1].endpoint;
        bool is_open = socket->listening || socket->type == SOCK_DGRAM;
        if (is_open && strcmp(socket->name, name) == 0)
            return socket->inode;
    }
    return 0;
}

/* The socket that a call sends to, or 0. A connection that nobody has accepted
 * yet has no other end with a file; then it is the listener. */
static uint64_t find_target(const struct record *record,
                            const struct endpoint *socket, pid_t task,
                            const struct trace_call *call) {
    struct sockaddr_storage target;
    char name[ENDPOINT_NAME_BYTES] = "";
    endpoint_keep_name(&target, call_read_target(task, call, &target), name);
    if (name[0] != '\0')
        return find_bound(record, name);
    if (socket->peer_inode != 0)
        return socket->peer_inode;
    return find_bound(record, socket->peer_name);
}

/* A process other than the sender that has a descriptor for the peer now, or
 * RECORD_NOBODY. */
static int find_holder(const struct record *record, int sender,
                       uint64_t inode) {
    for (size_t i = 0; inode != 0 && i < record->process_count; i++)
        if ((int)i != sender && proc_holds(record->processes[i].pid, inode))
            return (int)i;
    return RECORD_NOBODY;
}

static void write_message(FILE *out, pid_t task,
                          const struct trace_call *call) {
    char bytes[SENT_BYTES];
    char hello[HANDSHAKE_TEXT_BYTES];
    size_t length = (size_t)call->result;
    size_t wanted = length < sizeof bytes ? length : sizeof bytes;
    size_t got = call_sent(task, call, bytes, wanted);
    const uint8_t *data = (const uint8_t *)bytes;
    if (got > 0 && handshake_describe(data, got, length, hello) != NULL) {
        (void)fputs(hello, out);
        return;
    }
    if (got > 0) {
        bytes_write(out, data, got, length);
        (void)fputc(' ', out);
    }
    (void)fprintf(out, "%zu byte%s", length, length == 1 ? "" : "s");
}

static bool has_sent(const struct trace_call *call,
                     const struct record_use *use) {
    if (call_direction(call, use->descriptor) != CALL_SENDS || call->result < 0)
        return false;
    return call->result > 0 || use->endpoint.type != SOCK_STREAM;
}

/* When the peer could have the message. The bytes of a stream arrive one by one
 * while a call waits for room, and a datagram arrives as a whole. */
static int64_t arrival(const struct picture_event *sent,
                       const struct endpoint *socket) {
    if (sent->waited && socket->type != SOCK_STREAM)
        return sent->ended;
    return sent->began + 1;
}

static void add_message(struct record *record, int number,
                        const struct endpoint *socket, pid_t task,
                        const struct trace_call *call) {
    const struct record_event *sent = &record->events[number];
    int sender = sent->place.process;
    uint64_t target = find_target(record, socket, task, call);
    struct record_event event = {
        .place = sent->place,
        .to = {find_holder(record, sender, target), target},
        .drawn = {.kind = PICTURE_MESSAGE,
                  .began = arrival(&sent->drawn, socket),
                  .state = ""}};
    size_t length;
    call_read_control(task, call, &event.control);
    FILE *out = record_open_text(record, &event.drawn.text, &length);
    if (out == NULL)
        return;
    write_message(out, task, call);
    if (record_close_text(record, out, &event.drawn.text) < 0)
        return;
    if (record_add_event(record, &event) < 0)
        free(event.drawn.text);
}

void message_add(struct record *record, int number, pid_t task,
                 const struct trace_call *call) {
    struct record_event *event = &record->events[number];
    const struct record_use *use = last_use(record, event->place.inode);
    if (use == NULL || use->endpoint.family != AF_UNIX)
        return;
    if (call_direction(call, use->descriptor) == CALL_RECEIVES &&
        call->result >= 0)
        call_read_control(task, call, &event->control);
    if (!has_sent(call, use))
        return;
    if (use->endpoint.hides_peer)
        record->no_peers = true;
    else
        add_message(record, number, &use->endpoint, task, call);
}

/* ---- who received it ------------------------------------------------------*/

/* The peer of a message's sender. A connection that was accepted only after the
 * message was sent is known by the accepted end. */
static uint64_t find_peer(const struct record *record,
                          const struct record_event *message) {
    for (size_t i = record->use_count; i > 0; i--) {
        const struct endpoint *socket = &record->uses[i - 1].endpoint;
        if (socket->peer_inode == message->place.inode &&
            socket->type != SOCK_DGRAM)
            return socket->inode;
    }
    return message->to.inode;
}

/* The process that received first from a socket after a time, or RECORD_NOBODY.
 */
static int first_receiver(const struct record *record, uint64_t inode,
                          int64_t after) {
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        if (use->endpoint.inode == inode && use->received && use->at >= after)
            return use->process;
    }
    return RECORD_NOBODY;
}

/* The call that received the descriptors of a message: the first one of the
 * peer after it, since what is taken here is taken out. NULL if none did. */
static struct record_event *find_receipt(const struct record *record,
                                         const struct record_event *message) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (event->drawn.kind == PICTURE_CALL && event->control.count > 0 &&
            event->place.inode == message->to.inode &&
            event->drawn.ended >= message->drawn.began)
            return event;
    }
    return NULL;
}

/* Writes "+ descriptor 7 -> 5": the sender's numbers, and the receiver's. */
static void write_descriptors(struct record *record,
                              struct record_event *message) {
    size_t length;
    if (message->control.count == 0)
        return;
    FILE *out = record_open_text(record, &message->drawn.extra, &length);
    if (out == NULL)
        return;
    (void)fprintf(out, "+ descriptor%s ",
                  message->control.count > 1 ? "s" : "");
    control_write_numbers(out, &message->control);
    struct record_event *receipt = find_receipt(record, message);
    if (receipt != NULL) {
        (void)fputs(" -> ", out);
        control_write_numbers(out, &receipt->control);
        message->to.process = receipt->place.process;
        receipt->control.count = 0;
    }
    (void)record_close_text(record, out, &message->drawn.extra);
}

void message_find_receivers(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        if (event->drawn.kind != PICTURE_MESSAGE)
            continue;
        event->to.inode = find_peer(record, event);
        int receiver =
            first_receiver(record, event->to.inode, event->drawn.began);
        if (receiver != RECORD_NOBODY)
            event->to.process = receiver;
        write_descriptors(record, event);
    }
}
