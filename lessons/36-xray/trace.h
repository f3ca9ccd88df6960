/*
 * trace: what another process asks of the kernel. Built by lesson 36, on
 * ptrace(2).
 */
#ifndef XRAY_TRACE_H
#define XRAY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One system call, at its beginning or at its return. */
struct trace_call {
    bool foreign;    /* it is a call of another architecture, as a 32-bit
                        program makes them, or of x32: there, numbers mean
                        other calls, or arguments have other forms */
    uint64_t number; /* SYS_connect and so on: syscall(2) */
    uint64_t arguments[6];
    int64_t result; /* at its return; a negative one is an errno */
};

/* Why a task has stopped. A task is a process, or a thread of one. */
enum trace_kind {
    TRACE_NONE,   /* nothing has happened */
    TRACE_ENTER,  /* it is about to make a system call */
    TRACE_RETURN, /* the call has returned */
    TRACE_CHILD,  /* it has made another task, `child` */
    TRACE_EXEC,   /* it has become another program */
    TRACE_SIGNAL, /* a signal has been sent to it */
    TRACE_STOP,   /* it has stopped for another reason; let it go on */
    TRACE_END,    /* it has ended, with `status` */
};

struct trace_event {
    enum trace_kind kind;
    pid_t task;
    struct trace_call call; /* with TRACE_ENTER; the result with TRACE_RETURN */
    pid_t child;            /* with TRACE_CHILD */
    int signal;             /* with TRACE_SIGNAL: trace_resume passes it on */
    int status;             /* with TRACE_END, as waitpid(2) has it */
    bool stopped_by_signal; /* only SIGCONT lets it go on */
};

enum { TRACE_MOST_NUMBERS = 200 };

/* The calls at which a program stops. */
struct trace_filter {
    const uint32_t *numbers;
    size_t count; /* at most TRACE_MOST_NUMBERS */
};

/*
 * Starts a program that is traced from its first instruction on, with whatever
 * it starts in turn. command is as for execvp(3). output is a descriptor for
 * its standard input and output; if it is -1, the program has ours, and all our
 * descriptors that are not close-on-exec.
 *
 * With a filter, the program stops only at the calls that the filter names, and
 * at foreign ones: the kernel lets all others pass at full speed (seccomp(2)).
 * Then no program that it becomes gets new rights by set-user-ID. Without a
 * filter, NULL, it stops at all calls.
 *
 * Returns its process ID; or -1 and errno, and then nothing runs. The program
 * stands still until trace_resume, as after any event. When the tracer ends,
 * the kernel kills all that it traces.
 */
pid_t trace_start(char *const command[], int output,
                  const struct trace_filter *filter);

/*
 * Looks, without waiting, for the next event of any task that we trace. Returns
 * 0, with the kind TRACE_NONE if nothing has happened; or -1 and ECHILD if we
 * have no task left. After any other event but TRACE_END the task stands still
 * until trace_resume.
 */
int trace_next(struct trace_event *event);

/* Lets a task go on after an event, until its next one. filtered says whether
 * it was started with a filter. */
void trace_resume(const struct trace_event *event, bool filtered);

/* What a task does: 'R' it runs, 'S' it waits in a system call, 't' it stands
 * still for us, 'Z' it has ended, and other letters of proc(5), stat; 0 if
 * there is no such task. */
char trace_state(pid_t task);

/* "SIGTERM" and so on, or "signal 40". The text is good until the next call. */
const char *trace_signal_name(int signal);

/* Copies length bytes from an address in the memory of a task that stands
 * still. Returns how many could be read: 0 if the address is wrong. Where
 * process_vm_readv(2) is forbidden, ptrace(2) itself reads them, more slowly.
 */
size_t trace_read(pid_t task, uint64_t address, void *bytes, size_t length);

#endif
