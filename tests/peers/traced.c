/*
 * traced: makes system calls that can be counted, in all the ways in which a
 * tracer could miss them.
 *
 *     traced WORD...
 *
 * It does what each word says, one after another, and exits with status 0:
 *
 *     NAME*COUNT       makes that call COUNT times, on no valid descriptor
 *     fork STATUS      a child does the remaining words; the parent waits for
 *                      it, and exits with STATUS
 *     forks COUNT      COUNT children do the remaining words, all at once
 *     orphan STATUS    the parent exits with STATUS; then a child does the
 *                      remaining words
 *     vfork            a child that posix_spawn(3) starts does the remaining
 *                      words
 *     thread           a thread does the remaining words
 *     threads COUNT    COUNT threads do the remaining words, all at once
 *     pairs COUNT      COUNT threads wait in recv, each for a byte on a pair of
 *                      its own, and get it, the last thread first
 *     exec             executes this program again, with the remaining words
 *     lures            makes calls that return the numbers of the calls above
 *     foreign          makes a call of 32-bit programs, dup, whose number means
 *                      socket here; exits with status 77 if it cannot
 *     x32              makes a call of x32 programs, socket; it may fail
 *     hidden           has the kernel hide its memory and its descriptors
 *     astray           makes calls with addresses where nothing is, and one for
 *                      a socket that does not exist
 *     scoped           connects to an address that lies on one interface only
 *     doomed           a child waits in recvfrom, and is killed there
 *     stopped          four children stop, each by another signal, and are
 *                      continued; exits with status 99 if one does not stop, or
 *                      goes on before that
 *     catch SIGNAL     counts this signal from now on
 *     kill SIGNAL      sends the signal to itself
 *     caught COUNT     exits with status 99 unless it has caught COUNT signals
 *     ignore SIGNAL    ignores the signal
 *     close FD         closes the descriptor
 *     say WORD         prints a line
 *     pid              prints its process ID
 *     hang             sleeps without end
 *     spin             computes without end
 *     exit STATUS      exits at once
 *     probe            exits with status 1 if no process may trace another here
 *
 * After half a minute SIGALRM ends it, whatever it is doing.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LIFETIME_SECONDS = 30,
    IMPOSSIBLE = 77, /* on this machine */
    MISSED = 99,
    MOST_THREADS = 100,
};

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
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        size_t length = strlen(calls[i].name);
        if (strncmp(calls[i].name, name, length) != 0 || name[length] != '*')
            continue;
        for (int left = number_of(count); left > 0; left--)
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

static void wait_for_child(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            err(1, "waitpid");
}

/* The state of a process, as a letter: proc(5). */
static char state_of(pid_t pid) {
    char path[64];
    char line[256] = "";
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

#ifdef __x86_64__
static void give_up(int signal_number) {
    (void)signal_number;
    _exit(IMPOSSIBLE);
}
#endif

/* A 64-bit program can make the calls of 32-bit ones by the instruction that
 * they use, if the kernel has been built for it, and was started with it. To a
 * kernel without it, the instruction is an error. */
static void make_foreign_call(void) {
#ifdef __x86_64__
    enum { DUP = 41 };
    long result = DUP;
    (void)signal(SIGSEGV, give_up);
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(-1L)
                     : "memory", "r8", "r9", "r10", "r11");
    (void)signal(SIGSEGV, SIG_DFL);
    if (result == -EBADF)
        return;
#endif
    exit(IMPOSSIBLE);
}

/* A kernel without x32 refuses the call, but tells a tracer of it all the same.
 */
static void make_x32_call(void) {
#ifdef __x86_64__
    const long x32_bit = 0x40000000;
    (void)syscall(x32_bit + SYS_socket, AF_INET, SOCK_STREAM, 0);
#else
    exit(IMPOSSIBLE);
#endif
}

static void make_lures(void) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (dup3(STDIN_FILENO, (int)calls[i].number, O_CLOEXEC) >= 0)
            (void)close((int)calls[i].number);
}

/* Makes a call that never returns. */
static void kill_in_call(void) {
    int pair[2];
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        err(1, "socketpair");
    pid_t pid = make_child();
    if (pid == 0)
        (void)syscall(SYS_recvfrom, pair[0], &byte, 1L, 0L, 0L, 0L);
    for (;;) {
        char state = state_of(pid);
        if (state == 'S' || state == 'Z') /* asleep, or dead */
            break;
        pause_a_little();
    }
    (void)kill(pid, SIGKILL);
    wait_for_child(pid);
}

