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

/* A C library older than the kernel doesn't know its number. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum {
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
              PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP |
              PTRACE_O_EXITKILL,
    SYSCALL_STOP = SIGTRAP | 0x80, /* by PTRACE_O_TRACESYSGOOD */
    CANNOT_RUN = 127,              /* as a shell has it */
    CLOSE_ON_EXEC = 1 << 2, /* CLOSE_RANGE_CLOEXEC of linux/close_range.h */
};

/* ---- the filter -----------------------------------------------------------*/

/* One instruction for the kernel's packet filter, which also decides about
 * calls, and a program of them. They are as in linux/filter.h, which not every
 * C library brings. */
struct instruction {
    uint16_t code;
    uint8_t if_true;  /* so many instructions are skipped */
    uint8_t if_false; /* likewise */
    uint32_t value;
};

struct program { /* the kernel reads it */
    // cppcheck-suppress unusedStructMember
    unsigned short count;
    // cppcheck-suppress unusedStructMember
    struct instruction *instructions;
};

/* From linux/filter.h and linux/seccomp.h. */
enum {
    LOAD_WORD = 0x20, /* of struct seccomp_data, at offset `value` */
    JUMP_IF_EQUAL = 0x15,
    RETURN = 0x06,
    ALLOW = 0x7fff0000, /* SECCOMP_RET_ALLOW */
    STOP = 0x7ff00000,  /* SECCOMP_RET_TRACE */
    FILTER_MODE = 2,    /* SECCOMP_MODE_FILTER */
    CALL_NUMBER = 0,    /* offsets in struct seccomp_data */
    ARCHITECTURE = 4,
    MOST_INSTRUCTIONS = TRACE_MOST_NUMBERS + 5,
};

/* The architecture that we were built for, as linux/audit.h has it: a number of
 * a call is one of its table. */
#if defined(__x86_64__)
static const uint32_t our_architecture = 0xc000003e;
#elif defined(__aarch64__)
static const uint32_t our_architecture = 0xc00000b7;
#elif defined(__i386__)
static const uint32_t our_architecture = 0x40000003;
#elif defined(__arm__)
static const uint32_t our_architecture = 0x40000028;
#elif defined(__riscv) && __riscv_xlen == 64
static const uint32_t our_architecture = 0xc00000f3;
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
static const uint32_t our_architecture = 0xc0000015;
#elif defined(__s390x__)
static const uint32_t our_architecture = 0x80000016;
#else
#error "add the number that linux/audit.h has for this architecture"
#endif

/* Installs the program that the kernel runs at each call of this process: it
 * stops the process if the call is of another architecture, or if its number is
 * one of the filter. Returns 0, or -1 and errno. */
static int install(const struct trace_filter *filter) {
    struct instruction instructions[MOST_INSTRUCTIONS];
    size_t count = filter->count;
    if (count > TRACE_MOST_NUMBERS) {
        errno = EINVAL;
        return -1;
    }
    /* The comparisons are followed by ALLOW, and that by STOP. */
    uint8_t to_stop = (uint8_t)(count + 2);
    instructions[0] = (struct instruction){LOAD_WORD, 0, 0, ARCHITECTURE};
    instructions[1] =
        (struct instruction){JUMP_IF_EQUAL, 0, to_stop, our_architecture};
    instructions[2] = (struct instruction){LOAD_WORD, 0, 0, CALL_NUMBER};
    for (size_t i = 0; i < count; i++) {
        to_stop = (uint8_t)(count - i);
        instructions[i + 3] =
            (struct instruction){JUMP_IF_EQUAL, to_stop, 0, filter->numbers[i]};
    }
    instructions[count + 3] = (struct instruction){RETURN, 0, 0, ALLOW};
    instructions[count + 4] = (struct instruction){RETURN, 0, 0, STOP};
    struct program program = {(unsigned short)(count + 5), instructions};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, FILTER_MODE, &program, 0, 0);
}

/* ---- starting -------------------------------------------------------------*/

/* Reads from a pipe until its other end is closed. */
static void wait_for_end(int pipe) {
    char byte;
    ssize_t got;
    do
        got = read(pipe, &byte, 1);
    while (got < 0 && errno == EINTR);
}

/* Makes the signals as a new program expects them. */
static void restore_signals(void) {
    sigset_t none;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process: waits at the gate until it is traced, then becomes the
 * program. */
static _Noreturn void become(char *const command[], int output,
                             const struct trace_filter *filter, int gate) {
    wait_for_end(gate);
    if (output >= 0) {
        (void)dup2(output, STDIN_FILENO);
        (void)dup2(output, STDOUT_FILENO);
        /* Otherwise the program's first descriptor would not be 3 wherever we
         * have inherited others. */
        (void)syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC);
    }
    restore_signals();
    if (filter == NULL || install(filter) == 0)
        (void)execvp(command[0], command);
    (void)fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
    _exit(CANNOT_RUN);
}

