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

/* An instruction of the filter. It has the form of struct sock_filter in
 * linux/filter.h, a header that is not installed with every C library. */
struct step {
    uint16_t code;
    uint8_t yes; /* how many steps a comparison skips if it holds */
    uint8_t no;  /* and how many if it does not hold */
    uint32_t value;
};

/* A filter: struct sock_fprog. Only the kernel reads its fields. */
struct steps {
    // cppcheck-suppress unusedStructMember
    unsigned short count;
    // cppcheck-suppress unusedStructMember
    struct step *first;
};

enum {
    LOAD = 0x20,        /* the number of the call, which is at offset 0 */
    IS_EQUAL = 0x15,    /* compares that number with the value */
    DECIDE = 0x06,      /* what becomes of the call */
    TRACE = 0x7ff00000, /* stop; the tracer gets the low 16 bits as a number */
    ALLOW = 0x7fff0000,
    WITH_FILTER = 2, /* SECCOMP_MODE_FILTER */
};

/* Writes the filter: first LOAD; then for each call of the table a comparison,
 * which skips the next step if the number is another one, and a step that stops
 * the call; at the end ALLOW. Then installs the filter. */
static void install_filter(void) {
    struct step steps[1 + 2 * KINDS + 1];
    uint16_t count = 0;
    steps[count] = (struct step){LOAD, 0, 0, 0};
    count++;
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        steps[count] = (struct step){IS_EQUAL, 0, 1, numbers[kind]};
        count++;
        steps[count] = (struct step){DECIDE, 0, 0, TRACE | kind};
        count++;
    }
    steps[count] = (struct step){DECIDE, 0, 0, ALLOW};
    count++;
    struct steps all = {.count = count, .first = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        err(1, "prctl");
    if (prctl(PR_SET_SECCOMP, WITH_FILTER, &all, 0, 0) < 0)
        err(1, "prctl");
}

/* The child stops itself. The parent sends SIGCONT when it traces the child. */
static pid_t start_command(char **command) {
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

/* Counts the call at which the filter has stopped a process. */
static void count_call(pid_t pid, unsigned long *made) {
    unsigned long kind;
    if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &kind) < 0)
        return;
    if (kind < KINDS)
        made[kind]++;
}

/* What ptrace returns does not matter: if the process is gone, waitpid says so.
 */
static void handle_stop(pid_t pid, int status, unsigned long *made) {
    int event = status >> 16; /* 0: a signal was sent, which we pass on */
    int signal = WSTOPSIG(status);
    switch (event) {
    case 0:
        (void)ptrace(PTRACE_CONT, pid, NULL, (long)signal);
        break;
    case PTRACE_EVENT_SECCOMP:
        count_call(pid, made);
        (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
        break;
    case PTRACE_EVENT_STOP:
        /* With another signal than SIGTRAP, that signal has stopped it. */
        if (signal == SIGTRAP)
            (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
        else
            (void)ptrace(PTRACE_LISTEN, pid, NULL, NULL);
        break;
    default:
        (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
        break;
    }
}

/* Counts until all processes have ended. Returns how the command ended. */
static int count_calls(pid_t command, unsigned long *made) {
    int command_status = 0;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return command_status;
        if (WIFSTOPPED(status))
            handle_stop(pid, status, made);
        else if (pid == command)
            command_status = status;
    }
}

int main(int argc, char **argv) {
    unsigned long made[KINDS] = {0};
    if (argc < 2) {
        fputs("usage: filter COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    pid_t command = start_command(argv + 1);
    int status = count_calls(command, made);
    for (int i = 0; i < KINDS; i++)
        if (made[i] > 0)
            fprintf(stderr, "%s %lu\n", names[i], made[i]);
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
        return 128 + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}
