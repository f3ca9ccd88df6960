#define _GNU_SOURCE

#include "membership.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "call.h"
#include "report.h"

enum {
    PATIENCE_NS = 100000000, /* so long a report may take */
};

/* ---- what sockets join ----------------------------------------------------*/

static bool is_about(const struct record_membership *one, int family,
                     const struct packet_end *group) {
    return one->change.family == family &&
           memcmp(one->change.group.address, group->address,
                  sizeof group->address) == 0;
}

/* Whether a socket was in a group at a time. */
static bool is_in(const struct record *record, uint64_t inode, int family,
                  const struct packet_end *group, int64_t at) {
    bool in = false;
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *one = &record->memberships[i];
        if (one->at <= at && one->inode == inode &&
            is_about(one, family, group))
            in = one->change.joins;
    }
    return in;
}

/* Whether any socket was in a group at a time. */
static bool has_members(const struct record *record, int family,
                        const struct packet_end *group, int64_t at) {
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *one = &record->memberships[i];
        if (is_about(one, family, group) &&
            is_in(record, one->inode, family, group, at))
            return true;
    }
    return false;
}

/* Whether the kernel tells of a change that is not recorded yet: of the first
 * socket that joins and of the last that leaves, but of no group that every
 * host is in. */
static bool is_reported(const struct record *record,
                        const struct record_membership *one) {
    static const uint8_t all[16] = {224, 0, 0, 1};
    static const uint8_t all6[16] = {0xff, 2, [15] = 1};
    const struct group_change *change = &one->change;
    if (memcmp(change->group.address, all, sizeof all) == 0 ||
        memcmp(change->group.address, all6, sizeof all6) == 0)
        return false;
    return !has_members(record, change->family, &change->group, one->at);
}

static void add_change(struct record *record, struct record_membership *one) {
    if (one->change.joins)
        one->is_awaited = is_reported(record, one);
    struct record_membership *added = record_add_membership(record, one);
    if (added != NULL && !one->change.joins)
        added->is_awaited = is_reported(record, one);
}

/* Who closes a socket leaves all its groups. */
static void leave_all(struct record *record, struct record_membership *one) {
    size_t count = record->membership_count;
    for (size_t i = 0; i < count; i++) {
        one->change = record->memberships[i].change;
        if (!is_in(record, one->inode, one->change.family, &one->change.group,
                   one->at))
            continue;
        one->change.joins = false;
        add_change(record, one);
    }
}

void membership_add(struct record *record, int number, pid_t task,
                    const struct trace_call *call) {
    const struct record_event *event = &record->events[number];
    struct record_membership one = {.at = event->drawn.ended,
                                    .process = event->place.process,
                                    .inode = event->place.inode};
    if (call->result != 0)
        return;
    if (call_is(call, "close"))
        leave_all(record, &one);
    else if (call_read_group(task, call, &one.change))
        add_change(record, &one);
}

/* ---- what the kernel reports ----------------------------------------------*/

/* The last change that a group of a report tells of, or NULL. */
static struct record_membership *find_change(const struct record *record,
                                             const struct report *report,
                                             unsigned number) {
    for (size_t i = record->membership_count; i > 0; i--) {
        struct record_membership *one = &record->memberships[i - 1];
        bool joins = report->groups[number].verb != REPORT_LEAVES;
        if (one->change.joins == joins &&
            is_about(one, report->family, &report->groups[number].group))
            return one;
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
        struct record_membership *one = find_change(record, &report, i);
        if (one == NULL || !one->is_awaited)
            continue;
        one->is_awaited = false;
        process = one->process;
    }
    if (process != RECORD_NOBODY)
        add_report(record, at, process, &report);
    return true;
}

bool membership_is_awaited(const struct record *record, int64_t now) {
    for (size_t i = 0; i < record->membership_count; i++) {
        const struct record_membership *one = &record->memberships[i];
        if (one->is_awaited && now - one->at < PATIENCE_NS)
            return true;
    }
    return false;
}

/* ---- whom a datagram arrives at -------------------------------------------*/

static bool is_any_address(const struct packet_end *end) {
    static const uint8_t any[16];
    return memcmp(end->address, any, sizeof any) == 0;
}

/* Whether a socket is bound to where the datagram goes. */
static bool is_bound_there(const struct endpoint *socket,
                           const struct record_frame *frame) {
    if (socket->type != SOCK_DGRAM || socket->local.port != frame->to.port)
        return false;
    if (!is_any_address(&socket->local) &&
        !endpoint_same(&socket->local, &frame->to))
        return false;
    return socket->peer.port == 0 || endpoint_same(&socket->peer, &frame->from);
}

/* Whether a socket that is bound there hears the group. The kernel lets one
 * that has not joined hear it, once any socket of the host has joined
 * (IP_MULTICAST_ALL in ip(7)). */
static bool hears(const struct record *record, const struct endpoint *socket,
                  const struct record_frame *frame) {
    if (group_is_broadcast(frame->family, &frame->to))
        return true;
    if (is_in(record, socket->inode, frame->family, &frame->to, frame->at))
        return true;
    return !socket->hears_own_groups &&
           has_members(record, frame->family, &frame->to, frame->at);
}

/* Whether it is the last use of its socket before a time. */
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

static bool is_open(const struct record *record, const struct record_use *use,
                    int64_t at) {
    int64_t leaving = record->processes[use->process].leaving;
    return !use->closes && (leaving == 0 || leaving > at);
}

size_t membership_find_receivers(const struct record *record,
                                 const struct record_frame *frame,
                                 struct record_place *receivers, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        if (!is_last_before(record, i, frame->at) ||
            !is_open(record, use, frame->at) ||
            !is_bound_there(&use->endpoint, frame) ||
            !hears(record, &use->endpoint, frame))
            continue;
        if (count < most) {
            receivers[count].process = use->process;
            receivers[count].inode = use->endpoint.inode;
        }
        count++;
    }
    return count;
}
