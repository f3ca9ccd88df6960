/*
 * tell-loop: what common/loop calls, and in what order.
 *
 *     tell-loop SCENARIO
 *
 * We open a loop, and play one scenario with it. Each function that the loop
 * calls prints a line: the name of its watcher or timer and, for a watcher, the
 * events. After each turn we print what loop_turn has returned. For example,
 * `tell-loop timers` prints:
 *
 *     short 1
 *     turn 1
 *     ...
 *
 * The scenarios are at the end of this file. If loop_open fails, we print the
 * name of the call, the reason, and how many descriptors are left open, unless
 * that is none.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "loop.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SHORT_MS = 30, LONG_MS = 60, MOST_TURNS = 20 };

struct end {
    const char *name;
    struct loop_watcher watcher;
    struct loop_timer timer;
    struct end *victim; /* closed and freed when this one is called */
};

static struct loop loop;
static struct end *survivor; /* it has removed its victim */
static struct loop_timeout short_timeout;
static struct loop_timeout long_timeout;

static int count_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        err(1, "/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static void watch(struct end *end, uint32_t events) {
    if (loop_watch(&loop, &end->watcher, events) < 0)
        printf("%s: %s\n", end->name, strerror(errno));
}

static void remove_end(struct end *end) {
    watch(end, 0);
    (void)close(end->watcher.fd);
    free(end);
}

static void tell_events(void *owner, uint32_t events) {
    struct end *end = owner;
    printf("%s%s%s%s%s\n", end->name, events & EPOLLIN ? " in" : "",
           events & EPOLLOUT ? " out" : "", events & EPOLLERR ? " error" : "",
           events & EPOLLHUP ? " hang-up" : "");
    if (end->victim != NULL) {
        remove_end(end->victim);
        end->victim = NULL;
        survivor = end;
    }
}

static void tell_timer(void *owner) {
    const struct end *end = owner;
    printf("%s is over\n", end->name);
}

/* This timer starts itself again. */
static void tell_and_restart(void *owner) {
    struct end *end = owner;
    tell_timer(owner);
    loop_start_timer(&short_timeout, &end->timer);
}

static struct end *make_end(const char *name, int fd) {
    struct end *end = calloc(1, sizeof *end);
    if (end == NULL)
        err(1, "calloc");
    end->name = name;
    end->watcher.handle = tell_events;
    end->watcher.owner = end;
    end->watcher.fd = fd;
    end->timer.owner = end;
    return end;
}

/* Makes two ends that are connected, each with a byte to read. */
static void make_pair(struct end **first, struct end **second) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        err(1, "socketpair");
    if (write(fds[0], "x", 1) != 1 || write(fds[1], "x", 1) != 1)
        err(1, "write");
    *first = make_end("first", fds[0]);
    *second = make_end("second", fds[1]);
}

static void turn(int milliseconds) {
    int result = loop_turn(&loop, milliseconds);
    if (result < 0)
        printf("turn: %s\n", strerror(errno));
    else
        printf("turn %d\n", result);
}

/* Turns until so many functions have been called. */
static void turn_until(int calls) {
    for (int i = 0; calls > 0 && i < MOST_TURNS; i++) {
        int result = loop_turn(&loop, -1);
        if (result < 0)
            err(1, "loop_turn");
        calls -= result;
    }
}

static void play_events(void) {
    struct end *first;
    struct end *second;
    make_pair(&first, &second);
    watch(first, EPOLLIN);
    turn(0);
    watch(first, EPOLLOUT);
    turn(0);
    watch(first, EPOLLIN | EPOLLOUT);
    turn(0);
    watch(first, 0);
    turn(0);
    watch(first, EPOLLIN);
    remove_end(second);
    turn(0);
    remove_end(first);
}

/* Both ends are in one batch. Whichever is called first removes the other. */
static void play_batch(void) {
    struct end *first;
    struct end *second;
    make_pair(&first, &second);
    first->name = "one of two";
    second->name = "one of two";
    first->victim = second;
    second->victim = first;
    watch(first, EPOLLIN);
    watch(second, EPOLLIN);
    turn(0);
    if (survivor != NULL)
        remove_end(survivor);
}

