/* A worker has no handler: SIGTERM and SIGINT end it by their default action.
 * They are blocked, except while the worker waits for a client. The worker
 * sends back one byte at a time. The parent waits with sigtimedwait. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct worker {
    pid_t pid;             /* 0: the place is empty */
    struct timespec start; /* of the last worker in this place */
};

enum { MOST_WORKERS = 64, LARGEST_PORT = 65535, RESTART_MS = 300 };

static sigset_t ours; /* SIGTERM, SIGINT and SIGCHLD */
static sigset_t none; /* no signal */

static long long milliseconds_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long seconds = now.tv_sec - start->tv_sec;
    long long nanoseconds = now.tv_nsec - start->tv_nsec;
    return seconds * 1000 + nanoseconds / 1000000;
}

static int parse_number(const char *text, int most) {
    char *end;
    if (!isdigit((unsigned char)text[0]))
        errx(1, "not a number: %s", text);
    /* A number that is too large for a long becomes LONG_MAX. */
    long number = strtol(text, &end, 10);
    if (*end != '\0' || number > most)
        errx(1, "not a number up to %d: %s", most, text);
    return (int)number;
}

static void echo(int fd) {
    for (;;) {
        char byte;
        if (read(fd, &byte, 1) != 1)
            return;
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
            return;
    }
}

/* Whether a signal that ends us has come while it was blocked. */
static int is_told_to_end(void) {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT);
}

/* What a worker does. It never returns. */
static void run_worker(int listener, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0); /* the parent had ended before we called prctl */
    for (;;) {
        struct pollfd entry = {.fd = listener, .events = POLLIN};
        if (is_told_to_end())
            _exit(0);
        if (ppoll(&entry, 1, NULL, &none) < 1)
            continue;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        echo(fd);
        close(fd);
    }
}

static int start_listening(int port) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons((in_port_t)port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, length) < 0)
        err(1, "bind to 127.0.0.1:%d", port);
    if (listen(listener, 128) < 0)
        err(1, "listen at 127.0.0.1:%d", port);
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    dprintf(STDOUT_FILENO, "listening on 127.0.0.1:%d\n",
            ntohs(address.sin_port));
    return listener;
}

static void block_signals(void) {
    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ours, NULL);
}

/* Asks for all workers that have ended, and empties their places. */
static void reap_workers(struct worker *workers, int count) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        if (WIFSIGNALED(status))
            dprintf(STDERR_FILENO, "%d: signal %d\n", (int)pid,
                    WTERMSIG(status));
        for (int i = 0; i < count; i++) {
            if (workers[i].pid == pid)
                workers[i].pid = 0;
        }
    }
}

/* Starts a worker in each empty place where the time for it has come. */
static void start_workers(struct worker *workers, int count, int listener) {
    for (int i = 0; i < count; i++) {
        struct worker *worker = &workers[i];
        if (worker->pid != 0)
            continue;
        if (milliseconds_since(&worker->start) <= RESTART_MS)
            continue;
        clock_gettime(CLOCK_MONOTONIC, &worker->start);
        pid_t parent = getpid();
        pid_t pid = fork();
        if (pid == 0)
            run_worker(listener, parent);
        if (pid > 0)
            worker->pid = pid;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: 22-fork-server WORKERS PORT\n");
        return 2;
    }
    int count = parse_number(argv[1], MOST_WORKERS);
    int port = parse_number(argv[2], LARGEST_PORT);
    if (count == 0)
        errx(1, "no workers");
    struct worker *workers = calloc((size_t)count, sizeof *workers);
    if (workers == NULL)
        err(1, "calloc");

    int listener = start_listening(port);
    block_signals();
    int signal_number = 0;
    while (signal_number != SIGTERM && signal_number != SIGINT) {
        reap_workers(workers, count);
        start_workers(workers, count, listener);
        struct timespec pause = {.tv_nsec = 50000000};
        signal_number = sigtimedwait(&ours, NULL, &pause);
    }
    for (int i = 0; i < count; i++) {
        if (workers[i].pid != 0)
            kill(workers[i].pid, SIGTERM);
    }
    for (int i = 0; i < count; i++) {
        if (workers[i].pid != 0)
            waitpid(workers[i].pid, NULL, 0);
    }
    free(workers);
    return 0;
}
