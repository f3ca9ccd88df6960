/*
 * A right answer that does not interrupt the new process: PTRACE_O_TRACEEXEC
 * stops it when it has become the command. If it cannot become the command, it
 * sends the reason through a pipe, and the parent says it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct entry {
    unsigned long number;
    const char *name;
    unsigned long made;
};

static struct entry table[] = {
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
    {0, NULL, 0},
};

static _Noreturn void fail(const char *what, int reason, int status) {
    fprintf(stderr, "36-xray: %s: %s\n", what, strerror(reason));
    exit(status);
}

/* Runs in the child. The parent writes a byte when it traces us. */
static _Noreturn void become(char **command, int start, int reason) {
    char byte;
    if (read(start, &byte, 1) != 1)
        _exit(1); /* the parent could not trace us */
    execvp(command[0], command);
    int number = errno;
    if (write(reason, &number, sizeof number) != (ssize_t)sizeof number)
        _exit(1);
    _exit(127);
}

static pid_t start(char **command, int *reason) {
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
        become(command, to_child[0], to_parent[1]);
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

static void note_call(pid_t task) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof info, &info) <= 0)
        return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    for (struct entry *entry = table; entry->name != NULL; entry++)
        if (entry->number == info.entry.nr)
            entry->made++;
}

static int is_stopping(int number) {
    return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN ||
           number == SIGTTOU;
}

/* What ptrace returns does not matter: if the task is gone, waitpid says so. */
static void go_on(pid_t task, int status) {
    int number = WSTOPSIG(status);
    int event = status >> 16;
    if (number == (SIGTRAP | 0x80)) {
        note_call(task);
        ptrace(PTRACE_SYSCALL, task, 0L, 0L);
    } else if (event == PTRACE_EVENT_STOP && is_stopping(number)) {
        ptrace(PTRACE_LISTEN, task, 0L, 0L);
    } else if (event != 0) {
        ptrace(PTRACE_SYSCALL, task, 0L, 0L);
    } else {
        ptrace(PTRACE_SYSCALL, task, 0L, (long)number);
    }
}

int main(int argc, char **argv) {
    if (argc == 1) {
        fprintf(stderr, "usage: %s COMMAND [ARGUMENT...]\n", argv[0]);
        exit(2);
    }
    int reason;
    int last = 0;
    pid_t command = start(argv + 1, &reason);
    for (;;) {
        int status;
        pid_t task = waitpid(-1, &status, __WALL);
        if (task == -1 && errno == EINTR)
            continue;
        if (task == -1)
            break;
        if (WIFSTOPPED(status))
            go_on(task, status);
        else if (task == command)
            last = status;
    }

    int number;
    if (read(reason, &number, sizeof number) == (ssize_t)sizeof number)
        fail(argv[1], number, 127);
    for (struct entry *entry = table; entry->name != NULL; entry++)
        if (entry->made != 0)
            fprintf(stderr, "%s %lu\n", entry->name, entry->made);
    if (WIFEXITED(last))
        return WEXITSTATUS(last);
    fprintf(stderr, "killed by signal %d\n", WTERMSIG(last));
    return 128 + WTERMSIG(last);
}
