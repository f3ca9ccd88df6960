/* Workers that react to no signal at all. Each has the reading end of a pipe,
 * and only the parent has the writing end. The workers end when the writing end
 * is closed, either by the parent, or by the kernel because the parent was
 * killed. The parent has a descriptor for signals. */
#define _GNU_SOURCE

#include "deadline.h"
#include "listener.h"
#include "number.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_WORKERS = 64, LARGEST_PORT = 65535, RESTART_MS = 300 };

/* Places in the array for poll. */
enum { PARENT_PIPE, LISTENER, PLACES };

/* The ends of the pipe. */
enum { READING, WRITING, ENDS };

struct place {
    pid_t pid;                  /* 0: the place is empty */
    struct deadline not_before; /* when the next worker may be started */
};

static int parent_pipe[ENDS];
static int signals;

static void serve_client(int fd) {
    char bytes[4096];
    for (;;) {
        size_t sent;
        ssize_t received = recv(fd, bytes, sizeof bytes, 0);
        if (received <= 0)
            break;
        if (stream_write_all(fd, bytes, (size_t)received, &sent) < 0)
            break;
    }
    close(fd);
}

static _Noreturn void run_worker(int listener) {
    struct pollfd fds[PLACES] = {
        [PARENT_PIPE] = {.fd = parent_pipe[READING], .events = POLLIN},
        [LISTENER] = {.fd = listener, .events = POLLIN},
    };
    close(parent_pipe[WRITING]); /* or it would stay open without the parent */
    close(signals);
    for (;;) {
        if (poll(fds, PLACES, -1) < 0)
            err(1, "poll");
        if (fds[PARENT_PIPE].revents != 0)
            _exit(0);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve_client(fd);
    }
}

static void start_worker(struct place *place, int listener) {
    place->not_before = deadline_after(RESTART_MS);
    pid_t pid = fork();
    if (pid == 0)
        run_worker(listener);
    if (pid < 0)
        warn("fork");
    else
        place->pid = pid;
}

/* Starts a worker in each empty place where the time for it has come. */
static void start_workers(struct place *places, size_t count, int listener) {
    for (size_t i = 0; i < count; i++) {
        if (places[i].pid == 0 && deadline_left(places[i].not_before) == 0)
            start_worker(&places[i], listener);
    }
}

/* Returns the milliseconds until the next worker may be started, or -1 if no
 * place is empty. */
static int time_to_next_start(const struct place *places, size_t count) {
    int shortest = -1;
    for (size_t i = 0; i < count; i++) {
        if (places[i].pid != 0)
            continue;
        int milliseconds = deadline_left(places[i].not_before);
        if (shortest == -1 || milliseconds < shortest)
            shortest = milliseconds;
    }
    return shortest;
}

static void report_end(pid_t pid, int status) {
    if (WIFSIGNALED(status))
        warnx("lost %d: signal %d", (int)pid, WTERMSIG(status));
    else
        warnx("lost %d: status %d", (int)pid, WEXITSTATUS(status));
}

/* Asks for each worker whether it has ended, and empties its place. */
static void reap_workers(struct place *places, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int status;
        if (places[i].pid == 0)
            continue;
        pid_t ended = waitpid(places[i].pid, &status, WNOHANG);
        if (ended == places[i].pid) {
            report_end(places[i].pid, status);
            places[i].pid = 0;
        }
    }
}

/* Waits until a signal comes, or for so many milliseconds, or with -1 only for
 * a signal. Returns the number of the signal, or 0. */
static uint32_t wait_for_signal(int milliseconds) {
    struct pollfd entry = {.fd = signals, .events = POLLIN};
    struct signalfd_siginfo info;
    if (poll(&entry, 1, milliseconds) <= 0)
        return 0;
    if (read(signals, &info, sizeof info) != sizeof info)
        return 0;
    return info.ssi_signo;
}

int main(int argc, char **argv) {
    unsigned long long count;
    unsigned long long port;
    const char *failed;
    static struct place places[MOST_WORKERS];
    sigset_t set;

    if (argc != 3) {
        fputs("usage: 22-fork-server WORKERS PORT\n", stderr);
        return 2;
    }
    if (number_parse(argv[1], 1, MOST_WORKERS, &count) < 0)
        errx(1, "the number of workers is wrong");
    if (number_parse(argv[2], 0, LARGEST_PORT, &port) < 0)
        errx(1, "the port is wrong");
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        err(1, "signalfd");
    if (pipe2(parent_pipe, O_CLOEXEC) < 0)
        err(1, "pipe2");

    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((in_port_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener =
        listener_open((struct sockaddr *)&here, sizeof here, 64, 0, &failed);
    if (listener < 0)
        err(1, "%s", failed);
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);

    for (;;) {
        start_workers(places, count, listener);
        int milliseconds = time_to_next_start(places, count);
        uint32_t signal_number = wait_for_signal(milliseconds);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            break;
        reap_workers(places, count);
    }
    close(parent_pipe[WRITING]); /* tells the workers to end */
    pid_t ended = 1;
    while (ended > 0)
        ended = wait(NULL);
    return 0;
}
