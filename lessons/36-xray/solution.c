/*
 * 36 solution: count the system calls of a command, one good answer of many.
 *
 * usage: 36-xray COMMAND [ARGUMENT...]
 *
 * There is one tracer, and there may be any number of processes and threads.
 * waitpid tells which of them has stopped, and why. So we need not store
 * anything about them.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CALLS = 15,       /* in the table */
    CANNOT_RUN = 127, /* the status of a shell that cannot run a command */
    SIGNALLED = 128,  /* a shell adds it to the number of a signal */
};

/* The calls that are counted, in the order in which they are reported. */
static const struct {
    unsigned long number;
    const char *name;
} calls[CALLS] = {
    {SYS_socket, "socket"},
    {SYS_socketpair, "socketpair"},
    {SYS_bind, "bind"},
    {SYS_listen, "listen"},
    {SYS_accept4, "accept4"},
    {SYS_connect, "connect"},
    {SYS_getsockname, "getsockname"},
    {SYS_getpeername, "getpeername"},
    {SYS_setsockopt, "setsockopt"},
    {SYS_getsockopt, "getsockopt"},
    {SYS_shutdown, "shutdown"},
    {SYS_sendto, "sendto"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_recvmsg, "recvmsg"},
};

/* How often each call was made, in the order of the table. */
struct counts {
    unsigned long of[CALLS];
};

enum {
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
              PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL,
    SYSCALL_STOP = SIGTRAP | 0x80, /* by PTRACE_O_TRACESYSGOOD */
};

/* ---- starting -------------------------------------------------------------*/

/* In the new process: waits until the gate is opened, then becomes the command.
 * The gate is a pipe through which nothing is sent: read returns 0 when the
 * parent closes its end. For that we must close our own copy of that end. */
static _Noreturn void run_child(char *const command[], const int gate[2]) {
    char byte;
    (void)close(gate[1]);
    if (read(gate[0], &byte, 1) < 0)
        _exit(1);
    (void)close(gate[0]);
    (void)execvp(command[0], command);
    warn("%s", command[0]);
    _exit(CANNOT_RUN);
}

/* Begins to trace a process. If that is not allowed, kills it and ends. */
static void trace(pid_t pid) {
    long result = ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS);
    if (result == 0)
        result = ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    if (result < 0) {
        warn("ptrace");
        (void)kill(pid, SIGKILL);
        exit(1);
    }
}

/* Starts the command. Returns its process ID. The process is traced, and stands
 * still until resume lets it go on. */
static pid_t start_command(char *const command[]) {
    int gate[2];
    if (pipe(gate) < 0)
        err(1, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0)
        run_child(command, gate);
    trace(pid);
    (void)close(gate[0]);
    (void)close(gate[1]); /* this opens the gate */
    return pid;
}

/* ---- stops ----------------------------------------------------------------*/

/* Checks the result of a ptrace call on a process that has stopped. ESRCH is no
 * error: the process was killed while it stood still, and waitpid will tell of
 * its end. After any other error the process would stand still for ever. So we
 * end, and PTRACE_O_EXITKILL ends all that we trace. */
static void check_ptrace(long result) {
    if (result < 0 && errno != ESRCH)
        err(1, "ptrace");
}

/* Counts one call of that number, if it is in the table. */
static void count_call(struct counts *counts, unsigned long number) {
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == number)
            counts->of[i]++;
}

/* Counts the call at which a task has stopped, if the stop is at the beginning
 * of the call. The stop at its return is passed over. */
static void read_call(pid_t task, struct counts *counts) {
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof info, &info);
    check_ptrace(size);
    if (size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
        count_call(counts, info.entry.nr);
}

/* Lets a task that has stopped go on. The third byte of the status has the
 * number of the event at which it has stopped, or 0 if there was no event:
 * ptrace(2). */
static void resume(pid_t task, int status) {
    int signal = WSTOPSIG(status);
    int event = status >> 16;
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        /* A signal such as SIGSTOP has stopped the process. It stays stopped
         * until SIGCONT, but we hear of that. */
        check_ptrace(ptrace(PTRACE_LISTEN, task, NULL, NULL));
        return;
    }
    /* A stop at a call, or at an event, is not a signal that was sent. */
    if (event != 0 || signal == SYSCALL_STOP)
        signal = 0;
    check_ptrace(ptrace(PTRACE_SYSCALL, task, NULL, signal));
}

/* Waits until any process or thread stops or ends. Returns its ID; or -1 and
 * ECHILD if none is left. */
static pid_t wait_for_any(int *status) {
    for (;;) {
        pid_t task = waitpid(-1, status, __WALL);
        if (task > 0)
            return task;
        if (errno == ECHILD)
            return -1;
        if (errno != EINTR)
            err(1, "waitpid");
    }
}

/* Counts until all processes have ended. Returns how the command ended, as
 * waitpid(2) has it. */
static int count_calls(pid_t command, struct counts *counts) {
    int status;
    int command_status = 0;
    pid_t task = wait_for_any(&status);
    while (task > 0) {
        if (WIFSTOPPED(status)) {
            if (WSTOPSIG(status) == SYSCALL_STOP)
                read_call(task, counts);
            resume(task, status);
        } else if (task == command) {
            command_status = status;
        }
        task = wait_for_any(&status);
    }
    return command_status;
}

/* ---- the report -----------------------------------------------------------*/

/* Writes how often each call was made. */
static void report(const struct counts *counts) {
    for (size_t i = 0; i < CALLS; i++)
        if (counts->of[i] > 0)
            (void)fprintf(stderr, "%s %lu\n", calls[i].name, counts->of[i]);
}

int main(int argc, char **argv) {
    struct counts counts = {{0}};
    if (argc < 2) {
        fputs("usage: 36-xray COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    pid_t command = start_command(argv + 1);
    int status = count_calls(command, &counts);
    report(&counts);
    if (WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);
        (void)fprintf(stderr, "killed by signal %d\n", signal);
        return SIGNALLED + signal;
    }
    return WEXITSTATUS(status);
}
