/*
 * schedule: lets one task run at a time, until it waits for something. Built by
 * lesson 36, on trace.
 *
 * If tasks ran at the same time, their calls would come in another order each
 * time. So they take turns, as on a machine with a single processor: a task
 * runs until it waits in a system call; then it is the turn of the task that
 * has been ready longest. Before that task goes on, we wait until the kernel
 * has done what the call set off. If several things happen at once, the event
 * of the task that runs comes first. So the same programs do the same things in
 * the same order.
 */
#ifndef XRAY_SCHEDULE_H
#define XRAY_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace.h"

enum schedule_standing {
    SCHEDULE_READY,   /* it stands still, and may go on */
    SCHEDULE_RUNNING, /* it is on its way to its next event */
    SCHEDULE_WAITING, /* it sleeps in a system call */
    SCHEDULE_GONE,    /* it has ended */
};

struct schedule_task {
    pid_t id;
    int process;      /* the caller's; the task does not run while it is -1 */
    int event_number; /* the caller's */
    enum schedule_standing standing;
    struct trace_event event; /* if it is ready: why it stands still */
    struct trace_call call;   /* the call that it is in, or was in last */
    int64_t resumed;          /* when it last went on, as schedule_now has it */
    bool in_call;
    bool waited;   /* in this call: other tasks went on meanwhile */
    uint64_t turn; /* when it had its last event: 1 is the first of all */
};

/* Set it to zero, set filtered if the tasks are started with a filter, and give
 * it to schedule_free in the end. */
struct schedule {
    bool filtered;
    struct schedule_task *tasks; /* malloc(3)ed */
    size_t count;
    size_t room;
    struct trace_event *events; /* that have happened: malloc(3)ed */
    size_t event_count;
    size_t event_room;
    size_t given;  /* how many of the events have been returned */
    pid_t current; /* the task that went on last */
    uint64_t turn; /* how many events have been returned in all */
    int in_a_row;  /* turns that current has had without a pause */
};

enum schedule_result {
    SCHEDULE_EVENT,  /* something has happened */
    SCHEDULE_IDLE,   /* all tasks wait for something */
    SCHEDULE_BUSY,   /* a task computes, and has done so for 20 ms */
    SCHEDULE_OVER,   /* no task is left */
    SCHEDULE_FAILED, /* ENOMEM: an event is lost */
};

/*
 * Returns the next event; if there is none, lets the next task go on. After
 * SCHEDULE_EVENT *event is what happened, with the whole call at its return
 * too, and *task is whose event it was: good until the next call. That task
 * stands still until one of the next calls lets it go on.
 */
enum schedule_result schedule_next(struct schedule *schedule,
                                   struct trace_event *event,
                                   struct schedule_task **task);

/* Adds a task that trace_start has started, or that another one has made.
 * Returns it, good until the next call of schedule_next or schedule_add; or
 * NULL and ENOMEM. */
struct schedule_task *schedule_add(struct schedule *schedule, pid_t id);

/* Nanoseconds on CLOCK_REALTIME: the clock by which the kernel stamps frames.
 */
int64_t schedule_now(void);

/* Frees all memory of its own. The tasks are left as they are. */
void schedule_free(struct schedule *schedule);

#endif