/* Makes a child that stops itself by this signal, and then writes the number of
 * the signal to fd. The child has a process group of its own, whose parent is
 * in another one: in an orphaned group, only SIGSTOP stops. */
static pid_t make_stopped_child(int signal_number, int fd) {
    pid_t pid = make_child();
    if (pid == 0) {
        unsigned char byte = (unsigned char)signal_number;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also while it is stopped */
        (void)setpgid(0, 0);
        (void)signal(signal_number, SIG_DFL);
        (void)kill(getpid(), signal_number);
        _exit(write(fd, &byte, 1) == 1 ? 0 : 1);
    }
    int status;
    if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        errx(MISSED, "signal %d did not stop a process", signal_number);
    return pid;
}

/* Checks that a stopped child does nothing until SIGCONT. */
static void stop_and_go(void) {
    enum { SIGNALS = 4 };
    static const int signals[SIGNALS] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    pid_t children[SIGNALS];
    int pipes[2];
    if (pipe(pipes) < 0)
        err(1, "pipe");
    for (int i = 0; i < SIGNALS; i++)
        children[i] = make_stopped_child(signals[i], pipes[1]);
    struct pollfd end = {.fd = pipes[0], .events = POLLIN};
    if (poll(&end, 1, 20) != 0) {
        unsigned char byte = 0;
        if (read(pipes[0], &byte, 1) < 0)
            err(1, "read");
        errx(MISSED, "signal %d stopped a process, and it went on", byte);
    }
    for (int i = 0; i < SIGNALS; i++) {
        (void)kill(children[i], SIGCONT);
        wait_for_child(children[i]);
    }
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
    wait_for_child(pid);
    exit(may ? 0 : 1);
}

/* Our program, as argv[0] in the place of the word that we have just done. The
 * remaining words follow it. */
static char **command_with(char **words) {
    static char self[] = "/proc/self/exe";
    char **command = words - 1;
    command[0] = self;
    return command;
}

static _Noreturn void execute_again(char **words) {
    char **command = command_with(words);
    (void)execv(command[0], command);
    err(1, "exec");
}

static void spawn(char **words) {
    extern char **environ;
    char **command = command_with(words);
    pid_t pid;
    errno = posix_spawn(&pid, command[0], NULL, NULL, command, environ);
    if (errno != 0)
        err(1, "posix_spawn");
    wait_for_child(pid);
}

static void *do_words(void *words);

static void run_threads(int count, char **words) {
    pthread_t threads[MOST_THREADS];
    for (int i = 0; i < count; i++) {
        errno = pthread_create(&threads[i], NULL, do_words, words);
        if (errno != 0)
            err(1, "pthread_create");
    }
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
}

struct receiver {
    pthread_t thread;
    _Atomic pid_t id; /* 0 before the thread runs */
    int ends[2];
};

static void *receive(void *argument) {
    struct receiver *receiver = argument;
    char byte;
    receiver->id = gettid();
    if (recv(receiver->ends[0], &byte, 1, 0) != 1)
        errx(MISSED, "no byte came");
    return NULL;
}

static void start_receiver(struct receiver *receiver) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, receiver->ends) < 0)
        err(1, "socketpair");
    errno = pthread_create(&receiver->thread, NULL, receive, receiver);
    if (errno != 0)
        err(1, "pthread_create");
    while (receiver->id == 0 || state_of(receiver->id) != 'S')
        pause_a_little();
}

static void run_receivers(int count) {
    struct receiver receivers[MOST_THREADS] = {0};
    for (int i = 0; i < count; i++)
        start_receiver(&receivers[i]);
    for (int i = count - 1; i >= 0; i--)
        if (send(receivers[i].ends[1], "", 1, 0) != 1)
            err(1, "send");
    for (int i = 0; i < count; i++)
        (void)pthread_join(receivers[i].thread, NULL);
}

static void run_children(int count, char **words) {
    pid_t pids[MOST_THREADS];
    for (int i = 0; i < count; i++) {
        pids[i] = make_child();
        if (pids[i] == 0) {
            (void)do_words(words);
            _exit(0);
        }
    }
    for (int i = 0; i < count; i++)
        wait_for_child(pids[i]);
}

/* The parent exits when the child has done the remaining words. */
static _Noreturn void fork_child(char **words, int status) {
    pid_t pid = make_child();
    if (pid == 0) {
        (void)do_words(words);
        _exit(0);
    }
    wait_for_child(pid);
    exit(status);
}

