/*
 * A right answer that does not interrupt the new process: PTRACE_O_TRACEEXEC
 * stops it when it has become the command. If it cannot become the command, it
 * sends the reason through a pipe, and the parent says it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CALLS = 15,                    /* in the table */
    SYSCALL_STOP = SIGTRAP | 0x80, /* by PTRACE_O_TRACESYSGOOD */
    CANNOT_RUN = 127,
    SIGNALLED = 128,
};

struct entry {
    unsigned long number;
    const char *name;
    unsigned long made; /* how often the call was made */
};

static struct entry table[CALLS] = {
    {SYS_socket, "socket", 0},
    {SYS_socketpair, "socketpair", 0},
    {SYS_bind, "bind", 0},
    {SYS_listen, "listen", 0},
    {SYS_accept4, "accept4", 0},
    {SYS_connect, "connect", 0},
    {SYS_getsockname, "getsockname", 0},
    {SYS_getpeername, "getpeername", 0},
    {SYS_setsockopt, "setsockopt", 0},
    {SYS_getsockopt, "getsockopt", 0},
    {SYS_shutdown, "shutdown", 0},
    {SYS_sendto, "sendto", 0},
    {SYS_recvfrom, "recvfrom", 0},
    {SYS_sendmsg, "sendmsg", 0},
    {SYS_recvmsg, "recvmsg", 0},
};

static _Noreturn void fail(const char *what, int reason, int status) {
    fprintf(stderr, "36-xray: %s: %s\n", what, strerror(reason));
    exit(status);
}

/* Runs in the child. The parent writes a byte into the pipe `may_start` when it
 * traces us. If we cannot become the command, we write errno into `reason`. */
static _Noreturn void run_child(char **command, int may_start, int reason) {
    char byte;
    if (read(may_start, &byte, 1) != 1)
        _exit(1); /* the parent could not trace us */
    execvp(command[0], command);
    int number = errno;
    ssize_t written = write(reason, &number, sizeof number);
    if (written != (ssize_t)sizeof number)
        _exit(1);
    _exit(CANNOT_RUN);
}

/* Starts the command, traced. *reason becomes a descriptor from which errno can
 * be read if the command could not be run. */
static pid_t start_command(char **command, int *reason) {
    int to_child[2];
    int to_parent[2];
    if (pipe2(to_child, O_CLOEXEC) != 0)
        fail("pipe2", errno, 1);
    if (pipe2(to_parent, O_CLOEXEC) != 0)
        fail("pipe2", errno, 1);
    pid_t child = fork();
    if (child == -1)
        fail("fork", errno, 1);
    if (child == 0) {
        close(to_child[1]);
        run_child(command, to_child[0], to_parent[1]);
    }
    close(to_child[0]);
    close(to_parent[1]);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, child, 0L, options) != 0)
        fail("ptrace", errno, 1);
    if (write(to_child[1], "", 1) != 1)
        fail("write", errno, 1);
    close(to_child[1]);
    *reason = to_parent[0];
    return child;
}

/* Counts the call at which a task has stopped, if the call begins there. */
static void count_call(pid_t task) {
    struct __ptrace_syscall_info info;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof info, &info);
    if (size <= 0)
        return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    for (size_t i = 0; i < CALLS; i++)
        if (table[i].number == info.entry.nr)
            table[i].made++;
}

/* Whether a signal stops a process. */
static bool is_stopping(int number) {
    switch (number) {
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return true;
    default:
        return false;
    }
}

/* Lets a task that has stopped go on. What ptrace returns does not matter: if
 * the task is gone, waitpid says so. */
static void resume(pid_t task, int status) {
    int number = WSTOPSIG(status);
    int event = status >> 16; /* or 0, if it has stopped for no event */
    if (number == SYSCALL_STOP) {
        count_call(task);
        ptrace(PTRACE_SYSCALL, task, 0L, 0L);
    } else if (event == PTRACE_EVENT_STOP && is_stopping(number)) {
        ptrace(PTRACE_LISTEN, task, 0L, 0L);
    } else if (event != 0) {
        ptrace(PTRACE_SYSCALL, task, 0L, 0L);
    } else {
        ptrace(PTRACE_SYSCALL, task, 0L, (long)number);
    }
}

/* Counts until all tasks have ended. Returns how the command ended. */
static int count_calls(pid_t command) {
    int command_status = 0;
    for (;;) {
        int status;
        pid_t task = waitpid(-1, &status, __WALL);
        if (task == -1 && errno == EINTR)
            continue;
        if (task == -1)
            return command_status;
        if (WIFSTOPPED(status))
            resume(task, status);
        else if (task == command)
            command_status = status;
    }
}

int main(int argc, char **argv) {
    if (argc == 1) {
        fprintf(stderr, "usage: %s COMMAND [ARGUMENT...]\n", argv[0]);
        exit(2);
    }
    int reason;
    pid_t command = start_command(argv + 1, &reason);
    int status = count_calls(command);

    /* If the child became the command, the pipe was closed then, and read
     * returns 0. */
    int number;
    ssize_t got = read(reason, &number, sizeof number);
    if (got == (ssize_t)sizeof number)
        fail(argv[1], number, CANNOT_RUN);
    for (size_t i = 0; i < CALLS; i++)
        if (table[i].made != 0)
            fprintf(stderr, "%s %lu\n", table[i].name, table[i].made);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
    return SIGNALLED + WTERMSIG(status);
}
