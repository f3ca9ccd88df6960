/*
 * traced: makes system calls that can be counted, in all the ways in which a
 * tracer may miss them.
 *
 *     traced WORD...
 *
 * Does what each word says, one after the other, and ends with status 0:
 *
 *     NAME*COUNT       makes that call so often, on no descriptor
 *     fork STATUS      a child does the rest; its parent ends after it
 *     forks COUNT      so many children do the rest, all at once
 *     orphan STATUS    a child does the rest, when its parent has ended
 *     vfork            a child, made as posix_spawn(3) does it, does the rest
 *     thread           a thread does the rest
 *     threads COUNT    so many threads do the rest, all at once
 *     exec             becomes this program anew, which does the rest
 *     lures            calls that return what is a number of those above
 *     doomed           a child waits in recvfrom, and is killed there
 *     stopped          a child is stopped by SIGSTOP, and later goes on
 *     catch SIGNAL     counts it from now on
 *     kill SIGNAL      sends it to itself
 *     caught COUNT     ends with status 99 if there were not so many
 *     ignore SIGNAL    ignores it
 *     close FD         closes it
 *     say WORD         a line, on standard output
 *     pid              its own number, likewise
 *     hang             sleeps for ever
 *     spin             computes for ever
 *     exit STATUS      ends at once
 *     probe            ends with status 1 where nobody may trace anybody
 *
 * After half a minute it ends, whatever it is doing: SIGALRM.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFETIME_SECONDS = 30, MISSED = 99, MOST_THREADS = 100 };

static const struct {
    const char *name;
    long number;
} calls[] = {
    {"socket", SYS_socket},
    {"socketpair", SYS_socketpair},
    {"bind", SYS_bind},
    {"listen", SYS_listen},
    {"accept4", SYS_accept4},
    {"connect", SYS_connect},
    {"getsockname", SYS_getsockname},
    {"getpeername", SYS_getpeername},
    {"setsockopt", SYS_setsockopt},
    {"getsockopt", SYS_getsockopt},
    {"shutdown", SYS_shutdown},
    {"sendto", SYS_sendto},
    {"recvfrom", SYS_recvfrom},
    {"sendmsg", SYS_sendmsg},
    {"recvmsg", SYS_recvmsg},
};

static volatile sig_atomic_t caught;

static void count_signal(int signal) {
    (void)signal;
    caught = caught + 1;
}

static int number_of(const char *text) {
    return (int)strtol(text, NULL, 10);
}

static void make_calls(const char *name, const char *count) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strncmp(calls[i].name, name, strlen(calls[i].name)) == 0 &&
            name[strlen(calls[i].name)] == '*') {
            for (int k = number_of(count); k > 0; k--)
                (void)syscall(calls[i].number, -1L, 0L, 0L, 0L, 0L, 0L);
            return;
        }
    errx(2, "no such word: %s", name);
}

static pid_t make_child(void) {
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0)
        (void)alarm(LIFETIME_SECONDS);
    return pid;
}

static void await(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            err(1, "waitpid");
}

/* The letter that proc(5) has for it. */
static char state_of(pid_t pid) {
    char path[64], line[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        err(1, "%s", path);
    (void)fclose(file);
    const char *end = strrchr(line, ')');
    if (end == NULL || strlen(end) < 3)
        errx(1, "%s: %s", path, line);
    return end[2];
}

static void pause_a_little(void) {
    (void)poll(NULL, 0, 1);
}

static void lure(void) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (dup3(STDIN_FILENO, (int)calls[i].number, O_CLOEXEC) >= 0)
            (void)close((int)calls[i].number);
}

/* One call that never returns. */
static void doom(void) {
    int pair[2];
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        err(1, "socketpair");
    pid_t pid = make_child();
    if (pid == 0)
        (void)syscall(SYS_recvfrom, pair[0], &byte, 1L, 0L, 0L, 0L);
    char state;
    while ((state = state_of(pid)) != 'S' && state != 'Z')
        pause_a_little();
    (void)kill(pid, SIGKILL);
    await(pid);
}

/* Whoever is stopped does nothing until SIGCONT. */
static void stop_and_go(void) {
    int pipes[2], status;
    if (pipe(pipes) < 0)
        err(1, "pipe");
    pid_t pid = make_child();
    if (pid == 0) {
        (void)kill(getpid(), SIGSTOP);
        _exit(write(pipes[1], "", 1) != 1);
    }
    struct pollfd end = {.fd = pipes[0], .events = POLLIN};
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        errx(MISSED, "it was not stopped");
    if (poll(&end, 1, 20) != 0)
        errx(MISSED, "it was stopped, and went on");
    (void)kill(pid, SIGCONT);
    await(pid);
}

