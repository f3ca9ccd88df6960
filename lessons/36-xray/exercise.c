/*
 * 36 exercise: count the system calls of a command.
 *
 * usage: 36-xray COMMAND [ARGUMENT...]
 *
 * Runs COMMAND; when it and all that it has started have ended, says on
 * standard error how often they made each call of a table. The README beside
 * this file says the rest.
 *
 * What is here compiles, and runs COMMAND, but looks at nothing that it does.
 * Your part begins in start_command.
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

struct counts {
    unsigned long of[CALLS];
};

/* One more of that number, if the table has it. */
static void count_call(struct counts *counts, unsigned long number) {
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == number)
            counts->of[i]++;
}

/* Starts command, found as execvp(3) does it. Returns its process. */
static pid_t start_command(char *const command[]) {
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0) {
        /* 1. It must not become the command before you trace it. */
        (void)execvp(command[0], command);
        warn("%s", command[0]);
        _exit(CANNOT_RUN);
    }
    /* 2. PTRACE_SEIZE, with the options that you need. */
    return pid;
}

/* Until all have ended. Returns what waitpid(2) said of the command's end. */
static int count_calls(pid_t command, struct counts *counts) {
    int status = 0;
    (void)counts;
    (void)count_call;
    /* 3. Who has stopped, and why? At the beginning of a call, count it. Then
     *    let it go on; and look for the next. */
    if (waitpid(command, &status, 0) < 0)
        err(1, "waitpid");
    return status;
}

int main(int argc, char **argv) {
    struct counts counts = {{0}};
    if (argc < 2) {
        fputs("usage: 36-xray COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    int status = count_calls(start_command(argv + 1), &counts);
    for (size_t i = 0; i < CALLS; i++)
        if (counts.of[i] > 0)
            (void)fprintf(stderr, "%s %lu\n", calls[i].name, counts.of[i]);
    /* 4. How did the command end? */
    return WEXITSTATUS(status);
}
