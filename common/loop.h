/*
 * loop: waits for many descriptors at once, in one thread, and calls a function
 * for each that is ready and for each timer whose time is up.
 * Built by lesson 27, from what the server of lesson 25 does in one function.
 *
 * A program opens one loop, lets it watch its descriptors, and then calls
 * loop_turn again and again, until a signal asks it to stop. The loop never
 * calls two functions at the same time. Each function may watch, change and
 * close any descriptor, start and stop any timer, and free the memory of any
 * watcher and timer that the loop does not use any more.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "deadline.h"

#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_EVENTS = 256 }; /* that one epoll_wait(2) reports at most */

/*
 * One descriptor, and what to do when it is ready. It belongs to the caller,
 * who sets handle, owner and fd, and leaves the rest 0. It may not move or be
 * freed while the loop watches it.
 */
struct loop_watcher {
    /* Called with owner, and with the events that have come: EPOLLIN or
     * EPOLLOUT if we wait for them, and EPOLLERR or EPOLLHUP in any case. */
    void (*handle)(void *owner, uint32_t events);
    void *owner;
    int fd;
    uint32_t events; /* what the loop waits for, or 0: loop_watch sets it */
};

/*
 * A length of time, and what to do when it is over. All timers that run for
 * this long are in one list. The timer that was started first is the first that
 * is over, so the list is in order without any sorting. The caller sets
 * milliseconds (at least 1) and handle, and leaves the rest 0.
 */
struct loop_timeout {
    int milliseconds;
    void (*handle)(void *owner); /* called with the owner of the timer */
    struct loop_timer *first;
    struct loop_timer *last;
    struct loop_timeout *next; /* of the same loop */
};

/* A timer, of the caller's, who sets owner and leaves the rest 0. It may not
 * move or be freed while it runs. */
struct loop_timer {
    void *owner;
    struct deadline deadline;
    struct loop_timeout *timeout; /* NULL: the timer does not run */
    struct loop_timer *previous;
    struct loop_timer *next;
};

struct loop {
    int epoll;
    struct loop_watcher signals; /* SIGINT and SIGTERM arrive here */
    int is_stop_requested;       /* one of them has come */
    struct loop_timeout *timeouts;
    struct epoll_event events[LOOP_EVENTS];
    int event_count; /* what epoll_wait has returned */
    int handled;     /* so many of them we have handled */
};

/*
 * Opens the loop. From now on SIGINT and SIGTERM interrupt nothing; the first
 * of them sets is_stop_requested, and ends the wait in loop_turn. This is so
 * for the whole process, so a process can have one loop only.
 *
 * Returns 0, and then the caller gives the loop to loop_close in the end.
 * Otherwise it returns -1 with errno, *failed is the name of the call that
 * failed, and nothing is left open.
 */
int loop_open(struct loop *loop, const char **failed);

/*
 * Waits for these events of the watcher's descriptor from now on, and for no
 * others: EPOLLIN, EPOLLOUT, or both. If the loop does that already, this costs
 * no system call. With 0, the loop stops watching: then the function of this
 * watcher is not called any more, even if its event has been reported already.
 * Stop watching before you close the descriptor.
 *
 * Returns 0, or -1 with an errno of epoll_ctl(2): then the loop waits for what
 * it waited for before.
 */
int loop_watch(struct loop *loop, struct loop_watcher *watcher,
               uint32_t events);

/* Makes the timeout known to the loop, once, before a timer of it starts. It
 * may not move or be freed before the loop is closed. */
void loop_add_timeout(struct loop *loop, struct loop_timeout *timeout);

/* Starts the timer: it is over when the timeout's milliseconds have passed from
 * now. If it runs already, its time begins anew. */
void loop_start_timer(struct loop_timeout *timeout, struct loop_timer *timer);

/* Stops the timer, if it runs. */
void loop_stop_timer(struct loop_timer *timer);

/*
 * Waits until a descriptor is ready, a timer is over or a signal comes, but not
 * longer than so many milliseconds (-1: for ever). Calls the functions of the
 * descriptors that are ready, and then those of the timers that are over. A
 * timer has been stopped when its function is called. It is at least as long as
 * it should be, and longer if functions take long.
 *
 * Returns how many functions it has called, the loop's own for signals among
 * them, or -1 with an errno of epoll_wait(2), but never EINTR.
 */
int loop_turn(struct loop *loop, int milliseconds);

/* Closes what loop_open has opened. Watched descriptors stay open, and the
 * signals stay blocked. */
void loop_close(struct loop *loop);

#endif