/* Begins to trace a process; returns 0, or -1 and errno. */
static int seize(pid_t pid) {
    if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0)
        return -1;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
        return -1;
    return 0;
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
    if (pid > 0 && seize(pid) < 0) {
        int reason = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        errno = reason;
        pid = -1;
    }
    (void)close(gate[1]); /* this opens the gate */
    return pid;
}

/* ---- events ---------------------------------------------------------------*/

/* Reads at which call a task has stopped, and whether it begins or returns. */
static void read_call(struct trace_event *event) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, event->task, sizeof info, &info) <= 0)
        return;
    switch (info.op) {
    case PTRACE_SYSCALL_INFO_ENTRY:
    case PTRACE_SYSCALL_INFO_SECCOMP: /* its fields lie in the same places */
        event->kind = TRACE_ENTER;
        event->call.foreign = info.arch != our_architecture;
        event->call.number = info.entry.nr;
        memcpy(event->call.arguments, info.entry.args,
               sizeof event->call.arguments);
        break;
    case PTRACE_SYSCALL_INFO_EXIT:
        event->kind = TRACE_RETURN;
        event->call.result = info.exit.rval;
        break;
    default:
        break;
    }
}

static void read_child(struct trace_event *event) {
    unsigned long child = 0;
    if (ptrace(PTRACE_GETEVENTMSG, event->task, NULL, &child) < 0)
        return;
    event->kind = TRACE_CHILD;
    event->child = (pid_t)child;
}

/* Reads any other reason for a stop: ptrace(2) has them in the third byte of
 * the status. */
static void read_stop(struct trace_event *event) {
    int signal = WSTOPSIG(event->status);
    switch (event->status >> 16) {
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        read_child(event);
        break;
    case PTRACE_EVENT_SECCOMP:
        read_call(event);
        break;
    case PTRACE_EVENT_EXEC:
        event->kind = TRACE_EXEC;
        break;
    case PTRACE_EVENT_STOP: /* new, interrupted, or stopped by a signal */
        event->stopped_by_signal = signal != SIGTRAP;
        break;
    default:
        event->kind = TRACE_SIGNAL;
        event->signal = signal;
        break;
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
        read_stop(event);
    return 0;
}

void trace_resume(const struct trace_event *event, bool filtered) {
    pid_t task = event->task;
    /* Each of these fails with ESRCH if the task was killed while it stood
     * still. Then trace_next tells of its end. */
    if (event->stopped_by_signal)
        (void)ptrace(PTRACE_LISTEN, task, NULL, NULL);
    else if (filtered && event->kind != TRACE_ENTER)
        /* The filter stops it at the next call. */
        (void)ptrace(PTRACE_CONT, task, NULL, event->signal);
    else
        (void)ptrace(PTRACE_SYSCALL, task, NULL, event->signal);
}

/* ---- looking at a task ----------------------------------------------------*/

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
    /* Before the letter stands the program's name in parentheses, which may
     * have parentheses of its own. */
    const char *name_end = strrchr(line, ')');
    if (name_end == NULL || strlen(name_end) < 3)
        return 0;
    return name_end[2];
}

/* Copies word by word, as ptrace(2) has always done it. */
static size_t peek(pid_t task, uint64_t address, void *bytes, size_t length) {
    uint8_t *to = bytes;
    size_t done = 0;
    while (done < length) {
        size_t part = length - done;
        if (part > sizeof(long))
            part = sizeof(long);
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, task, address + done, NULL);
        if (errno != 0)
            break;
        memcpy(to + done, &word, part);
        done += part;
    }
    return done;
}

size_t trace_read(pid_t task, uint64_t address, void *bytes, size_t length) {
    struct iovec ours = {bytes, length};
    struct iovec theirs = {NULL, length};
    uintptr_t place = (uintptr_t)address;
    /* It points into the memory of the other process, so it is not made into
     * a pointer of ours by a cast. */
    memcpy(&theirs.iov_base, &place, sizeof place);
    ssize_t got = process_vm_readv(task, &ours, 1, &theirs, 1, 0);
    if (got >= 0)
        return (size_t)got;
    if (errno == EFAULT)
        return 0;
    return peek(task, address, bytes, length); /* we may not, or cannot */
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
