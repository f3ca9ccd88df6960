#define _GNU_SOURCE

#include "play.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "deadline.h"
#include "endpoint.h"
#include "membership.h"
#include "proc.h"
#include "trace.h"
#include "wire.h"

enum {
    PARTING_MS = 2000,  /* how long the other actors may take to end */
    MOST_NUMBERS = 100, /* of calls; more than call_numbers has */
    SIGNALLED = 128,    /* a shell adds it to the number of a signal */
};

static size_t last_actor(const struct play *play) {
    return play->scene->count - 1;
}

/* ---- starting -------------------------------------------------------------*/

/* Starts an actor's command, traced. Returns its process ID, or -1 and errno.
 */
static pid_t start_command(struct play *play, const struct scene_actor *actor) {
    uint32_t numbers[MOST_NUMBERS];
    size_t count = call_numbers(numbers, MOST_NUMBERS);
    struct trace_filter chosen = {numbers, count};
    const struct trace_filter *filter = &chosen;
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char command[SCENE_COMMAND_BYTES];
    char *const words[] = {shell, option, command, NULL};
    if (play->choice == RECORD_ALL_CALLS)
        filter = NULL;
    if (play->command != NULL)
        return trace_start(play->command, -1, filter);
    if (play->port[0] == '\0' && scene_needs_port(actor))
        errx(1, "%s needs {port}, but no program above it has a port",
             actor->name);
    scene_fill_in(actor, play->port, command);
    return trace_start(words, play->nothing, filter);
}

/* Says what a picture will lack on a system that forbids to borrow descriptors.
 */
static void try_to_borrow(pid_t process) {
    if (endpoint_try(process) < 0)
        warn("no round trips will be seen, and states only as /proc has them: "
             "pidfd_getfd");
}

static void start_actor(struct play *play) {
    const struct scene_actor *actor = &play->scene->actors[play->started];
    struct play_actor *started = &play->actors[play->started];
    started->pid = start_command(play, actor);
    if (started->pid < 0)
        err(1, "ptrace %s", actor->name);
    started->state = PLAY_STARTED;
    if (play->started == 0)
        try_to_borrow(started->pid);
    play->started++;
    struct schedule_task *task = schedule_add(&play->schedule, started->pid);
    if (task == NULL)
        err(1, "%s", actor->name);
    task->process =
        record_add(&play->record, started->pid, RECORD_NOBODY, actor->name);
    if (task->process < 0)
        err(1, "%s", actor->name);
}

/* The actor that was started as process pid, or NULL. */
static struct play_actor *find_actor(struct play *play, pid_t pid) {
    for (size_t i = 0; i < play->started; i++)
        if (play->actors[i].pid == pid)
            return &play->actors[i];
    return NULL;
}

/* ---- what happens ---------------------------------------------------------*/

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* The actor that a process belongs to. The process has the very name of the
 * actor, not a copy, so we can compare the addresses; and the search ends. */
static struct play_actor *actor_of(struct play *play, int process) {
    const char *name = play->record.processes[process].actor;
    size_t i = 0;
    while (play->scene->actors[i].name != name)
        i++;
    return &play->actors[i];
}

/* Stores the port at the end of "listening on 127.0.0.1:8080", if there is one.
 */
static void read_port(struct play *play, struct play_actor *actor,
                      const char *said) {
    const char *colon = strrchr(said, ':');
    if (colon == NULL)
        return;
    const char *port = colon + 1;
    if (strlen(port) >= sizeof play->port)
        return;
    actor->said_port = true;
    (void)snprintf(play->port, sizeof play->port, "%s", port);
}

/* After a write(2) on standard output: the actor is ready if its line says so.
 */
static void read_said(struct play *play, const struct schedule_task *task,
                      const struct trace_call *call) {
    struct play_actor *actor = actor_of(play, task->process);
    char said[64] = ""; /* it ends with a NUL that is not overwritten */
    if (call->arguments[0] != STDOUT_FILENO)
        return;
    if (call_sent(task->id, call, said, sizeof said - 1) == 0)
        return;
    said[strcspn(said, "\n")] = '\0';
    if (begins_with(said, "listening on ")) {
        actor->ready = true;
        read_port(play, actor, said);
    } else if (begins_with(said, "capturing on ")) {
        actor->ready = true;
    }
}

