/*
 * message: what one process sends to another over a UNIX socket. No frame
 * crosses a wire then: the kernel puts the bytes into the peer's queue. Built
 * by lesson 36.
 */
#ifndef XRAY_MESSAGE_H
#define XRAY_MESSAGE_H

#include <sys/types.h>

#include "record.h"
#include "trace.h"

/* After the call of an event has returned, and the use of its socket is
 * recorded: adds an event for what it has sent, or stores the control data that
 * it has received. Does nothing for any other call. */
void message_add(struct record *record, int event, pid_t task,
                 const struct trace_call *call);

/* At the end: finds to which process each message went, and which numbers its
 * descriptors have there. */
void message_find_receivers(struct record *record);

#endif
