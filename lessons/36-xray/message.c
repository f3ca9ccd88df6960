#define _GNU_SOURCE

#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "call.h"
#include "handshake.h"
#include "head.h"
#include "proc.h"

enum { SENT_BYTES = 4096 }; /* of a message that are looked at */

/* ---- what was sent --------------------------------------------------------*/

/* The last use of a socket, or NULL. */
static const struct record_use *last_use(const struct record *record,
                                         uint64_t inode) {
    for (size_t i = record->use_count; i > 0; i--) {
        const struct record_use *use = &record->uses[i - 1];
        if (use->endpoint.inode == inode)
            return use;
    }
    return NULL;
}

/* The socket that was last bound to a name and that others can send to, or
 * connect to; 0 if there is none, or if the name is empty. */
static uint64_t find_bound(const struct record *record, const char *name) {
    if (name[0] == '\0')
        return 0;
    for (size_t i = record->use_count; i > 0; i--) {
        const struct endpoint *socket = &record->uses[i - 1].endpoint;
        bool is_open = socket->listening || socket->type == SOCK_DGRAM;
        if (is_open && strcmp(socket->name, name) == 0)
            return socket->inode;
    }
    return 0;
}

/* The socket that a call sends to, or 0. Before a connection is accepted, its
 * other end has no inode; then we take the listener. */
static uint64_t find_target(const struct record *record,
                            const struct endpoint *socket, pid_t task,
                            const struct trace_call *call) {
    struct sockaddr_storage target;
    char name[ENDPOINT_NAME_BYTES] = "";
    size_t length = call_read_target(task, call, &target);
    endpoint_copy_name(&target, length, name);
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
    if (inode == 0)
        return RECORD_NOBODY;
    for (size_t i = 0; i < record->process_count; i++) {
        bool is_sender = (int)i == sender;
        if (!is_sender && proc_holds(record->processes[i].pid, inode))
            return (int)i;
    }
    return RECORD_NOBODY;
}

/* The end of a word that counts things: "" for one byte, "s" for two bytes. */
static const char *plural(size_t count) {
    if (count == 1)
        return "";
    return "s";
}

static void write_message(FILE *out, pid_t task,
                          const struct trace_call *call) {
    char bytes[SENT_BYTES];
    size_t length = (size_t)call->result;
    size_t wanted = length;
    if (wanted > sizeof bytes)
        wanted = sizeof bytes;
    size_t got = call_sent(task, call, bytes, wanted);
    const uint8_t *data = (const uint8_t *)bytes;
    if (got > 0) {
        char hello[HANDSHAKE_TEXT_BYTES];
        if (handshake_describe(data, got, length, hello) != NULL) {
            (void)fputs(hello, out);
            return;
        }
        if (head_write(out, data, got))
            return;
        bytes_write(out, data, got, length);
        (void)fputc(' ', out);
    }
    (void)fprintf(out, "%zu byte%s", length, plural(length));
}

/* Whether a call has sent something. A datagram may have 0 bytes, while 0 bytes
 * of a stream are nothing. */
static bool has_sent(const struct trace_call *call,
                     const struct record_use *use) {
    if (call_direction(call, use->descriptor) != CALL_SENDS)
        return false;
    if (use->endpoint.type == SOCK_STREAM)
        return call->result > 0;
    return call->result >= 0;
}

/* When the message arrives at the peer. A datagram arrives as a whole: if the
 * call had to wait for room, at its end. The bytes of a stream arrive one by
 * one, so the first arrive at once: a nanosecond after the call began, so that
 * the message comes after the call in the picture. */
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
    bool receives = call_direction(call, use->descriptor) == CALL_RECEIVES;
    if (receives && call->result >= 0)
        call_read_control(task, call, &event->control);
    if (!has_sent(call, use))
        return;
    if (use->endpoint.hides_peer)
        record->no_peers = true;
    else
        add_message(record, number, &use->endpoint, task, call);
}

/* ---- receivers ------------------------------------------------------------*/

/* The socket that a message went to. If the connection was accepted only after
 * the message was sent, the sender did not know that socket, but the accepted
 * socket knows the sender as its peer. */
static uint64_t find_peer(const struct record *record,
                          const struct record_event *message) {
    for (size_t i = record->use_count; i > 0; i--) {
        const struct endpoint *socket = &record->uses[i - 1].endpoint;
        bool is_datagram = socket->type == SOCK_DGRAM;
        if (!is_datagram && socket->peer_inode == message->place.inode)
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

/* Whether an event is a call that received descriptors, and it is not known yet
 * which message has brought them. */
static bool received_descriptors(const struct record_event *event) {
    bool is_call = event->drawn.kind == PICTURE_CALL;
    return is_call && event->control.count > 0 && !event->is_matched;
}

/* The call that received the descriptors of a message: the first such call on
 * the peer's socket that returned after the message was sent; or NULL. */
static struct record_event *find_receipt(const struct record *record,
                                         const struct record_event *message) {
    for (size_t i = 0; i < record->event_count; i++) {
        struct record_event *event = &record->events[i];
        bool is_later = event->drawn.ended >= message->drawn.began;
        bool is_of_peer = event->place.inode == message->to.inode;
        if (is_later && is_of_peer && received_descriptors(event))
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
    (void)fprintf(out, "+ descriptor%s ", plural(message->control.count));
    control_write_numbers(out, &message->control);
    struct record_event *receipt = find_receipt(record, message);
    if (receipt != NULL) {
        (void)fputs(" -> ", out);
        control_write_numbers(out, &receipt->control);
        message->to.process = receipt->place.process;
        receipt->is_matched = true;
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
