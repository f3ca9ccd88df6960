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
 * calls. It has the form of struct sock_filter in linux/filter.h, a header that
 * is not installed with every C library. */
struct instruction {
    uint16_t code;
    uint8_t if_true;  /* how many instructions a comparison skips if it holds */
    uint8_t if_false; /* and how many if it does not hold */
    uint32_t value;
};

/* A program of such instructions, as struct sock_fprog. Only the kernel reads
 * its fields. */
struct program {
    // cppcheck-suppress unusedStructMember
    unsigned short count;
    // cppcheck-suppress unusedStructMember
    struct instruction *instructions;
};

/* From linux/filter.h and linux/seccomp.h. */
enum {
    LOAD_WORD = 0x20, /* of struct seccomp_data, at offset `value` */
    JUMP_IF_EQUAL = 0x15,
    JUMP_IF_ANY_BIT = 0x45, /* of `value` is set */
    RETURN = 0x06,
    ALLOW = 0x7fff0000, /* SECCOMP_RET_ALLOW */
    STOP = 0x7ff00000,  /* SECCOMP_RET_TRACE */
    FILTER_MODE = 2,    /* SECCOMP_MODE_FILTER */
    CALL_NUMBER = 0,    /* offsets in struct seccomp_data */
    ARCHITECTURE = 4,
};

/* Where the parts of our program stand: four instructions, one comparison for
 * each call of the filter, and then ALLOW and STOP. */
enum {
    CHECK_ARCHITECTURE = 1, /* after the architecture is loaded */
    CHECK_X32 = 3,          /* after the number of the call is loaded */
    FIRST_COMPARISON = 4,
    MOST_INSTRUCTIONS = FIRST_COMPARISON + TRACE_MOST_NUMBERS + 2,
};

/* The architecture that we were built for, as linux/audit.h has it. Each
 * architecture has its own table of call numbers. */
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

/* x86-64 has a second table of calls, x32, for programs with addresses of 32
 * bits. Their architecture is the same, but their numbers have this bit
 * (seccomp(2)). Elsewhere no call has it. */
static const uint32_t x32_bit = 0x40000000;

static bool is_foreign(uint32_t architecture, uint64_t number) {
    /* A number that is negative is of no call at all. */
    bool is_x32 = number <= INT32_MAX && (number & x32_bit) != 0;
    return architecture != our_architecture || is_x32;
}

/* How many instructions a comparison at `from` skips so that the one at `to` is
 * next: those between the two. A program of ours is so short that the number
 * fits into a byte. */
static uint8_t skipped(size_t from, size_t to) {
    return (uint8_t)(to - from - 1);
}

/* Writes the program that the kernel runs at each call: it stops the process if
 * the call is of another architecture or of x32, or if its number is one of the
 * filter.
 * Returns how many instructions it has. */
static size_t write_program(const struct trace_filter *filter,
                            struct instruction *instructions) {
    size_t allow = FIRST_COMPARISON + filter->count;
    size_t stop = allow + 1;
    uint8_t to_stop = skipped(CHECK_ARCHITECTURE, stop);
    instructions[0] = (struct instruction){LOAD_WORD, 0, 0, ARCHITECTURE};
    instructions[CHECK_ARCHITECTURE] =
        (struct instruction){JUMP_IF_EQUAL, 0, to_stop, our_architecture};
    instructions[2] = (struct instruction){LOAD_WORD, 0, 0, CALL_NUMBER};
    instructions[CHECK_X32] = (struct instruction){
        JUMP_IF_ANY_BIT, skipped(CHECK_X32, stop), 0, x32_bit};
    for (size_t i = 0; i < filter->count; i++) {
        size_t at = FIRST_COMPARISON + i;
        to_stop = skipped(at, stop);
        instructions[at] =
            (struct instruction){JUMP_IF_EQUAL, to_stop, 0, filter->numbers[i]};
    }
    instructions[allow] = (struct instruction){RETURN, 0, 0, ALLOW};
    instructions[stop] = (struct instruction){RETURN, 0, 0, STOP};
    return stop + 1;
}

/* Installs the filter in this process, and in whatever it becomes. Returns 0,
 * or -1 and errno. */
static int install_filter(const struct trace_filter *filter) {
    struct instruction instructions[MOST_INSTRUCTIONS];
    if (filter->count > TRACE_MOST_NUMBERS) {
        errno = EINVAL;
        return -1;
    }
    size_t count = write_program(filter, instructions);
    struct program program = {(unsigned short)count, instructions};
    /* Without this the kernel takes a filter only from a process with
     * CAP_SYS_ADMIN: seccomp(2). */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, FILTER_MODE, &program, 0, 0);
}

/* ---- starting -------------------------------------------------------------*/

/* Waits until the other end of a pipe, through which nothing is sent, is
 * closed. Then read returns 0. */
static void wait_for_end(int pipe) {
    char byte;
    ssize_t got;
    do
        got = read(pipe, &byte, 1);
    while (got < 0 && errno == EINTR);
}

/* Sets the signals as a new program expects them: execvp would pass on to it
 * which signals we ignore, and which we block. */
