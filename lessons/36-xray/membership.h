/*
 * membership: which sockets have joined which multicast groups, and which of
 * them a datagram arrives at. Built by lesson 36.
 */
#ifndef XRAY_MEMBERSHIP_H
#define XRAY_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "packet.h"
#include "record.h"
#include "trace.h"

/* After the call of an event has returned: stores which groups it has joined or
 * left. */
void membership_add(struct record *record, int event, pid_t task,
                    const struct trace_call *call);

/* Records a report, which is a frame in which the kernel tells routers of a
 * group, as an event of the process that has joined or left the group. The
 * kernel sends each report twice or more, and only the first is recorded.
 * Returns whether the frame is a report. */
bool membership_report(struct record *record, int64_t at,
                       const struct packet *packet);

/* Whether the kernel will soon send a report, as it does some milliseconds
 * after the call. */
bool membership_is_awaited(const struct record *record, int64_t now);

/* The sockets, at most `most`, that a datagram to a group arrives at. Returns
 * how many there are. */
size_t membership_find_receivers(const struct record *record,
                                 const struct record_frame *frame,
                                 struct record_place *receivers, size_t most);

#endif
