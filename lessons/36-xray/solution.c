/*
 * 36 solution: count the system calls of a command.
 *
 * usage: 36-xray COMMAND [ARGUMENT...]
 *
 * One tracer, and any number of tasks: processes and threads. Each stop says
 * whose it is and what it is for; nothing has to be remembered about anybody.
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
    CALLS = 15,
    CANNOT_RUN = 127,
    SIGNALLED = 128,
};

/* The calls that are counted, in the order in which they are told. */
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

enum {
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
              PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL,
    SYSCALL_STOP = SIGTRAP | 0x80, /* what TRACESYSGOOD makes of SIGTRAP */
};

/* Starts command, found as execvp(3) does it. Returns its process, which
 * stands still until it is told to go on. */
static pid_t start_command(char *const command[]) {
    int gate[2];
    char byte;
    if (pipe(gate) < 0)
        err(1, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0) {
        (void)close(gate[1]);
        if (read(gate[0], &byte, 1) < 0) /* until our end is closed */
            _exit(1);
        (void)close(gate[0]);
        (void)execvp(command[0], command);
        warn("%s", command[0]);
        _exit(CANNOT_RUN);
    }
    if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0) {
        warn("ptrace");
        (void)kill(pid, SIGKILL);
        exit(1);
    }
    (void)close(gate[0]);
    (void)close(gate[1]);
    return pid;
}

/* It may have been killed since it stopped: then its end is what comes next.
 * Whatever else fails would leave it standing there, and us waiting. */
static long unless_gone(long result) {
    if (result < 0 && errno != ESRCH)
        err(1, "ptrace"); /* and EXITKILL ends all of them */
    return result;
}

static void count_call(pid_t task, unsigned long *counts) {
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof info, &info);
    if (unless_gone(size) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == info.entry.nr)
            counts[i]++;
}

/* Lets a task that has stopped go on. */
static void go_on(pid_t task, int status) {
    int signal = WSTOPSIG(status);
    int event = status >> 16;
    /* A signal that stops a process has stopped it: only SIGCONT ends that. */
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        (void)unless_gone(ptrace(PTRACE_LISTEN, task, NULL, NULL));
        return;
    }
    if (event != 0 || signal == SYSCALL_STOP)
        signal = 0; /* this one is ours */
    (void)unless_gone(ptrace(PTRACE_SYSCALL, task, NULL, signal));
}

/* Until all have ended. Returns what waitpid(2) said of the command's end. */
static int count_calls(pid_t command, unsigned long *counts) {
    int status;
    int last = -1;
    pid_t task;
    while ((task = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (task > 0 && WIFSTOPPED(status)) {
            if (WSTOPSIG(status) == SYSCALL_STOP)
                count_call(task, counts);
            go_on(task, status);
        } else if (task == command) {
            last = status;
        }
    }
    if (errno != ECHILD || last < 0)
        err(1, "waitpid");
    return last;
}

int main(int argc, char **argv) {
    unsigned long counts[CALLS] = {0};
    if (argc < 2) {
        fputs("usage: 36-xray COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    int status = count_calls(start_command(argv + 1), counts);
    for (size_t i = 0; i < CALLS; i++)
        if (counts[i] > 0)
            (void)fprintf(stderr, "%s %lu\n", calls[i].name, counts[i]);
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    (void)fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
    return SIGNALLED + WTERMSIG(status);
}
