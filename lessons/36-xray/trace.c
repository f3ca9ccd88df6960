#define _GNU_SOURCE

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
              PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP |
              PTRACE_O_EXITKILL,
    SYSCALL_STOP = SIGTRAP | 0x80, /* what TRACESYSGOOD makes of SIGTRAP */
    CANNOT_RUN = 127,
    MOST_NUMBERS = 200,
    CLOSE_ON_EXEC = 1 << 2, /* CLOSE_RANGE_CLOEXEC of linux/close_range.h */
};

/* One step of a program for the kernel's own small machine, and such a program:
 * as in linux/filter.h and linux/seccomp.h, which not every C library brings.
 */
struct step {
    uint16_t code;
    uint8_t if_true, if_false; /* so many steps are passed over */
    uint32_t value;
};

struct program { /* the kernel reads it */
    // cppcheck-suppress unusedStructMember
    unsigned short count;
    // cppcheck-suppress unusedStructMember
    struct step *steps;
};

enum {
    LOAD_NUMBER = 0x20, /* the word at offset `value`: 0 is the call's number */
    JUMP_IF_EQUAL = 0x15,
    RETURN = 0x06,
    ALLOW = 0x7fff0000, /* SECCOMP_RET_ALLOW */
    STOP = 0x7ff00000,  /* SECCOMP_RET_TRACE */
    FILTER_MODE = 2,    /* SECCOMP_MODE_FILTER */
};

/* It is run at each call: is its number one of ours? */
static int install(const struct trace_filter *filter) {
    struct step steps[MOST_NUMBERS + 3];
    unsigned short count = 0;
    steps[count++] = (struct step){LOAD_NUMBER, 0, 0, 0};
    for (size_t i = 0; i < filter->count && i < MOST_NUMBERS; i++)
        steps[count++] = (struct step){
            JUMP_IF_EQUAL, (uint8_t)(filter->count - i), 0, filter->numbers[i]};
    steps[count++] = (struct step){RETURN, 0, 0, ALLOW};
    steps[count++] = (struct step){RETURN, 0, 0, STOP};
    struct program program = {count, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, FILTER_MODE, &program, 0, 0);
}

/* The new process waits until somebody traces it, and becomes the program. */
static _Noreturn void become(char *const command[], int output,
                             const struct trace_filter *filter, int gate) {
    char byte;
    while (read(gate, &byte, 1) < 0 && errno == EINTR) {
    }
    if (output >= 0) {
        (void)dup2(output, STDIN_FILENO);
        (void)dup2(output, STDOUT_FILENO);
        /* Whatever else we have: its first descriptor is 3, as ever. */
        (void)syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC);
    }
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (filter == NULL || install(filter) == 0)
        (void)execvp(command[0], command);
    (void)fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
    _exit(CANNOT_RUN);
}

pid_t trace_start(char *const command[], int output,
                  const struct trace_filter *filter) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(gate[1]);
        become(command, output, filter, gate[0]);
    }
    (void)close(gate[0]);
    if (pid > 0 && (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0 ||
                    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)) {
        int reason = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        errno = reason;
        pid = -1;
    }
    (void)close(gate[1]);
    return pid;
}

/* A stop at a system call: at its beginning, or at its return? */
static void read_call(struct trace_event *event) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, event->task, sizeof info, &info) <= 0)
        return;
    /* A filter's stop tells the same as one at a beginning, in the same place.
     */
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY ||
        info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
        event->kind = TRACE_ENTER;
        event->call.number = info.entry.nr;
        memcpy(event->call.arguments, info.entry.args,
               sizeof event->call.arguments);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        event->kind = TRACE_RETURN;
        event->call.result = info.exit.rval;
    }
}

