/*
 * bounded: runs a command for a limited time, and reports how it ended.
 *
 *     bounded [-p PATIENCE] [-r REPORT] SECONDS COMMAND [ARGUMENT...]
 *
 * Tests start every program through this one. Our exit status is:
 *   - the command's own status, if it exited by itself;
 *   - 128 + N if signal N ended it, as in a shell;
 *   - 124 if its time was up, or if SIGUSR1 told us to act as if it was.
 * We forward SIGINT and SIGTERM to the command, which has then PATIENCE seconds
 * (3 unless given) to end. If we die, for any reason, the kernel kills the
 * command too, so no test leaves a process behind.
 *
 * When the command has ended, everything that it has started ends too, also a
 * child that has become a daemon. For that the command has a process group of
 * its own, and we are the reaper of its descendants (PR_SET_CHILD_SUBREAPER): a
 * process whose parent has ended becomes our child, and not that of process 1.
 *
 * If the command did not end by itself, we write one line to REPORT: the signal
 * that ended it, or the system call in which it was waiting when its time was
 * up. timeout(1) reports neither, so the tests need this program. The system
 * call is in /proc/PID/syscall. On every system the parent of a process may
 * read that file, and we are the parent.
 * A command that writes more than 256 MiB into a file is ended by SIGXFSZ.
 *
 * Whoever starts the tests may have blocked or ignored any signal, and a
 * program inherits that. So the command starts with no signal blocked and none
 * ignored.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMED_OUT = 124, CANNOT_RUN = 126, SIGNALLED = 128 };
enum { PATIENCE_SECONDS = 3 }; /* unless -p says otherwise */
enum { MOST_ROUNDS = 1000, ROUND_NANOSECONDS = 1000000 }; /* of kill_all */
enum { MOST_PRINTED = 256 << 20 }; /* bytes, in one file */

struct call {
    long number;
    const char *name;
    int on_descriptor; /* whether its first argument is a descriptor */
};

/* The calls in which a program of this workbook may wait. */
static const struct call calls[] = {
    {SYS_read, "read", 1},
    {SYS_write, "write", 1},
    {SYS_readv, "readv", 1},
    {SYS_writev, "writev", 1},
    {SYS_recvfrom, "recv", 1},
    {SYS_recvmsg, "recvmsg", 1},
    {SYS_sendto, "send", 1},
    {SYS_sendmsg, "sendmsg", 1},
    {SYS_connect, "connect", 1},
    {SYS_accept4, "accept", 1},
    {SYS_ppoll, "poll", 0},
    {SYS_pselect6, "select", 0},
    {SYS_epoll_pwait, "epoll_wait", 1},
    {SYS_wait4, "wait", 0},
    {SYS_waitid, "wait", 0},
    {SYS_futex, "a lock or a thread join", 0},
    {SYS_nanosleep, "sleep", 0},
    {SYS_clock_nanosleep, "sleep", 0},
    {SYS_rt_sigsuspend, "sigsuspend", 0},
    {SYS_rt_sigtimedwait, "sigwait", 0},
#ifdef SYS_io_uring_enter
    {SYS_io_uring_enter, "io_uring_enter", 0},
#endif
#ifdef SYS_accept
    {SYS_accept, "accept", 1},
#endif
#ifdef SYS_poll
    {SYS_poll, "poll", 0},
#endif
#ifdef SYS_select
    {SYS_select, "select", 0},
#endif
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", 1},
#endif
#ifdef SYS_pause
    {SYS_pause, "pause", 0},
#endif
};

struct ending {
    int signal_number;
    const char *name; /* and what the signal means */
};

/* The signals that end a program which did something wrong, and two more that
 * a test may send. */
static const struct ending endings[] = {
    {SIGABRT, "SIGABRT (the C library or the program itself stopped it)"},
    {SIGBUS, "SIGBUS (invalid memory reference)"},
    {SIGFPE, "SIGFPE (a division by zero)"},
    {SIGILL, "SIGILL (an illegal instruction)"},
    {SIGKILL, "SIGKILL (killed)"},
    {SIGPIPE, "SIGPIPE (it wrote to a connection or a pipe that is closed)"},
    {SIGSEGV, "SIGSEGV (invalid memory reference)"},
    {SIGTERM, "SIGTERM (told to end)"},
    {SIGTRAP, "SIGTRAP (a trap)"},
    {SIGXFSZ, "SIGXFSZ (it printed more than 256 MiB)"},
};

