#define _GNU_SOURCE

#include "schedule.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PATIENCE_MS = 20, /* who computes for longer does not keep the others */
    TURNS_IN_A_ROW = 2000, /* nor who makes so many calls without waiting */
};

int64_t schedule_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct schedule_task *find(struct schedule *schedule, pid_t id) {
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->tasks[i].id == id)
            return &schedule->tasks[i];
    return NULL;
}

struct schedule_task *schedule_add(struct schedule *schedule, pid_t id) {
    struct schedule_task *task = find(schedule, id);
    if (task != NULL) /* its first stop was faster than its parent's news */
        return task;
    if (schedule->count == schedule->room) {
        size_t room = schedule->room == 0 ? 16 : schedule->room * 2;
        struct schedule_task *tasks =
            realloc(schedule->tasks, room * sizeof *tasks);
        if (tasks == NULL) {
            errno = ENOMEM;
            return NULL;
        }
        schedule->tasks = tasks;
        schedule->room = room;
    }
    task = &schedule->tasks[schedule->count++];
    *task = (struct schedule_task){
        .id = id, .process = -1, .standing = SCHEDULE_RUNNING};
    task->resumed = schedule_now();
    return task;
}

void schedule_free(struct schedule *schedule) {
    free(schedule->tasks);
    free(schedule->events);
    *schedule = (struct schedule){0};
}

/* Those that have ended; until now the caller may have looked at them. */
static void forget_gone(struct schedule *schedule) {
    size_t kept = 0;
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->tasks[i].standing != SCHEDULE_GONE)
            schedule->tasks[kept++] = schedule->tasks[i];
    schedule->count = kept;
}

/* Who an event happened to stands still until it is told to go on. */
static int keep_event(struct schedule *schedule,
                      const struct trace_event *event) {
    struct schedule_task *task = schedule_add(schedule, event->task);
    if (task == NULL)
        return -1;
    if (schedule->event_count == schedule->event_room) {
        size_t room = schedule->event_room == 0 ? 16 : schedule->event_room * 2;
        struct trace_event *events =
            realloc(schedule->events, room * sizeof *events);
        if (events == NULL)
            return -1;
        schedule->events = events;
        schedule->event_room = room;
    }
    schedule->events[schedule->event_count++] = *event;
    task->standing = SCHEDULE_READY;
    return 0;
}

/* Which of the kept events is next: that of who runs, then by process number.
 * It is moved to the front. */
static struct trace_event *front(struct schedule *schedule) {
    struct trace_event *events = schedule->events + schedule->given++;
    size_t count = schedule->event_count - schedule->given + 1;
    size_t best = 0;
    for (size_t i = 1; i < count && events[best].task != schedule->current; i++)
        if (events[i].task == schedule->current ||
            events[i].task < events[best].task)
            best = i;
    struct trace_event chosen = events[best];
    events[best] = events[0];
    events[0] = chosen;
    return events;
}

static struct schedule_task *give(struct schedule *schedule,
                                  struct trace_event *event) {
    *event = *front(schedule);
    if (schedule->given == schedule->event_count)
        schedule->given = schedule->event_count = 0;
    struct schedule_task *task = schedule_add(schedule, event->task);
    if (task == NULL)
        return NULL;
    task->turn = ++schedule->turn;
    if (event->kind == TRACE_END)
        task->standing = SCHEDULE_GONE;
    if (event->kind == TRACE_ENTER) {
        task->call = event->call;
        task->in_call = true;
        task->waited = false;
    } else if (event->kind == TRACE_RETURN) {
        task->call.result = event->call.result;
        event->call = task->call;
        task->in_call = false;
    }
    task->event = *event;
    return task;
}

/* Whether some task is on its way to its next stop: those that wait in a system
 * call are not, be it that somebody's call has just woken them. */
static bool is_unsettled(struct schedule *schedule) {
    bool unsettled = false;
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_task *task = &schedule->tasks[i];
        if (task->standing == SCHEDULE_READY)
            continue;
        char state = trace_state(task->id);
        /* A zombie's end is about to be told. */
        if (state != '\0' && strchr("RDtZ", state) != NULL) {
            task->standing = SCHEDULE_RUNNING;
            unsettled = true;
        } else {
            task->standing = SCHEDULE_WAITING;
        }
    }
    return unsettled;
}

/* Who is to go on: who did last, or else who has been ready longest. */
static struct schedule_task *choose(struct schedule *schedule) {
    struct schedule_task *chosen = NULL;
    struct schedule_task *current = find(schedule, schedule->current);
    if (current != NULL && current->standing == SCHEDULE_READY &&
        ++schedule->in_a_row < TURNS_IN_A_ROW)
        return current;
    schedule->in_a_row = 0;
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_task *task = &schedule->tasks[i];
        if (task->standing == SCHEDULE_READY && task->process >= 0 &&
            (chosen == NULL || task->turn < chosen->turn))
            chosen = task;
    }
    return chosen;
}

/* Who sleeps in a call while others go on, or while nobody can, has waited. */
static void mark_waiting(struct schedule *schedule) {
    for (size_t i = 0; i < schedule->count; i++)
        schedule->tasks[i].waited |=
            schedule->tasks[i].standing == SCHEDULE_WAITING &&
            schedule->tasks[i].in_call;
}

static void resume(struct schedule *schedule, struct schedule_task *task) {
    schedule->current = task->id;
    task->standing = SCHEDULE_RUNNING;
    task->resumed = schedule_now();
    trace_resume(&task->event, schedule->filtered);
}

enum schedule_result schedule_next(struct schedule *schedule,
                                   struct trace_event *event,
                                   struct schedule_task **task) {
    int64_t began = schedule_now();
    forget_gone(schedule);
    while (schedule->event_count == 0 || schedule->given == 0) {
        if (trace_next(event) < 0 && schedule->event_count == 0)
            return SCHEDULE_OVER;
        if (event->kind != TRACE_NONE) {
            if (keep_event(schedule, event) < 0)
                return SCHEDULE_FAILED;
            continue;
        }
        bool unsettled = is_unsettled(schedule);
        bool patient = schedule_now() - began < (int64_t)PATIENCE_MS * 1000000;
        if (unsettled && patient) {
            (void)sched_yield();
            continue;
        }
        if (schedule->event_count > 0)
            break;
        if (schedule->count == 0) /* but for children that are none of ours */
            return SCHEDULE_OVER;
        mark_waiting(schedule);
        struct schedule_task *next = choose(schedule);
        if (next == NULL)
            return unsettled ? SCHEDULE_BUSY : SCHEDULE_IDLE;
        resume(schedule, next);
        began = schedule_now();
    }
    *task = give(schedule, event);
    return *task == NULL ? SCHEDULE_OVER : SCHEDULE_EVENT;
}