/* Whether a socket receives datagrams as soon as it is bound: one of UDP, or a
 * UNIX socket. */
static bool is_datagram_socket(const struct endpoint *endpoint) {
    switch (endpoint->family) {
    case AF_INET:
    case AF_INET6:
    case AF_UNIX:
        return endpoint->type == SOCK_DGRAM;
    default:
        return false;
    }
}

/* After listen(2): the actor is ready, whatever it says. If the actor has said
 * on which port it listens, we take that one: it may have several listeners. */
static void read_listener(struct play *play, const struct schedule_task *task,
                          const struct trace_call *call) {
    struct play_actor *actor = actor_of(play, task->process);
    pid_t pid = play->record.processes[task->process].pid;
    int fd = (int)call->arguments[0];
    struct endpoint listener;
    if (!call_is(call, "listen") || call->result != 0)
        return;
    actor->ready = true;
    actor->listens = true;
    if (actor->said_port)
        return;
    if (endpoint_read(pid, fd, &listener) < 0)
        return;
    if (listener.local.port != 0)
        (void)snprintf(play->port, sizeof play->port, "%u",
                       listener.local.port);
}

/* After bind(2) of a socket for datagrams: the actor waits for them, unless it
 * sends on that socket first. A client does that, and some clients bind theirs.
 */
static void read_bound(struct play *play, const struct schedule_task *task,
                       const struct trace_call *call) {
    struct play_actor *actor = actor_of(play, task->process);
    pid_t pid = play->record.processes[task->process].pid;
    int fd = (int)call->arguments[0];
    struct endpoint bound;
    bool sends =
        call_direction(call, fd) == CALL_SENDS || call_is(call, "sendmmsg");
    if (sends && actor->is_bound && actor->bound == fd)
        actor->is_bound = false;
    if (!call_is(call, "bind") || call->result != 0)
        return;
    if (endpoint_read(pid, fd, &bound) < 0 || !is_datagram_socket(&bound))
        return;
    actor->is_bound = true;
    actor->bound = fd;
    actor->bound_port = bound.local.port;
}

static bool is_thread_of(pid_t task, pid_t process) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d", (int)process,
                   (int)task);
    return access(path, F_OK) == 0;
}

/* A new task is a process of its own, or a thread of the one that made it. */
static void add_child(struct play *play, pid_t task, int maker) {
    const struct record_process *parent = &play->record.processes[maker];
    struct schedule_task *child = schedule_add(&play->schedule, task);
    if (child == NULL)
        err(1, "task %d", (int)task);
    if (is_thread_of(task, parent->pid))
        child->process = maker;
    else
        child->process = record_add(&play->record, task, maker, parent->actor);
    if (child->process < 0)
        err(1, "task %d", (int)task);
}

/* Records how a process has ended. */
static void record_end(struct play *play, int number, int status) {
    struct record_process *process = &play->record.processes[number];
    enum record_fate fate;
    char text[64];
    if (WIFSIGNALED(status)) {
        fate = RECORD_IS_KILLED;
        (void)snprintf(text, sizeof text, "killed by %s",
                       trace_signal_name(WTERMSIG(status)));
    } else {
        fate = RECORD_ENDS;
        (void)snprintf(text, sizeof text, "ends, status %d",
                       WEXITSTATUS(status));
    }
    /* A process that called exit_group(2) has ended then. */
    if (process->leaving == 0)
        process->leaving = schedule_now();
    if (!play->over)
        record_note(&play->record, number, process->leaving, fate, text);
}

static void handle_end(struct play *play, const struct trace_event *event,
                       int number) {
    if (play->record.processes[number].pid != event->task)
        return; /* it is a thread, and its process goes on */
    record_end(play, number, event->status);
    struct play_actor *actor = find_actor(play, event->task);
    if (actor == NULL)
        return;
    actor->state = PLAY_ENDED;
    actor->ready = true;
    actor->status = event->status;
}

/* Records that a process has got a signal. SIGCHLD is left out, because the end
 * of the child is recorded. */