/* With -1 they would wait for ever if a timer was not looked at. */
static void play_timers(void) {
    struct end *slow = make_end("long", -1);
    struct end *quick = make_end("short", -1);
    struct end *renewed = make_end("renewed", -1);
    struct end *stopped = make_end("stopped", -1);
    struct end *last = make_end("last", -1);
    struct deadline begin = deadline_after(LONG_MS);
    loop_start_timer(&long_timeout, &slow->timer);
    loop_start_timer(&short_timeout, &renewed->timer);
    loop_start_timer(&short_timeout, &stopped->timer);
    loop_start_timer(&short_timeout, &quick->timer);
    loop_start_timer(&long_timeout, &last->timer);
    loop_stop_timer(&stopped->timer);
    loop_stop_timer(&stopped->timer);
    loop_start_timer(&long_timeout, &renewed->timer);
    turn_until(4);
    printf("%s\n", deadline_left(begin) == 0 ? "in time" : "too early");
    loop_start_timer(&short_timeout, &stopped->timer);
    turn_until(1);
    turn(0);
    free(slow);
    free(quick);
    free(renewed);
    free(stopped);
    free(last);
}

static void play_restart(void) {
    struct end *end = make_end("again", -1);
    short_timeout.handle = tell_and_restart;
    short_timeout.milliseconds = 1;
    loop_start_timer(&short_timeout, &end->timer);
    for (int i = 0; i < 3; i++)
        turn(-1);
    loop_stop_timer(&end->timer);
    turn(0);
    free(end);
}

static void play_signal(void) {
    struct deadline begin;
    (void)kill(getpid(), SIGTERM);
    turn(-1);
    printf("stop %d\n", loop.is_stop_requested);
    (void)kill(getpid(), SIGINT);
    begin = deadline_after(SHORT_MS);
    turn(SHORT_MS);
    printf("%s\n", deadline_left(begin) == 0 ? "in time" : "too early");
}

/* Asking for what the loop does already is no system call, and a failed one
 * changes nothing. A test makes the third epoll_ctl fail. */
static void play_change(void) {
    struct end *first;
    struct end *second;
    make_pair(&first, &second);
    watch(first, EPOLLIN);
    watch(first, EPOLLIN);
    watch(first, EPOLLOUT);
    turn(0);
    watch(first, EPOLLOUT);
    turn(0);
    remove_end(first);
    remove_end(second);
}

static void play_turn(void) {
    turn(0);
    turn(0);
}

static const struct scenario {
    const char *name;
    void (*play)(void);
} scenarios[] = {
    {"events", play_events},   {"batch", play_batch},   {"timers", play_timers},
    {"restart", play_restart}, {"signal", play_signal}, {"change", play_change},
    {"turn", play_turn},
};

static void (*find_scenario(const char *name))(void) {
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return scenarios[i].play;
    }
    errx(2, "there is no scenario %s", name);
}

int main(int argc, char **argv) {
    if (argc != 2)
        errx(2, "usage: tell-loop SCENARIO");
    void (*play)(void) = find_scenario(argv[1]);
    const char *failed;
    int before = count_descriptors();
    if (loop_open(&loop, &failed) < 0) {
        printf("%s: %s", failed, strerror(errno));
        int left = count_descriptors() - before;
        if (left != 0)
            printf(", and left %d open", left);
        printf("\n");
        return fflush(stdout) == EOF;
    }
    short_timeout.milliseconds = SHORT_MS;
    short_timeout.handle = tell_timer;
    long_timeout.milliseconds = LONG_MS;
    long_timeout.handle = tell_timer;
    loop_add_timeout(&loop, &short_timeout);
    loop_add_timeout(&loop, &long_timeout);
    play();
    loop_close(&loop);
    int left = count_descriptors() - before;
    if (left != 0)
        printf("%d are left open\n", left);
    return fflush(stdout) == EOF;
}
