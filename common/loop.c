/* loop: waits for many descriptors at once, in one thread. */
#define _GNU_SOURCE

#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The signal stays in the kernel, unread, so we must not ask for it again. */
static void request_stop(void *owner, uint32_t events) {
    struct loop *loop = owner;
    (void)events;
    loop->is_stop_requested = 1;
    (void)loop_watch(loop, &loop->signals, 0);
}

/* Opens all descriptors of the loop. What was not opened stays -1. */
static int open_descriptors(struct loop *loop, const char **failed) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    *failed = "epoll_create1";
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return -1;
    *failed = "sigprocmask";
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    *failed = "signalfd";
    loop->signals.fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (loop->signals.fd < 0)
        return -1;
    *failed = "epoll_ctl";
    return loop_watch(loop, &loop->signals, EPOLLIN);
}

int loop_open(struct loop *loop, const char **failed) {
    *loop = (struct loop){.epoll = -1};
    loop->signals = (struct loop_watcher){
        .handle = request_stop,
        .owner = loop,
        .fd = -1,
    };
    if (open_descriptors(loop, failed) == 0)
        return 0;
    int error = errno;
    loop_close(loop);
    errno = error;
    return -1;
}

void loop_close(struct loop *loop) {
    if (loop->signals.fd >= 0)
        (void)close(loop->signals.fd);
    if (loop->epoll >= 0)
        (void)close(loop->epoll);
    loop->signals.fd = -1;
    loop->epoll = -1;
}

/* Takes the watcher out of the events that are not handled yet. Otherwise we
 * could call its function when it has been freed. */
static void forget_events(struct loop *loop,
                          const struct loop_watcher *watcher) {
    for (int i = loop->handled; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watcher)
            loop->events[i].data.ptr = NULL;
    }
}

int loop_watch(struct loop *loop, struct loop_watcher *watcher,
               uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watcher};
    int operation = EPOLL_CTL_MOD;
    if (events == watcher->events)
        return 0;
    if (events == 0) {
        operation = EPOLL_CTL_DEL;
        forget_events(loop, watcher);
    } else if (watcher->events == 0) {
        operation = EPOLL_CTL_ADD;
    }
    if (epoll_ctl(loop->epoll, operation, watcher->fd, &event) < 0)
        return -1;
    watcher->events = events;
    return 0;
}

void loop_add_timeout(struct loop *loop, struct loop_timeout *timeout) {
    timeout->next = loop->timeouts;
    loop->timeouts = timeout;
}

void loop_stop_timer(struct loop_timer *timer) {
    struct loop_timeout *timeout = timer->timeout;
    if (timeout == NULL)
        return;
    if (timer->previous == NULL)
        timeout->first = timer->next;
    else
        timer->previous->next = timer->next;
    if (timer->next == NULL)
        timeout->last = timer->previous;
    else
        timer->next->previous = timer->previous;
    timer->timeout = NULL;
}

void loop_start_timer(struct loop_timeout *timeout, struct loop_timer *timer) {
    loop_stop_timer(timer);
    timer->timeout = timeout;
    timer->deadline = deadline_after(timeout->milliseconds);
    timer->previous = timeout->last;
    timer->next = NULL;
    if (timeout->last == NULL)
        timeout->first = timer;
    else
        timeout->last->next = timer;
    timeout->last = timer;
}

/* How long epoll_wait may sleep: so many milliseconds, or until the first timer
 * is over. */
static int time_to_sleep(const struct loop *loop, int milliseconds) {
    const struct loop_timeout *timeout = loop->timeouts;
    while (timeout != NULL) {
        if (timeout->first != NULL) {
            int left = deadline_left(timeout->first->deadline);
            if (milliseconds < 0 || left < milliseconds)
                milliseconds = left;
        }
        timeout = timeout->next;
    }
    return milliseconds;
}

/* Handles the events that epoll_wait has returned. Since then, another
 * function may have stopped watching, or may now wait for other events. */
static int handle_events(struct loop *loop) {
    int calls = 0;
    while (loop->handled < loop->event_count) {
        struct epoll_event event = loop->events[loop->handled];
        struct loop_watcher *watcher = event.data.ptr;
        loop->handled++;
        if (watcher == NULL)
            continue;
        uint32_t ready = event.events & (watcher->events | EPOLLERR | EPOLLHUP);
        if (ready == 0)
            continue;
        watcher->handle(watcher->owner, ready);
        calls++;
    }
    return calls;
}

/* Calls the function for each timer that is over. If that function starts the
 * timer again, it is over later than now, so this ends. */
static int handle_timers(struct loop_timeout *timeout, struct deadline now) {
    int calls = 0;
    while (timeout->first != NULL &&
           timeout->first->deadline.nanoseconds <= now.nanoseconds) {
        struct loop_timer *timer = timeout->first;
        loop_stop_timer(timer);
        timeout->handle(timer->owner);
        calls++;
    }
    return calls;
}

int loop_turn(struct loop *loop, int milliseconds) {
    int count = epoll_wait(loop->epoll, loop->events, LOOP_EVENTS,
                           time_to_sleep(loop, milliseconds));
    loop->handled = 0;
    loop->event_count = 0;
    if (count < 0 && errno != EINTR)
        return -1;
    if (count > 0)
        loop->event_count = count;
    int calls = handle_events(loop);
    struct loop_timeout *timeout = loop->timeouts;
    if (timeout == NULL)
        return calls; /* without timers, we need not ask for the time */
    struct deadline now = deadline_after(0);
    while (timeout != NULL) {
        calls += handle_timers(timeout, now);
        timeout = timeout->next;
    }
    return calls;
}
