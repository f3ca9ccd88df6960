/*
 * trace: what a process asks of the kernel, seen from outside. Built by
 * lesson 36, on ptrace(2).
 */
#ifndef COMMON_TRACE_H
#define COMMON_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One system call, at its beginning or at its return. */
struct trace_call {
    uint64_t number; /* SYS_connect and so on: see syscall(2) */
    uint64_t arguments[6];
    int64_t result; /* a negative one is an errno */
};

enum trace_kind {
    TRACE_NONE,   /* nobody has stopped */
    TRACE_ENTER,  /* it stands before a system call */
    TRACE_RETURN, /* and behind it */
    TRACE_CHILD,  /* it has made a process or a thread, `child` */
    TRACE_EXEC,   /* it has become another program */
    TRACE_SIGNAL, /* a signal has come for it */
    TRACE_STOP,   /* it stands still for another reason */
    TRACE_END,    /* it has ended, with `status` as waitpid(2) tells it */
};

struct trace_event {
    enum trace_kind kind;
    pid_t task; /* a process, or a thread of one */
    struct trace_call call;
    pid_t child;
    int signal; /* to be handed on by trace_resume; 0 for none */
    int status;
    bool listen; /* a stop that only SIGCONT ends */
};

/* The calls at which a program is to stand still, by number: NULL is all. */
struct trace_filter {
    const uint32_t *numbers;
    size_t count; /* 200 at the most */
};

/*
 * Starts a program that is traced from its first instruction on, and whatever
 * it starts. command as for execvp(3); output is a descriptor for its standard
 * input and output, or -1 for all of ours. Returns its process, or -1 and
 * errno. It stands still until trace_resume, as after any event. When the
 * tracer ends, all that it traces is killed. With a filter the kernel itself
 * passes over all other calls, at full speed (seccomp(2)); no program that it
 * becomes gets any new rights by set-user-ID then.
 */
pid_t trace_start(char *const command[], int output,
                  const struct trace_filter *filter);

/*
 * What has happened to one that we trace, if anything has: returns 0, with
 * TRACE_NONE for nothing yet; or -1 and ECHILD when nobody is left. Who stopped
 * goes on only by trace_resume.
 */
int trace_next(struct trace_event *event);

/* Lets it go on to the next event, with the signal it was stopped by; filtered
 * says whether it was started with a filter. */
void trace_resume(const struct trace_event *event, bool filtered);

/* Where a task is: 'R' runs, 'S' waits in a system call, 't' stands still
 * for us, 'Z' has ended; 0 when it is not there (proc(5), stat). */
char trace_state(pid_t task);

/* "SIGTERM" and so on, or "signal 40". The text is good until the next call. */
const char *trace_signal_name(int signal);

/* Copies length bytes from its memory. Returns how many could be read. */
size_t trace_read(pid_t task, uint64_t address, void *bytes, size_t length);

#endif
