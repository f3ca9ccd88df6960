#define _GNU_SOURCE

#include "schedule.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

enum {
    PATIENCE_MS = 20,           /* how long we wait for a task that computes */
    MOST_TURNS_IN_A_ROW = 2000, /* then it is another task's turn */
    FIRST_ROOM = 16,            /* tasks, or events */
};

enum {
    NANOSECONDS_IN_MS = 1000000,
    NANOSECONDS_IN_SECOND = 1000000000,
};

int64_t schedule_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * NANOSECONDS_IN_SECOND + now.tv_nsec;
}

void schedule_free(struct schedule *schedule) {
    free(schedule->tasks);
    free(schedule->events);
    *schedule = (struct schedule){0};
}

/* ---- tasks ----------------------------------------------------------------*/

static struct schedule_task *find_task(struct schedule *schedule, pid_t id) {
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->tasks[i].id == id)
            return &schedule->tasks[i];
    return NULL;
}

/* Makes room for one more task; returns 0, or -1 and ENOMEM. */
static int grow_tasks(struct schedule *schedule) {
    if (schedule->count < schedule->room)
        return 0;
    size_t room = schedule->room * 2;
    if (room == 0)
        room = FIRST_ROOM;
    struct schedule_task *tasks =
        realloc(schedule->tasks, room * sizeof *tasks);
    if (tasks == NULL) {
        errno = ENOMEM;
        return -1;
    }
    schedule->tasks = tasks;
    schedule->room = room;
    return 0;
}

struct schedule_task *schedule_add(struct schedule *schedule, pid_t id) {
    /* A new task may stop for the first time before its parent's event tells of
     * it. Then store_event has added the task already. */
    struct schedule_task *task = find_task(schedule, id);
    if (task != NULL)
        return task;
    if (grow_tasks(schedule) < 0)
        return NULL;
    task = &schedule->tasks[schedule->count];
    schedule->count++;
    *task = (struct schedule_task){.id = id,
                                   .process = -1,
                                   .standing = SCHEDULE_RUNNING,
                                   .resumed = schedule_now()};
    return task;
}

/* Removes the tasks that have ended. They are kept until now, because the
 * caller's *task is good until the next call of schedule_next. */
static void remove_gone(struct schedule *schedule) {
    size_t kept = 0;
    for (size_t i = 0; i < schedule->count; i++) {
        if (schedule->tasks[i].standing == SCHEDULE_GONE)
            continue;
        schedule->tasks[kept] = schedule->tasks[i];
        kept++;
    }
    schedule->count = kept;
}

/* ---- events ---------------------------------------------------------------*/

/* Makes room for one more event; returns 0, or -1 and ENOMEM. */
static int grow_events(struct schedule *schedule) {
    if (schedule->event_count < schedule->event_room)
        return 0;
    size_t room = schedule->event_room * 2;
    if (room == 0)
        room = FIRST_ROOM;
    struct trace_event *events =
        realloc(schedule->events, room * sizeof *events);
    if (events == NULL) {
        errno = ENOMEM;
        return -1;
    }
    schedule->events = events;
    schedule->event_room = room;
    return 0;
}

/* Stores an event until its turn comes. Returns 0, or -1 and ENOMEM. */
static int store_event(struct schedule *schedule,
                       const struct trace_event *event) {
    struct schedule_task *task = schedule_add(schedule, event->task);
    if (task == NULL || grow_events(schedule) < 0)
        return -1;
    schedule->events[schedule->event_count] = *event;
    schedule->event_count++;
    task->standing = SCHEDULE_READY;
    return 0;
}

/* Whether an event goes before another one: that of the current task first,
 * then in the order of process numbers. */
static bool goes_before(const struct schedule *schedule,
                        const struct trace_event *one,
                        const struct trace_event *other) {
    if (other->task == schedule->current)
        return false;
    if (one->task == schedule->current)
        return true;
    return one->task < other->task;
}

/* Removes the stored event that goes before all others, and returns it. There
 * must be one. */
static struct trace_event remove_first_event(struct schedule *schedule) {
    struct trace_event *events = schedule->events;
    size_t first = schedule->given;
    size_t best = first;
    for (size_t i = first + 1; i < schedule->event_count; i++)
        if (goes_before(schedule, &events[i], &events[best]))
            best = i;
    struct trace_event removed = events[best];
    /* The events before schedule->given count no more. So the one that stood at
     * the first place moves to the place that is free now. */
    events[best] = events[first];
    schedule->given++;
    if (schedule->given == schedule->event_count) {
        schedule->given = 0;
        schedule->event_count = 0;
    }
    return removed;
}

/* Gives the next stored event to the caller. Returns the task that the event is
 * of, or NULL and ENOMEM. */
static struct schedule_task *give_event(struct schedule *schedule,
                                        struct trace_event *event) {
    *event = remove_first_event(schedule);
    /* Here schedule_add finds the task, unless it was removed since. */
    struct schedule_task *task = schedule_add(schedule, event->task);
    if (task == NULL)
        return NULL;
    schedule->turn++;
    task->turn = schedule->turn;
    switch (event->kind) {
    case TRACE_ENTER:
        task->call = event->call;
        task->in_call = true;
        task->waited = false;
        break;
    case TRACE_RETURN:
        task->call.result = event->call.result;
        event->call = task->call;
        task->in_call = false;
        break;
    case TRACE_END:
        task->standing = SCHEDULE_GONE;
        break;
    default:
        break;
    }
    task->event = *event;
    return task;
}

