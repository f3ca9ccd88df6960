/*
 * A right answer that lets the kernel's filter (seccomp) choose the calls: only
 * those of the table stop a process, where they begin, and the filter says
 * which one it is. All other calls run at full speed.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS = 15 };

static const uint32_t numbers[KINDS] = {
    SYS_socket,     SYS_socketpair, SYS_bind,        SYS_listen,
    SYS_accept4,    SYS_connect,    SYS_getsockname, SYS_getpeername,
    SYS_setsockopt, SYS_getsockopt, SYS_shutdown,    SYS_sendto,
    SYS_recvfrom,   SYS_sendmsg,    SYS_recvmsg,
};

static const char *const names[KINDS] = {
    "socket",   "socketpair",  "bind",        "listen",     "accept4",
    "connect",  "getsockname", "getpeername", "setsockopt", "getsockopt",
    "shutdown", "sendto",      "recvfrom",    "sendmsg",    "recvmsg",
};

/* As in linux/filter.h, which not every C library brings. */
struct step {
    uint16_t code;
    uint8_t yes;
    uint8_t no;
    uint32_t value;
};

struct steps { /* the kernel reads it */
    // cppcheck-suppress unusedStructMember
    unsigned short count;
    // cppcheck-suppress unusedStructMember
    struct step *first;
};

enum {
    LOAD = 0x20,        /* the number of the call, which is at 0 */
    IS_EQUAL = 0x15,    /* if not, pass over so many steps */
    DECIDE = 0x06,      /* what becomes of the call */
    TRACE = 0x7ff00000, /* the tracer is told, with a number of 16 bits */
    ALLOW = 0x7fff0000,
    WITH_FILTER = 2,
};

static void install_filter(void) {
    struct step steps[2 * KINDS + 2];
    steps[0] = (struct step){LOAD, 0, 0, 0};
    for (uint32_t i = 0; i < KINDS; i++) {
        steps[2 * i + 1] = (struct step){IS_EQUAL, 0, 1, numbers[i]};
        steps[2 * i + 2] = (struct step){DECIDE, 0, 0, TRACE | i};
    }
    steps[2 * KINDS + 1] = (struct step){DECIDE, 0, 0, ALLOW};
    struct steps all = {.count = 2 * KINDS + 2, .first = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        err(1, "prctl");
    if (prctl(PR_SET_SECCOMP, WITH_FILTER, &all, 0, 0) < 0)
        err(1, "prctl");
}

/* The child stops itself, and the parent lets it go when it is traced. */
static pid_t launch(char **command) {
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0) {
        (void)kill(getpid(), SIGSTOP);
        install_filter();
        execvp(command[0], command);
        err(127, "%s", command[0]);
    }
    if (waitpid(pid, NULL, WUNTRACED) < 0)
        err(1, "waitpid");
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, pid, NULL, options) < 0) {
        warn("ptrace");
        (void)kill(pid, SIGKILL);
        exit(1);
    }
    if (kill(pid, SIGCONT) < 0)
        err(1, "kill");
    return pid;
}

static void handle_stop(pid_t pid, int status, unsigned long *made) {
    int event = status >> 16;
    int signal = WSTOPSIG(status);
    unsigned long kind;
    switch (event) {
    case 0:
        (void)ptrace(PTRACE_CONT, pid, NULL, (long)signal);
        return;
    case PTRACE_EVENT_SECCOMP:
        if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &kind) == 0 && kind < KINDS)
            made[kind]++;
        break;
    case PTRACE_EVENT_STOP:
        if (signal != SIGTRAP) {
            (void)ptrace(PTRACE_LISTEN, pid, NULL, NULL);
            return;
        }
        break;
    default:
        break;
    }
    (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
}

int main(int argc, char **argv) {
    unsigned long made[KINDS] = {0};
    int end = 0;
    if (argc < 2) {
        fputs("usage: filter COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    pid_t command = launch(argv + 1);
    int status;
    pid_t pid = waitpid(-1, &status, __WALL);
    while (pid > 0 || errno == EINTR) {
        if (pid > 0 && WIFSTOPPED(status))
            handle_stop(pid, status, made);
        else if (pid == command)
            end = status;
        pid = waitpid(-1, &status, __WALL);
    }
    for (int i = 0; i < KINDS; i++)
        if (made[i] > 0)
            fprintf(stderr, "%s %lu\n", names[i], made[i]);
    if (WIFSIGNALED(end)) {
        fprintf(stderr, "killed by signal %d\n", WTERMSIG(end));
        return 128 + WTERMSIG(end);
    }
    return WEXITSTATUS(end);
}