static _Noreturn void probe(void) {
    pid_t pid = make_child();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    struct __ptrace_syscall_info info;
    int status;
    bool may = ptrace(PTRACE_SEIZE, pid, NULL, 0) == 0 &&
               ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 &&
               waitpid(pid, &status, 0) == pid &&
               ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0;
    (void)kill(pid, SIGKILL);
    await(pid);
    exit(!may);
}

static _Noreturn void become(char **words) {
    char self[] = "/proc/self/exe";
    *--words = self; /* in the place of the last word */
    (void)execv(self, words);
    err(1, "exec");
}

static void spawn(char **words) {
    extern char **environ;
    char self[] = "/proc/self/exe";
    pid_t pid;
    *--words = self;
    errno = posix_spawn(&pid, self, NULL, NULL, words, environ);
    if (errno != 0)
        err(1, "posix_spawn");
    await(pid);
}

static void *do_words(void *words);

static void run_threads(int count, char **words) {
    pthread_t threads[MOST_THREADS];
    for (int i = 0; i < count; i++)
        if ((errno = pthread_create(&threads[i], NULL, do_words, words)) != 0)
            err(1, "pthread_create");
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
}

static void run_children(int count, char **words) {
    pid_t pids[MOST_THREADS];
    for (int i = 0; i < count; i++)
        if ((pids[i] = make_child()) == 0) {
            (void)do_words(words);
            _exit(0);
        }
    for (int i = 0; i < count; i++)
        await(pids[i]);
}

/* Words that make others do the rest. Returns whether it was one of them. */
static bool do_branch(char **words) {
    const char *word = words[0];
    int number = words[1] == NULL ? 0 : number_of(words[1]);
    if (strcmp(word, "fork") == 0) {
        pid_t pid = make_child();
        if (pid == 0) {
            (void)do_words(words + 2);
            _exit(0);
        }
        await(pid);
        exit(number);
    }
    if (strcmp(word, "orphan") == 0) {
        pid_t parent = getpid();
        if (make_child() != 0)
            _exit(number);
        while (getppid() == parent)
            pause_a_little();
        return false;
    }
    if (strcmp(word, "exec") == 0)
        become(words + 1);
    if (strcmp(word, "vfork") == 0)
        spawn(words + 1);
    else if (strcmp(word, "forks") == 0)
        run_children(number, words + 2);
    else if (strcmp(word, "thread") == 0)
        run_threads(1, words + 1);
    else if (strcmp(word, "threads") == 0)
        run_threads(number, words + 2);
    else
        return false;
    return true;
}

/* Words with a number behind them. Returns whether it was one of them. */
static bool do_number(const char *word, int number) {
    if (strcmp(word, "kill") == 0)
        (void)kill(getpid(), number);
    else if (strcmp(word, "catch") == 0)
        (void)signal(number, count_signal);
    else if (strcmp(word, "ignore") == 0)
        (void)signal(number, SIG_IGN);
    else if (strcmp(word, "caught") == 0 && caught != number)
        exit(MISSED);
    else if (strcmp(word, "close") == 0)
        (void)close(number);
    else if (strcmp(word, "exit") == 0)
        exit(number);
    else
        return strcmp(word, "caught") == 0 || strcmp(word, "orphan") == 0;
    return true;
}

static void do_word(const char *word) {
    const char *count = strchr(word, '*');
    volatile unsigned long spins = 0;
    if (count != NULL)
        make_calls(word, count + 1);
    else if (strcmp(word, "lures") == 0)
        lure();
    else if (strcmp(word, "doomed") == 0)
        doom();
    else if (strcmp(word, "stopped") == 0)
        stop_and_go();
    else if (strcmp(word, "probe") == 0)
        probe();
    else if (strcmp(word, "pid") == 0)
        (void)printf("%d\n", (int)getpid());
    else if (strcmp(word, "hang") == 0)
        (void)poll(NULL, 0, -1);
    else if (strcmp(word, "spin") == 0)
        while (true)
            spins = spins + 1;
    else
        errx(2, "no such word: %s", word);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

static void *do_words(void *argument) {
    char **words = argument;
    while (words[0] != NULL) {
        if (do_branch(words))
            return NULL;
        if (words[1] != NULL && strcmp(words[0], "say") == 0) {
            if (puts(words[1]) == EOF || fflush(stdout) == EOF)
                err(1, "standard output");
            words += 2;
        } else if (words[1] != NULL &&
                   do_number(words[0], number_of(words[1]))) {
            words += 2;
        } else {
            do_word(*words++);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    (void)alarm(LIFETIME_SECONDS);
    (void)do_words(argv + 1);
    return 0;
}