/* A stop that is none at a system call: ptrace(2) tells them apart. */
static void read_stop(struct trace_event *event, int status) {
    unsigned long message = 0;
    switch (status >> 16) {
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        if (ptrace(PTRACE_GETEVENTMSG, event->task, NULL, &message) == 0) {
            event->kind = TRACE_CHILD;
            event->child = (pid_t)message;
        }
        break;
    case PTRACE_EVENT_SECCOMP:
        read_call(event);
        break;
    case PTRACE_EVENT_EXEC:
        event->kind = TRACE_EXEC;
        break;
    case PTRACE_EVENT_STOP: /* new, interrupted, or stopped by a signal */
        event->listen = WSTOPSIG(status) != SIGTRAP;
        break;
    default:
        event->kind = TRACE_SIGNAL;
        event->signal = WSTOPSIG(status);
    }
}

int trace_next(struct trace_event *event) {
    int status;
    *event = (struct trace_event){.kind = TRACE_NONE};
    pid_t task = waitpid(-1, &status, WNOHANG | __WALL);
    if (task < 0 && errno != EINTR)
        return -1;
    if (task <= 0)
        return 0;
    event->task = task;
    event->kind = TRACE_STOP;
    event->status = status;
    if (!WIFSTOPPED(status))
        event->kind = TRACE_END;
    else if (WSTOPSIG(status) == SYSCALL_STOP)
        read_call(event);
    else
        read_stop(event, status);
    return 0;
}

void trace_resume(const struct trace_event *event, bool filtered) {
    pid_t task = event->task;
    /* ESRCH: it was killed while it stood still. Its end will be told. */
    if (event->listen)
        (void)ptrace(PTRACE_LISTEN, task, NULL, event->signal);
    else if (filtered && event->kind != TRACE_ENTER) /* the filter stops it */
        (void)ptrace(PTRACE_CONT, task, NULL, event->signal);
    else
        (void)ptrace(PTRACE_SYSCALL, task, NULL, event->signal);
}

char trace_state(pid_t task) {
    char path[64];
    char line[512];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)task);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, line, sizeof line - 1);
    (void)close(fd);
    if (got <= 0)
        return 0;
    line[got] = '\0';
    /* The program's name, in parentheses, may hold anything. */
    const char *name_end = strrchr(line, ')');
    if (name_end == NULL || strlen(name_end) < 3)
        return 0;
    return name_end[2];
}

size_t trace_read(pid_t task, uint64_t address, void *bytes, size_t length) {
    struct iovec ours = {bytes, length};
    struct iovec theirs = {NULL, length};
    uintptr_t place = (uintptr_t)address; /* no pointer of ours */
    memcpy(&theirs.iov_base, &place, sizeof place);
    ssize_t got = process_vm_readv(task, &ours, 1, &theirs, 1, 0);
    return got < 0 ? 0 : (size_t)got;
}

const char *trace_signal_name(int signal) {
    static const struct {
        int signal;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},       {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"},
        {SIGILL, "SIGILL"},       {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"},
        {SIGBUS, "SIGBUS"},       {SIGFPE, "SIGFPE"},   {SIGKILL, "SIGKILL"},
        {SIGUSR1, "SIGUSR1"},     {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"},
        {SIGPIPE, "SIGPIPE"},     {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"},
        {SIGCHLD, "SIGCHLD"},     {SIGCONT, "SIGCONT"}, {SIGSTOP, "SIGSTOP"},
        {SIGTSTP, "SIGTSTP"},     {SIGTTIN, "SIGTTIN"}, {SIGTTOU, "SIGTTOU"},
        {SIGURG, "SIGURG"},       {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"},
        {SIGVTALRM, "SIGVTALRM"}, {SIGPROF, "SIGPROF"}, {SIGWINCH, "SIGWINCH"},
        {SIGIO, "SIGIO"},         {SIGSYS, "SIGSYS"},
    };
    static char unknown[32];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].signal == signal)
            return names[i].name;
    (void)snprintf(unknown, sizeof unknown, "signal %d", signal);
    return unknown;
}
