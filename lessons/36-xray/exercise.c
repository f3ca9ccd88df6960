/*
 * 36 exercise: count the system calls of a command.
 *
 * A program has become slow, and you suspect that it makes too many calls. You
 * write a tracer that counts them. It runs the command, and when all has ended
 * it says how often each call of a table was made.
 *
 * It is called as `36-xray COMMAND [ARGUMENT...]`.
 *
 * 1. It runs COMMAND with its own standard input, output and error. COMMAND is
 *    found as execvp(3) finds it.
 * 2. It counts each call of the table once, where it begins. The table is
 *    `calls` in the starter. When all has ended, it writes a line for each
 *    call that was made, in the table's order, to standard error: `connect 2`.
 * 3. It ends with the exit status of COMMAND.
 * 4. It follows COMMAND when it becomes another program. That is what
 *    execve(2) does.
 * 5. It counts the calls of children too, and of their children.
 * 6. It counts the calls of threads too.
 * 7. It waits for all processes that COMMAND has left behind.
 * 8. It passes each signal on to the process that it was sent to, and no other
 *    signal. So a process gets no signal that nobody has sent to it. A process
 *    that a signal has stopped stays stopped until SIGCONT comes. Four signals
 *    do that: SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU.
 * 9. It says which signal ended COMMAND. The last line on standard error is
 *    then `killed by signal 11`, and the status is 128 plus the number of the
 *    signal.
 * 10. It also counts a call that never returns.
 * 11. It leaves nothing running when it is killed. All that it traces is
 *     killed too.
 * 12. It says why COMMAND cannot be run, with status 127. This is the status
 *     for every reason, also if COMMAND is a file that may not be executed.
 * 13. It refuses to run without COMMAND, with status 2. It then writes a line
 *     that begins with `usage:` to standard error.
 *
 * What is here compiles and runs COMMAND, but does not trace it. Your part
 * begins in start_command.
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

/* Counts one call of that number, if it is in the table. */
static void count_call(struct counts *counts, unsigned long number) {
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number == number)
            counts->of[i]++;
}

/* Starts the command. Returns its process ID. */
static pid_t start_command(char *const command[]) {
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0) {
        /* 1. Wait here until the parent traces this process. */
        (void)execvp(command[0], command);
        warn("%s", command[0]);
        _exit(CANNOT_RUN);
    }
    /* 2. PTRACE_SEIZE, with the options that you need. */
    return pid;
}

/* Counts until all processes have ended. Returns how the command ended, as
 * waitpid(2) has it. */
static int count_calls(pid_t command, struct counts *counts) {
    int status = 0;
    (void)counts;     /* delete this line when you use it */
    (void)count_call; /* and this one: until then, nothing calls it */
    /* 3. Wait for a stop of any process, and find out why it has stopped. Count
     *    the call if one begins. Let the process go on, and wait again. */
    if (waitpid(command, &status, 0) < 0)
        err(1, "waitpid");
    return status;
}

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
    /* 4. Did the command exit, or did a signal end it? */
    return WEXITSTATUS(status);
}
