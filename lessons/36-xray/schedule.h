/*
 * schedule: one process at a time, until it waits for something. Built by
 * lesson 36, on trace.
 *
 * Processes that run as they please do so in another order each time. These
 * take turns, as on a machine with a single core: who runs goes on until it
 * waits in a system call; then it is the turn of who has been ready longest.
 * What the kernel does meanwhile is waited for; and of what happens at once,
 * the event of who runs is told first.
 */
#ifndef COMMON_SCHEDULE_H
#define COMMON_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace.h"

enum schedule_standing {
    SCHEDULE_READY,   /* stands still, and may go on */
    SCHEDULE_RUNNING, /* is on its way to the next event */
    SCHEDULE_WAITING, /* sleeps in a system call */
    SCHEDULE_GONE,
};

struct schedule_task {
    pid_t id;
    int process;      /* the caller's; while it is -1, this one stands still */
    int event_number; /* likewise */
    enum schedule_standing standing;
    struct trace_event event; /* that it stands still for, when READY */
    struct trace_call call;   /* that it is in, or was in last */
    int64_t resumed;          /* when it last went on: CLOCK_REALTIME, in ns */
    bool in_call;
    bool waited; /* in this call: others went on meanwhile */
    uint64_t turn;
};

/* Zero it, set filtered if tasks are started with a filter, and give it to
 * schedule_free in the end. */
struct schedule {
    bool filtered;
    struct schedule_task *tasks; /* malloc(3)ed */
    size_t count, room;
    struct trace_event *events; /* that were not given out yet: malloc(3)ed */
    size_t event_count, event_room, given;
    pid_t current;
    uint64_t turn;
    int in_a_row; /* so often has it been the turn of current */
};

enum schedule_result {
    SCHEDULE_EVENT,  /* something happened */
    SCHEDULE_IDLE,   /* all wait for something */
    SCHEDULE_BUSY,   /* somebody computes, and has done so for long */
    SCHEDULE_OVER,   /* nobody is left */
    SCHEDULE_FAILED, /* no memory is left: ENOMEM, and something is lost */
};

/*
 * Looks for the next event, letting who is next go on when there is none. After
 * SCHEDULE_EVENT *event is what happened and *task whose event it was, good
 * until the next call; its call is that of the event, at its return too.
 */
enum schedule_result schedule_next(struct schedule *schedule,
                                   struct trace_event *event,
                                   struct schedule_task **task);

/* Adds one that trace_start started. Returns it, or NULL and ENOMEM. */
struct schedule_task *schedule_add(struct schedule *schedule, pid_t id);

/* Nanoseconds on CLOCK_REALTIME, which is what the kernel stamps frames by. */
int64_t schedule_now(void);

void schedule_free(struct schedule *schedule);

#endif