/* The parent exits. Returns in the child, when the parent has gone. */
static void become_orphan(int status) {
    pid_t parent = getpid();
    if (make_child() != 0)
        _exit(status);
    while (getppid() == parent)
        pause_a_little();
}

/* Does a word that lets somebody else do the remaining words. Returns whether
 * it was such a word. */
static bool do_branch(char **words) {
    const char *word = words[0];
    int number = 0;
    if (words[1] != NULL)
        number = number_of(words[1]);
    if (strcmp(word, "fork") == 0)
        fork_child(words + 2, number);
    if (strcmp(word, "exec") == 0)
        execute_again(words + 1);
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

static void check_caught(int count) {
    if (caught != count)
        exit(MISSED);
}

/* Does a word that is followed by a number. Returns whether it was one. */
static bool do_number(const char *word, int number) {
    if (strcmp(word, "kill") == 0)
        (void)kill(getpid(), number);
    else if (strcmp(word, "catch") == 0)
        (void)signal(number, count_signal);
    else if (strcmp(word, "ignore") == 0)
        (void)signal(number, SIG_IGN);
    else if (strcmp(word, "caught") == 0)
        check_caught(number);
    else if (strcmp(word, "close") == 0)
        (void)close(number);
    else if (strcmp(word, "orphan") == 0)
        become_orphan(number);
    else if (strcmp(word, "pairs") == 0)
        run_receivers(number);
    else if (strcmp(word, "exit") == 0)
        exit(number);
    else
        return false;
    return true;
}

static void hide(void) {
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        err(1, "prctl");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    (void)shutdown(fd, SHUT_RD);
    (void)close(fd);
}

/* No program has memory in its first page. What the calls return is of no
 * interest; glibc's own functions would look at some of the addresses. */
static void call_astray(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    (void)syscall(SYS_bind, fd, 1L, 16L);
    (void)syscall(SYS_sendto, fd, 2L, 5L, 0L, 3L, 16L);
    (void)syscall(SYS_sendmsg, fd, 4L, 0L);
    (void)syscall(SYS_writev, fd, 5L, 1L);
    (void)syscall(SYS_ppoll, 6L, 1L, 0L, 0L, 0L);
    (void)syscall(SYS_epoll_ctl, -1L, 1L, (long)fd, 7L);
    (void)socket(AF_INET, SOCK_STREAM, IPPROTO_UDP);
    (void)close(fd);
}

static void connect_in_scope(void) {
    struct sockaddr_in6 there = {
        .sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_scope_id = 1};
    there.sin6_addr.s6_addr[0] = 0xfe;
    there.sin6_addr.s6_addr[1] = 0x80;
    there.sin6_addr.s6_addr[15] = 1;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    (void)connect(fd, (struct sockaddr *)&there, sizeof there);
    (void)close(fd);
}

static _Noreturn void spin(void) {
    volatile unsigned long spins = 0;
    for (;;)
        spins = spins + 1;
}

static void print_line(const char *text) {
    if (puts(text) == EOF || fflush(stdout) == EOF)
        err(1, "standard output");
}

static void print_pid(void) {
    if (printf("%d\n", (int)getpid()) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
}

static void do_word(const char *word) {
    const char *star = strchr(word, '*');
    if (star != NULL)
        make_calls(word, star + 1);
    else if (strcmp(word, "lures") == 0)
        make_lures();
    else if (strcmp(word, "foreign") == 0)
        make_foreign_call();
    else if (strcmp(word, "x32") == 0)
        make_x32_call();
    else if (strcmp(word, "hidden") == 0)
        hide();
    else if (strcmp(word, "astray") == 0)
        call_astray();
    else if (strcmp(word, "scoped") == 0)
        connect_in_scope();
    else if (strcmp(word, "doomed") == 0)
        kill_in_call();
    else if (strcmp(word, "stopped") == 0)
        stop_and_go();
    else if (strcmp(word, "probe") == 0)
        probe();
    else if (strcmp(word, "pid") == 0)
        print_pid();
    else if (strcmp(word, "hang") == 0)
        (void)poll(NULL, 0, -1);
    else if (strcmp(word, "spin") == 0)
        spin();
    else
        errx(2, "no such word: %s", word);
}

static void *do_words(void *argument) {
    char **words = argument;
    while (words[0] != NULL) {
        if (do_branch(words))
            return NULL;
        if (words[1] != NULL && strcmp(words[0], "say") == 0) {
            print_line(words[1]);
            words += 2;
        } else if (words[1] != NULL &&
                   do_number(words[0], number_of(words[1]))) {
            words += 2;
        } else {
            do_word(words[0]);
            words++;
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