static volatile sig_atomic_t child;
static volatile sig_atomic_t time_is_up;
static volatile sig_atomic_t patience_seconds = PATIENCE_SECONDS;

/* The alarm kills the command if it does not end within patience_seconds. */
static void forward_signal(int signal_number) {
    int saved = errno;
    (void)kill((pid_t)child, signal_number);
    (void)alarm((unsigned)patience_seconds);
    errno = saved;
}

/* The signal may arrive after main has checked the flag, but before waitpid
 * waits. So we order another signal: it interrupts waitpid a second later. */
static void set_time_is_up(int signal_number) {
    (void)signal_number;
    time_is_up = 1;
    (void)alarm(1);
}

static _Noreturn void usage(void) {
    fputs("usage: bounded [-p PATIENCE] [-r REPORT] SECONDS COMMAND "
          "[ARGUMENT...]\n",
          stderr);
    exit(2);
}

/* Writes in words which system call a line of /proc/PID/syscall stands for. */
static void describe_call(FILE *report, const char *line) {
    char *end;
    long number = strtol(line, &end, 10);
    unsigned long argument = strtoul(end, NULL, 16);

    if (end == line) { /* not a number, but the word "running" */
        fputs("it was running in a loop, and waiting for nothing\n", report);
        return;
    }
    if (number == SYS_tgkill) /* tests/lib/faults.c has stopped it */
        return;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i].number != number)
            continue;
        fprintf(report, "it was waiting in %s", calls[i].name);
        if (calls[i].on_descriptor)
            fprintf(report, " on descriptor %lu", argument);
        fputc('\n', report);
        return;
    }
    fprintf(report, "it was in system call %ld\n", number);
}

/* Writes what the command is doing now. Some systems hide that. Then the report
 * stays empty, which is no failure: the line is only a help for the reader. */
static void report_hang(const char *path) {
    char name[64];
    (void)snprintf(name, sizeof name, "/proc/%d/syscall", (int)child);

    FILE *report = fopen(path, "we");
    if (report == NULL)
        err(CANNOT_RUN, "%s", path);
    char line[256] = "";
    FILE *syscall_file = fopen(name, "re");
    if (syscall_file != NULL) {
        if (fgets(line, sizeof line, syscall_file) == NULL)
            line[0] = '\0';
        (void)fclose(syscall_file);
    }
    if (line[0] != '\0')
        describe_call(report, line);
    else
        fputs("it was still running\n", report);
    (void)fclose(report);
}

static void report_signal(const char *path, int signal_number) {
    FILE *report = fopen(path, "we");
    if (report == NULL)
        err(CANNOT_RUN, "%s", path);
    const char *name = NULL;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (endings[i].signal_number == signal_number)
            name = endings[i].name;
    }
    if (name != NULL)
        fprintf(report, "it was ended by %s\n", name);
    else
        fprintf(report, "it was ended by signal %d\n", signal_number);
    (void)fclose(report);
}

/* Kills each of our children, and the process group that it is in. */
static void kill_children(void) {
    char name[64];
    (void)snprintf(name, sizeof name, "/proc/self/task/%d/children",
                   (int)getpid());
    FILE *children = fopen(name, "re");
    if (children == NULL)
        return; /* a kernel without that file: the group has to do */
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getdelim(&line, &size, ' ', children);
    while (length > 0) {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        pid_t group = pid > 0 ? getpgid(pid) : 0;
        if (group > 1 && group != getpgrp())
            (void)kill(-group, SIGKILL);
        if (pid > 0)
            (void)kill(pid, SIGKILL);
        length = getdelim(&line, &size, ' ', children);
    }
    free(line);
    (void)fclose(children);
}