static void record_signal(struct play *play, int signal, int process) {
    char text[32];
    if (play->over || signal == SIGCHLD)
        return;
    (void)snprintf(text, sizeof text, "gets %s", trace_signal_name(signal));
    record_note(&play->record, process, schedule_now(), RECORD_GOES_ON, text);
}

static void handle_enter(struct play *play, const struct trace_event *event,
                         struct schedule_task *task) {
    struct record_caller caller = {task->process, task->id, schedule_now()};
    const struct play_actor *actor = find_actor(play, task->id);
    task->event_number = -1;
    if (play->over)
        return;
    if (actor != NULL && actor->state == PLAY_STARTED)
        return; /* what we do between fork and exec is not the actor's */
    task->event_number =
        record_begin(&play->record, &caller, &event->call, play->choice);
}

static void handle_return(struct play *play, const struct trace_event *event,
                          const struct schedule_task *task) {
    struct record_times times = {task->resumed, schedule_now(), task->waited};
    if (!play->over && task->event_number >= 0)
        record_return(&play->record, task->event_number, task->id, &times,
                      &event->call);
    if (event->call.foreign)
        return;
    read_said(play, task, &event->call);
    read_listener(play, task, &event->call);
    read_bound(play, task, &event->call);
}

/* An actor's process has become its command. */
static void handle_exec(struct play *play, pid_t task) {
    struct play_actor *actor = find_actor(play, task);
    if (actor != NULL)
        actor->state = PLAY_RUNNING;
}

static void handle_event(struct play *play, const struct trace_event *event,
                         struct schedule_task *task) {
    if (task->process < 0)
        return; /* the event of its maker, TRACE_CHILD, is still to come */
    switch (event->kind) {
    case TRACE_ENTER:
        handle_enter(play, event, task);
        break;
    case TRACE_RETURN:
        handle_return(play, event, task);
        break;
    case TRACE_EXEC:
        handle_exec(play, task->id);
        break;
    case TRACE_CHILD:
        add_child(play, event->child, task->process);
        break;
    case TRACE_SIGNAL:
        record_signal(play, event->signal, task->process);
        break;
    case TRACE_END:
        handle_end(play, event, task->process);
        break;
    default:
        break;
    }
}

/* ---- the end --------------------------------------------------------------*/

static void signal_actors(const struct play *play, int signal) {
    for (size_t i = 0; i < play->started; i++)
        if (play->actors[i].state != PLAY_ENDED)
            (void)kill(play->actors[i].pid, signal);
}

static void kill_all(const struct play *play) {
    for (size_t i = 0; i < play->schedule.count; i++)
        (void)kill(play->schedule.tasks[i].id, SIGKILL);
}

/* When the time is up: kills all tasks. If the last actor had not ended, that
 * ends the play, too. */
static void cut_off(struct play *play) {
    if (!play->over)
        play->ended_at = schedule_now();
    play->over = true;
    kill_all(play);
}

/* Waits until something happens, for so many milliseconds at the most. SIGINT
 * or SIGTERM ends us, and the kernel kills what we trace; but if there is a
 * command of option -c, the command gets that signal in our place. */
static void wait_a_while(const struct play *play, int milliseconds) {
    struct pollfd mine = {.fd = play->signals, .events = POLLIN};
    struct signalfd_siginfo signal;
    if (poll(&mine, 1, milliseconds) <= 0)
        return;
    if (read(play->signals, &signal, sizeof signal) != sizeof signal)
        return;
    if (signal.ssi_signo == SIGCHLD)
        return;
    if (play->command == NULL)
        _exit(SIGNALLED + (int)signal.ssi_signo);
    signal_actors(play, (int)signal.ssi_signo);
}

/* ---- the play -------------------------------------------------------------*/

static bool has_started_all(const struct play *play) {
    return play->started == play->scene->count;
}

/* Whether the kernel will send a report by itself in a moment. */
static bool awaits_report(const struct play *play) {
    return play->wire >= 0 &&
           membership_is_awaited(&play->record, schedule_now());
}

/* Whether an actor is ready: it has a listener, or has said so, or has ended;
 * or it waits for datagrams. */
static bool is_ready(const struct play_actor *actor) {
    return actor->ready || actor->is_bound;
}

