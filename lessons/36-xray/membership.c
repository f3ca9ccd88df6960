#define _GNU_SOURCE

#include "membership.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "call.h"
#include "report.h"

enum {
    PATIENCE_NS = 100000000, /* how long we wait for a report: 0.1 seconds */
};

/* ---- what sockets join ----------------------------------------------------*/

static bool is_about(const struct record_membership *membership, int family,
                     const struct packet_end *group) {
    return membership->change.family == family &&
           memcmp(membership->change.group.address, group->address,
                  sizeof group->address) == 0;
}

/* Whether a socket was in a group at a time. */
static bool is_in(const struct record *record, uint64_t inode, int family,
                  const struct packet_end *group, int64_t at) {
    bool in = false;
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *membership = &record->memberships[i];
        bool is_earlier = membership->at <= at;
        if (is_earlier && membership->inode == inode &&
            is_about(membership, family, group))
            in = membership->change.joins;
    }
    return in;
}

/* Whether any socket was in a group at a time. */
static bool has_members(const struct record *record, int family,
                        const struct packet_end *group, int64_t at) {
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *membership = &record->memberships[i];
        if (is_about(membership, family, group) &&
            is_in(record, membership->inode, family, group, at))
            return true;
    }
    return false;
}

/* Whether a socket other than that of a change is in the group. */
static bool has_other_members(const struct record *record,
                              const struct record_membership *change) {
    int family = change->change.family;
    const struct packet_end *group = &change->change.group;
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *membership = &record->memberships[i];
        bool is_other = membership->inode != change->inode;
        if (is_other && is_about(membership, family, group) &&
            is_in(record, membership->inode, family, group, change->at))
            return true;
    }
    return false;
}

/* Whether a group is that of all hosts, which a host never leaves: 224.0.0.1,
 * or ff02::1. */
static bool is_all_hosts(const struct packet_end *group) {
    static const uint8_t all[16] = {224, 0, 0, 1};
    static const uint8_t all6[16] = {0xff, 2, [15] = 1};
    return memcmp(group->address, all, sizeof all) == 0 ||
           memcmp(group->address, all6, sizeof all6) == 0;
}

/* Whether the kernel tells routers of a change that is not recorded yet: the
 * group gets its first member, or loses its last one. */
static bool is_reported(const struct record *record,
                        const struct record_membership *membership) {
    const struct group_change *change = &membership->change;
    if (is_all_hosts(&change->group))
        return false;
    if (!change->joins)
        return !has_other_members(record, membership);
    return !has_members(record, change->family, &change->group, membership->at);
}

/* Adds a change, and whether the kernel will report it. */
static void add_change(struct record *record,
                       struct record_membership *membership) {
    membership->is_awaited = is_reported(record, membership);
    /* If there is no memory for it, record->no_memory says so. */
    (void)record_add_membership(record, membership);
}

/* When a socket is closed, it leaves all its groups. The groups are among those
 * of all changes until now; add_change adds others, which we need not look at.
 * The socket is that of closed, which has no group. */
static void leave_groups(struct record *record,
                         const struct record_membership *closed) {
    size_t count = record->membership_count;
    for (size_t i = 0; i < count; i++) {
        struct record_membership leaving = *closed;
        leaving.change = record->memberships[i].change;
        leaving.change.joins = false;
        if (is_in(record, leaving.inode, leaving.change.family,
                  &leaving.change.group, leaving.at))
            add_change(record, &leaving);
    }
}

void membership_add(struct record *record, int number, pid_t task,
                    const struct trace_call *call) {
    const struct record_event *event = &record->events[number];
    struct record_membership membership = {.at = event->drawn.ended,
                                           .process = event->place.process,
                                           .inode = event->place.inode};
    if (call->result != 0)
        return;
    if (call_is(call, "close"))
        leave_groups(record, &membership);
    else if (call_read_group(task, call, &membership.change))
        add_change(record, &membership);
}

/* ---- what the kernel reports ----------------------------------------------*/

/* The last change that a report tells of for one of its groups, or NULL. */
static struct record_membership *find_change(const struct record *record,
                                             const struct report *report,
                                             unsigned number) {
    const struct packet_end *group = &report->groups[number].group;
    bool joins = report->groups[number].verb != REPORT_LEAVES;
    for (size_t i = record->membership_count; i > 0; i--) {
        struct record_membership *membership = &record->memberships[i - 1];
        if (membership->change.joins == joins &&
            is_about(membership, report->family, group))
            return membership;
    }
    return NULL;
}