/* Ends what the command has started and what still runs. The command itself has
 * not been waited for yet, so that no other process can have its number, and
 * with it that of the group. A whole group is killed at once: none of it can
 * start another process meanwhile. Returns how the command ended. */
static int kill_all(pid_t command) {
    const struct timespec pause = {.tv_nsec = ROUND_NANOSECONDS};
    int command_status = 0;

    (void)kill(-command, SIGKILL);
    int rounds = 0;
    while (rounds < MOST_ROUNDS) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0)
            break; /* there is none left */
        if (pid == command)
            command_status = status;
        if (pid > 0)
            continue;
        kill_children();
        rounds++;
        (void)nanosleep(&pause, NULL);
    }
    return command_status;
}

static void set_handler(int signal_number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    /* It fails only for a number that is not a signal's. */
    (void)sigaction(signal_number, &action, NULL);
}

static _Noreturn void run_command(char **command, pid_t parent) {
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* If the parent died before prctl, the kernel will not signal us. */
    if (getppid() != parent)
        _exit(CANNOT_RUN);
    /* What prints without end does not fill the disk. A test that needs a file
     * with a large hole may raise its own limit again. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = MOST_PRINTED;
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
    (void)execvp(command[0], command);
    err(CANNOT_RUN, "%s", command[0]);
}

/* Each signal does again what it does by default: a shell starts its background
 * commands with SIGINT ignored, and another caller may have ignored others.
 * With SIGCHLD ignored, waitid would not tell us how the command has ended. */
static void reset_signals(void) {
    for (int number = 1; number <= SIGRTMAX; number++)
        /* It fails for SIGKILL and SIGSTOP, and for signals of the C library;
         * nobody can ignore those. */
        (void)signal(number, SIG_DFL);
}

/* Starts the command in a child, and sets our handlers. */
static pid_t start_command(char **command) {
    sigset_t all;
    sigset_t none;
    pid_t parent = getpid();
    /* A signal could arrive right after fork, before the handlers are set. So
     * we block all signals until then. */
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    reset_signals();
    pid_t pid = fork();
    if (pid < 0)
        err(CANNOT_RUN, "fork");
    if (pid == 0) {
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        run_command(command, parent);
    }
    (void)setpgid(pid, pid); /* the child does the same; one is first */
    child = pid;
    set_handler(SIGINT, forward_signal);
    set_handler(SIGTERM, forward_signal);
    set_handler(SIGALRM, set_time_is_up);
    set_handler(SIGUSR1, set_time_is_up);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    return pid;
}

static void start_timer(double seconds) {
    long whole = (long)seconds;
    long microseconds = (long)((seconds - (double)whole) * 1e6);
    struct itimerval when = {.it_value = {whole, microseconds}};
    if (setitimer(ITIMER_REAL, &when, NULL) < 0)
        err(CANNOT_RUN, "setitimer");
}

/* Waits until the command ends or its time is up. Returns our exit status. */
static int wait_for_command(pid_t pid, const char *report) {
    siginfo_t ended;
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) < 0) {
        if (errno != EINTR)
            err(CANNOT_RUN, "waitid");
        if (time_is_up) {
            report_hang(report);
            (void)kill_all(pid);
            return TIMED_OUT;
        }
    }
    int status = kill_all(pid);
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    report_signal(report, WTERMSIG(status));
    return SIGNALLED + WTERMSIG(status);
}

int main(int argc, char **argv) {
    const char *report = "/dev/null";
    char *end;
    for (;;) {
        int option = getopt(argc, argv, "+p:r:");
        if (option == -1)
            break;
        if (option == 'p') {
            patience_seconds = (sig_atomic_t)strtol(optarg, &end, 10);
            if (*end != '\0' || patience_seconds < 1)
                usage();
        } else if (option == 'r') {
            report = optarg;
        } else {
            usage();
        }
    }
    if (argc - optind < 2)
        usage();
    double seconds = strtod(argv[optind], &end);
    if (*end != '\0' || !(seconds > 0 && seconds < 1e6))
        usage();

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = start_command(argv + optind + 1);
    start_timer(seconds);
    return wait_for_command(pid, report);
}