static bool may_start_next(const struct play *play) {
    return !has_started_all(play) && is_ready(&play->actors[play->started - 1]);
}

/* Starts the actor after one that is ready. If that one has only a socket for
 * datagrams, and has not said on which port, we take the port of this socket.
 */
static void start_next(struct play *play) {
    const struct play_actor *last = &play->actors[play->started - 1];
    bool has_port = last->said_port || last->listens;
    if (!has_port && last->is_bound && last->bound_port != 0)
        (void)snprintf(play->port, sizeof play->port, "%u", last->bound_port);
    start_actor(play);
}

/* The last actor has ended: asks the others to end, in a shorter time. */
static void end_play(struct play *play, struct deadline *limit) {
    play->over = true;
    signal_actors(play, SIGTERM);
    *limit = deadline_after(PARTING_MS);
}

/* When no task can go on by itself: starts the next actor, ends the play if the
 * last actor has ended, or else waits. */
static void go_on(struct play *play, struct deadline *limit) {
    if (play->over) {
        wait_a_while(play, deadline_left(*limit));
        return;
    }
    /* While a report is awaited, nothing else happens. So the report stands in
     * the same place in each picture. */
    if (awaits_report(play))
        wait_a_while(play, 1);
    else if (may_start_next(play))
        start_next(play);
    else if (play->actors[last_actor(play)].state == PLAY_ENDED)
        end_play(play, limit);
    else
        wait_a_while(play, deadline_left(*limit));
}

/* Reads the frames that have come. What fails once, such as a recvmsg(2) that
 * is forbidden, would fail again. So we say it, and look at the wire no more.
 */
static void read_wire(struct play *play, struct record *record) {
    if (wire_read(play->wire, record) == 0)
        return;
    warn("no more segments will be seen: recvmsg AF_PACKET");
    (void)close(play->wire);
    play->wire = -1;
}

/* Lets the next thing happen, and records it. Returns whether the play goes on.
 */
static bool step(struct play *play, struct deadline *limit) {
    struct trace_event event;
    struct schedule_task *task;
    enum schedule_result result = schedule_next(&play->schedule, &event, &task);
    struct record *record = &play->record;
    if (play->over)
        record = NULL;
    if (play->wire >= 0)
        read_wire(play, record);
    switch (result) {
    case SCHEDULE_EVENT:
        handle_event(play, &event, task);
        break;
    case SCHEDULE_IDLE:
        go_on(play, limit);
        break;
    case SCHEDULE_BUSY:
        wait_a_while(play, 1);
        break;
    case SCHEDULE_OVER:
        if (play->over || has_started_all(play))
            return false;
        go_on(play, limit);
        break;
    case SCHEDULE_FAILED:
        errx(1, "out of memory: an event is lost");
    }
    return true;
}

/* From now on, signals for us come by a descriptor, so that poll(2) can wait
 * for them and for a deadline at once. */
static void open_signals(struct play *play) {
    sigset_t mine;
    (void)sigemptyset(&mine);
    (void)sigaddset(&mine, SIGCHLD);
    (void)sigaddset(&mine, SIGINT);
    (void)sigaddset(&mine, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &mine, NULL);
    play->signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    if (play->signals < 0)
        err(1, "signalfd");
}

void play_run(struct play *play, int milliseconds) {
    if (proc_try() < 0)
        err(1, "which descriptors are sockets cannot be seen: /proc");
    struct deadline limit = deadline_after(milliseconds);
    play->schedule.filtered = play->choice != RECORD_ALL_CALLS;
    play->nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (play->nothing < 0)
        err(1, "/dev/null");
    open_signals(play);
    start_actor(play);
    while (step(play, &limit)) {
        if (deadline_left(limit) == 0)
            cut_off(play);
    }
}

int play_status(const struct play *play) {
    int status = play->actors[last_actor(play)].status;
    if (WIFSIGNALED(status))
        return SIGNALLED + WTERMSIG(status);
    return WEXITSTATUS(status);
}

void play_free(struct play *play) {
    record_free(&play->record);
    schedule_free(&play->schedule);
    (void)close(play->signals);
    (void)close(play->nothing);
}