static void add_report(struct record *record, int64_t at, int process,
                       const struct report *report) {
    struct record_event event = {
        .place = {.process = process},
        .drawn = {.kind = PICTURE_REPORT, .began = at, .state = ""}};
    size_t length;
    FILE *out = record_open_text(record, &event.drawn.text, &length);
    if (out == NULL)
        return;
    report_write(out, report);
    if (record_close_text(record, out, &event.drawn.text) < 0)
        return;
    if (record_add_event(record, &event) < 0)
        free(event.drawn.text);
}

bool membership_report(struct record *record, int64_t at,
                       const struct packet *packet) {
    struct report report;
    int process = RECORD_NOBODY;
    if (!report_parse(&report, packet))
        return false;
    for (unsigned i = 0; i < report.count && i < REPORT_MOST; i++) {
        struct record_membership *membership = find_change(record, &report, i);
        if (membership != NULL && membership->is_awaited) {
            membership->is_awaited = false;
            process = membership->process;
        }
    }
    if (process != RECORD_NOBODY)
        add_report(record, at, process, &report);
    return true;
}

bool membership_is_awaited(const struct record *record, int64_t now) {
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *membership = &record->memberships[i];
        if (membership->is_awaited && now - membership->at < PATIENCE_NS)
            return true;
    }
    return false;
}

/* ---- sockets that a datagram arrives at -----------------------------------*/

static bool is_any_address(const struct packet_end *end) {
    static const uint8_t any[16];
    return memcmp(end->address, any, sizeof any) == 0;
}

/* Whether the local end of a socket is where the datagram goes. */
static bool is_bound_there(const struct endpoint *socket,
                           const struct record_frame *frame) {
    if (socket->type != SOCK_DGRAM || socket->local.port != frame->to.port)
        return false;
    return is_any_address(&socket->local) ||
           endpoint_same(&socket->local, &frame->to);
}

/* Whether a socket takes datagrams from the sender: if the socket is connected,
 * from its peer only. */
static bool takes_from_sender(const struct endpoint *socket,
                              const struct record_frame *frame) {
    return socket->peer.port == 0 || endpoint_same(&socket->peer, &frame->from);
}

/* Whether a socket that is bound there hears the group. Once any socket of the
 * host has joined a group, the kernel lets a socket that has not joined hear
 * the group too, unless that socket forbids it (IP_MULTICAST_ALL in ip(7)). */
static bool hears(const struct record *record, const struct endpoint *socket,
                  const struct record_frame *frame) {
    if (group_is_broadcast(frame->family, &frame->to))
        return true;
    if (is_in(record, socket->inode, frame->family, &frame->to, frame->at))
        return true;
    return !socket->hears_own_groups &&
           has_members(record, frame->family, &frame->to, frame->at);
}

/* Whether a use is the last one of its socket before a time. */
static bool is_last_before(const struct record *record, size_t number,
                           int64_t at) {
    const struct record_use *use = &record->uses[number];
    if (use->at > at)
        return false;
    for (size_t i = number + 1; i < record->use_count; i++) {
        const struct record_use *later = &record->uses[i];
        if (later->endpoint.inode == use->endpoint.inode && later->at <= at)
            return false;
    }
    return true;
}

/* Whether the socket of its last use before a time is still open then: neither
 * was it closed, nor had its process ended. */
static bool is_open(const struct record *record, const struct record_use *use,
                    int64_t at) {
    int64_t leaving = record->processes[use->process].leaving;
    bool has_left = leaving != 0 && leaving <= at;
    return !use->closes && !has_left;
}

/* Whether a datagram arrives at the socket of a use, and that use is the last
 * one before. */
static bool is_receiver(const struct record *record, size_t number,
                        const struct record_frame *frame) {
    const struct record_use *use = &record->uses[number];
    const struct endpoint *socket = &use->endpoint;
    if (!is_last_before(record, number, frame->at))
        return false;
    if (!is_open(record, use, frame->at))
        return false;
    return is_bound_there(socket, frame) && takes_from_sender(socket, frame) &&
           hears(record, socket, frame);
}

size_t membership_find_receivers(const struct record *record,
                                 const struct record_frame *frame,
                                 struct record_place *receivers, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        if (!is_receiver(record, i, frame))
            continue;
        if (count < most) {
            receivers[count].process = use->process;
            receivers[count].inode = use->endpoint.inode;
        }
        count++;
    }
    return count;
}