static void restore_signals(void) {
    sigset_t none;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Makes output the standard input and output of the program to come. It gets no
 * other descriptor of ours but standard error: otherwise its first new one
 * would not be 3 where we have inherited others ourselves. An older kernel has
 * no close_range(2), and the program then keeps them. */
static void pass_output(int output) {
    const unsigned last = ~0U;
    (void)dup2(output, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)syscall(SYS_close_range, 3U, last, CLOSE_ON_EXEC);
}

/* Becomes the program, or returns with errno. */
static void execute(char *const command[], const struct trace_filter *filter) {
    if (filter != NULL && install_filter(filter) < 0)
        return;
    (void)execvp(command[0], command);
}

/* In the new process: waits at the gate until it is traced, then becomes the
 * program. */
static _Noreturn void run_child(char *const command[], int output,
                                const struct trace_filter *filter, int gate) {
    wait_for_end(gate);
    if (output >= 0)
        pass_output(output);
    restore_signals();
    execute(command, filter);
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

/* Kills a child that cannot be traced; errno stays. */
static void kill_child(pid_t pid) {
    int reason = errno;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    errno = reason;
}

/* The gate is a pipe. The child waits at it until we close our end: by then we
 * trace the child. */
pid_t trace_start(char *const command[], int output,
                  const struct trace_filter *filter) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        /* With its own copy of our end open, the child would wait for ever. */
        (void)close(gate[1]);
        run_child(command, output, filter, gate[0]);
    }
    (void)close(gate[0]);
    if (pid > 0) {
        int seized = seize(pid);
        if (seized < 0) {
            kill_child(pid);
            pid = -1;
        }
    }
    (void)close(gate[1]); /* this opens the gate */
    return pid;
}

/* ---- events ---------------------------------------------------------------*/

/* Reads at which call a task has stopped, and whether it begins or returns. The
 * event stays TRACE_STOP if that cannot be read. */
static void read_call(struct trace_event *event) {
    struct __ptrace_syscall_info info;
    long size =
        ptrace(PTRACE_GET_SYSCALL_INFO, event->task, sizeof info, &info);
    if (size <= 0)
        return;
    switch (info.op) {
    case PTRACE_SYSCALL_INFO_ENTRY:
    case PTRACE_SYSCALL_INFO_SECCOMP: /* its fields lie in the same places */
        event->kind = TRACE_ENTER;
        event->call.foreign = is_foreign(info.arch, info.entry.nr);
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

/* Reads which task has been made. The event stays TRACE_STOP if that cannot be
 * read. */
static void read_child(struct trace_event *event) {
    unsigned long child = 0;
    if (ptrace(PTRACE_GETEVENTMSG, event->task, NULL, &child) < 0)
        return;
    event->kind = TRACE_CHILD;
    event->child = (pid_t)child;
}

/* Reads any other reason for a stop. The third byte of the status has the
 * number of the event (ptrace(2)), or 0 if a signal was sent. */
static void read_stop(struct trace_event *event) {
    int signal = WSTOPSIG(event->status);
    int reason = event->status >> 16;
    switch (reason) {
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
    case PTRACE_EVENT_STOP:
        /* A task that is new, or that we have interrupted, stops with SIGTRAP;
         * one that a signal has stopped, with that signal. */
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
    if (task < 0 && errno == EINTR)
        return 0; /* as if nothing had happened: the caller looks again */
    if (task < 0)
        return -1;
    if (task == 0)
        return 0; /* nothing has happened */
    event->task = task;
    event->status = status;
    if (WIFSTOPPED(status)) {
        event->kind = TRACE_STOP; /* unless we find a better reason */
        if (WSTOPSIG(status) == SYSCALL_STOP)
            read_call(event);
        else
            read_stop(event);
    } else {
        event->kind = TRACE_END;
    }
    return 0;
}

void trace_resume(const struct trace_event *event, bool filtered) {
    pid_t task = event->task;
    /* With a filter, the kernel stops the task at the beginning of the next
     * call that we want to see. At its return the task stops only if we ask for
     * that by PTRACE_SYSCALL, as we do at the beginning. */
    bool next_stop_by_filter = filtered && event->kind != TRACE_ENTER;
    /* Each ptrace here fails with ESRCH if the task was killed while it stood
     * still. Then trace_next tells of its end. */
    if (event->stopped_by_signal)
        /* It stays stopped, until SIGCONT; we hear of that. */
        (void)ptrace(PTRACE_LISTEN, task, NULL, NULL);
    else if (next_stop_by_filter)
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
    /* The line begins "123 (name) S". The name may have parentheses of its own,
     * so the last one in the line is its end. */
    const char *name_end = strrchr(line, ')');
    if (name_end == NULL || strlen(name_end) < strlen(") S"))
        return 0;
    return name_end[2];
}

/* Copies word by word, as ptrace(2) has always done it. */
static size_t read_words(pid_t task, uint64_t address, void *bytes,
                         size_t length) {
    uint8_t *to = bytes;
    size_t done = 0;
    while (done < length) {
        size_t part = length - done;
        if (part > sizeof(long))
            part = sizeof(long);
        /* A word may be -1, so only errno tells of an error. */
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
    /* The address is one in the other process's memory. We copy its bytes into
     * iov_base, because clang-tidy takes a cast of a number to a pointer for a
     * mistake. */
    memcpy(&theirs.iov_base, &place, sizeof place);
    ssize_t got = process_vm_readv(task, &ours, 1, &theirs, 1, 0);
    if (got >= 0)
        return (size_t)got;
    if (errno == EFAULT)
        return 0; /* the address is wrong */
    /* This kernel has no process_vm_readv(2), or forbids us to call it. */
    return read_words(task, address, bytes, length);
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