/* ---- turns ----------------------------------------------------------------*/

/* Whether a task is on its way to its next stop: it runs ('R'), sleeps in the
 * kernel for a moment ('D'), or has just stopped ('t') or ended ('Z'), and
 * trace_next will tell of that. */
static bool is_on_its_way(const struct schedule_task *task) {
    switch (trace_state(task->id)) {
    case 'R':
    case 'D':
    case 't':
    case 'Z':
        return true;
    default:
        return false;
    }
}

/* Looks at what each task does, and stores it. Returns whether any of them is
 * on its way to its next stop. */
static bool update_standings(struct schedule *schedule) {
    bool unsettled = false;
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_task *task = &schedule->tasks[i];
        if (task->standing == SCHEDULE_READY)
            continue;
        if (is_on_its_way(task)) {
            task->standing = SCHEDULE_RUNNING;
            unsettled = true;
        } else {
            task->standing = SCHEDULE_WAITING;
        }
    }
    return unsettled;
}

/* The task that has been ready longest, or NULL if none is. A task without a
 * process must not go on: its maker's event is still to come. */
static struct schedule_task *find_longest_ready(struct schedule *schedule) {
    struct schedule_task *chosen = NULL;
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_task *task = &schedule->tasks[i];
        bool may_go_on = task->standing == SCHEDULE_READY && task->process >= 0;
        if (!may_go_on)
            continue;
        if (chosen == NULL || task->turn < chosen->turn)
            chosen = task;
    }
    return chosen;
}

/* Chooses the task that goes on: the current one while it can, but not for
 * ever. Returns NULL if none can. */
static struct schedule_task *choose_task(struct schedule *schedule) {
    struct schedule_task *current = find_task(schedule, schedule->current);
    if (current != NULL && current->standing == SCHEDULE_READY) {
        schedule->in_a_row++;
        if (schedule->in_a_row < MOST_TURNS_IN_A_ROW)
            return current;
    }
    schedule->in_a_row = 0;
    return find_longest_ready(schedule);
}

/* Marks the calls of all tasks that sleep now, while another task goes on or
 * none can: these calls have waited. */
static void mark_waiting(struct schedule *schedule) {
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_task *task = &schedule->tasks[i];
        if (task->standing == SCHEDULE_WAITING && task->in_call)
            task->waited = true;
    }
}

static void resume_task(struct schedule *schedule, struct schedule_task *task) {
    schedule->current = task->id;
    task->standing = SCHEDULE_RUNNING;
    task->resumed = schedule_now();
    trace_resume(&task->event, schedule->filtered);
}

/* Stores all events that have happened. Returns SCHEDULE_EVENT if any is
 * stored; or else SCHEDULE_OVER if no task is left, SCHEDULE_IDLE if nothing
 * has happened, or SCHEDULE_FAILED. */
static enum schedule_result store_events(struct schedule *schedule) {
    bool has_tasks = true;
    for (;;) {
        struct trace_event event;
        if (trace_next(&event) < 0) {
            has_tasks = false;
            break;
        }
        if (event.kind == TRACE_NONE)
            break;
        if (store_event(schedule, &event) < 0)
            return SCHEDULE_FAILED;
    }
    if (schedule->event_count > 0)
        return SCHEDULE_EVENT;
    if (!has_tasks)
        return SCHEDULE_OVER;
    return SCHEDULE_IDLE;
}

/* Lets the next task go on. Returns whether there is one that can. */
static bool resume_next(struct schedule *schedule) {
    mark_waiting(schedule);
    struct schedule_task *next = choose_task(schedule);
    if (next == NULL)
        return false;
    resume_task(schedule, next);
    return true;
}

/* Why no task can go on by itself. unsettled says whether a task is on its way
 * to its next stop. */
static enum schedule_result why_none_goes_on(bool unsettled) {
    if (unsettled)
        return SCHEDULE_BUSY;
    return SCHEDULE_IDLE;
}

/* Waits until an event is stored and no task runs any more. As long as there is
 * no event, lets one task after the other go on. Returns SCHEDULE_EVENT, or why
 * there is none. */
static enum schedule_result wait_for_events(struct schedule *schedule) {
    int64_t began = schedule_now();
    for (;;) {
        enum schedule_result stored = store_events(schedule);
        if (stored == SCHEDULE_OVER || stored == SCHEDULE_FAILED)
            return stored;
        bool unsettled = update_standings(schedule);
        int64_t waited = schedule_now() - began;
        if (unsettled && waited < (int64_t)PATIENCE_MS * NANOSECONDS_IN_MS) {
            (void)sched_yield();
            continue;
        }
        if (stored == SCHEDULE_EVENT)
            return SCHEDULE_EVENT;
        if (schedule->count == 0) /* we may have children not traced by us */
            return SCHEDULE_OVER;
        bool has_resumed = resume_next(schedule);
        if (!has_resumed)
            return why_none_goes_on(unsettled);
        began = schedule_now();
    }
}

enum schedule_result schedule_next(struct schedule *schedule,
                                   struct trace_event *event,
                                   struct schedule_task **task) {
    remove_gone(schedule);
    /* Events that were stored together are all given out before we look for
     * others. */
    if (schedule->given == 0) {
        enum schedule_result result = wait_for_events(schedule);
        if (result != SCHEDULE_EVENT)
            return result;
    }
    *task = give_event(schedule, event);
    if (*task == NULL)
        return SCHEDULE_FAILED;
    return SCHEDULE_EVENT;
}
