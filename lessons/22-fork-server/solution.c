/*
 * 22 solution: an echo server with processes that are there before the clients
 * come; one good answer of many.
 *
 * usage: 22-fork-server WORKERS PORT
 */
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    MOST_WORKERS = 64,
    RESTART_MS = 300, /* at least so long from one start to the next */
    PAUSE_MS = 100,   /* after a call that failed */
    PIECE_BYTES = 16384,
    MS_PER_SECOND = 1000,
    NS_PER_MS = 1000 * 1000,
};

/* A place for a worker. */
struct worker {
    pid_t pid;                /* 0: the place is empty */
    struct deadline earliest; /* when the next worker may be started here */
};

struct server {
    int listener;
    size_t count;
    struct worker workers[MOST_WORKERS];
    sigset_t unblocked; /* a signal mask that blocks none of our signals */
};

/* Set by the signal handler: this process is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 22-fork-server WORKERS PORT\n", out);
    exit(status);
}

/* Returns the number that the text is. Ends the program unless the text is a
 * number from least to most, in digits alone. */
static unsigned parse_number(const char *text, unsigned least, unsigned most,
                             const char *what) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s is not a %s: %u to %u", text, what, least, most);
    return (unsigned)number;
}

static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

/* SIGCHLD only has to interrupt ppoll. */
static void wake_up(int signal_number) {
    (void)signal_number;
}

static void set_handler(int signal_number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
}

/* From here on, these signals wait in the kernel until ppoll lets them in. The
 * workers inherit all of this. */
static void catch_signals(struct server *server) {
    sigset_t ours;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ours, &server->unblocked);
    (void)sigdelset(&server->unblocked, SIGINT);
    (void)sigdelset(&server->unblocked, SIGTERM);
    (void)sigdelset(&server->unblocked, SIGCHLD);
    set_handler(SIGINT, request_stop);
    set_handler(SIGTERM, request_stop);
    set_handler(SIGCHLD, wake_up);
    set_handler(SIGPIPE, SIG_IGN);
}

/* Lets in the signals that wait, so that their handlers run, and blocks them
 * again. ppoll does the same, but not when there is a client to accept. */
static void deliver_signals(const struct server *server) {
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, &server->unblocked, &blocked);
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Returns a listener at 127.0.0.1. It is non-blocking, because one client wakes
 * several workers up, and only one of them gets it. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* Sends the client back what it sends, until it ends or fails. Our signals are
 * blocked, so nothing interrupts this. */
static void serve_client(int fd) {
    char piece[PIECE_BYTES];
    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received == 0)
            return;
        if (received < 0 && errno == EINTR)
            continue; /* another signal, such as SIGCONT */
        if (received < 0) {
            warn("recv");
            return;
        }
        size_t sent;
        if (stream_write_all(fd, piece, (size_t)received, &sent) < 0) {
            warn("send");
            return;
        }
    }
}

static void accept_client(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && errno == EAGAIN)
        return; /* another worker was faster */
    if (fd < 0) {
        warn_and_pause("accept");
        return;
    }
    serve_client(fd);
    (void)close(fd);
}

/* What a worker does: one client after another, until it is told to end. */
static _Noreturn void run_worker(const struct server *server, pid_t parent) {
    /* When the parent ends, so does the worker: lesson 09. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        warn("prctl");
    if (getppid() != parent)
        _exit(0); /* the parent had ended before we called prctl */
    struct pollfd entry = {.fd = server->listener, .events = POLLIN};
    while (!stopping) {
        int ready = ppoll(&entry, 1, NULL, &server->unblocked);
        if (ready < 0 && errno != EINTR)
            warn_and_pause("ppoll");
        if (ready > 0)
            accept_client(server->listener);
        deliver_signals(server);
    }
    _exit(0);
}

/* Starts a worker in this place. If fork fails, the place stays empty, and
 * start_workers tries again later. */
static void start_worker(const struct server *server, struct worker *worker) {
    pid_t parent = getpid();
    worker->earliest = deadline_after(RESTART_MS);
    pid_t pid = fork();
    if (pid == 0)
        run_worker(server, parent);
    if (pid < 0)
        warn("fork");
    else
        worker->pid = pid;
}

/* Starts a worker in each empty place where the time for it has come. */
static void start_workers(struct server *server) {
    for (size_t i = 0; i < server->count; i++) {
        struct worker *worker = &server->workers[i];
        if (worker->pid == 0 && deadline_left(worker->earliest) == 0)
            start_worker(server, worker);
    }
}

/* Returns the milliseconds until the next worker may be started, or -1 if no
 * place is empty. */
static int time_to_next_start(const struct server *server) {
    int shortest = -1;
    for (size_t i = 0; i < server->count; i++) {
        const struct worker *worker = &server->workers[i];
        if (worker->pid != 0)
            continue;
        int left = deadline_left(worker->earliest);
        if (shortest == -1 || left < shortest)
            shortest = left;
    }
    return shortest;
}

static void report_worker(pid_t pid, int status) {
    if (WIFSIGNALED(status))
        warnx("worker %d: ended by signal %d", (int)pid, WTERMSIG(status));
    else
        warnx("worker %d: ended with status %d", (int)pid, WEXITSTATUS(status));
}

static void remove_worker(struct server *server, pid_t pid) {
    for (size_t i = 0; i < server->count; i++) {
        if (server->workers[i].pid == pid)
            server->workers[i].pid = 0;
    }
}

/* Asks for all workers that have ended. If several end at about the same time,
 * one SIGCHLD may stand for all of them. */
static void reap_workers(struct server *server) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        remove_worker(server, pid);
        report_worker(pid, status);
    }
}

/* Sleeps until a signal comes, or for so many milliseconds. With -1, it waits
 * only for a signal. */
static void wait_for_signal(const struct server *server, int milliseconds) {
    struct timespec time = {0};
    const struct timespec *limit = NULL; /* ppoll waits without a limit */
    if (milliseconds >= 0) {
        long part_of_second = milliseconds % MS_PER_SECOND;
        time.tv_sec = milliseconds / MS_PER_SECOND;
        time.tv_nsec = part_of_second * NS_PER_MS;
        limit = &time;
    }
    if (ppoll(NULL, 0, limit, &server->unblocked) < 0 && errno != EINTR)
        warn_and_pause("ppoll");
}

/* Tells each worker to end, and waits until all have finished. If kill fails,
 * we end, and then the kernel sends them SIGTERM: PR_SET_PDEATHSIG in
 * run_worker. */
static void end_workers(const struct server *server) {
    for (size_t i = 0; i < server->count; i++) {
        pid_t pid = server->workers[i].pid;
        if (pid == 0)
            continue;
        if (kill(pid, SIGTERM) < 0)
            err(1, "kill");
    }
    for (size_t i = 0; i < server->count; i++) {
        pid_t pid = server->workers[i].pid;
        if (pid == 0)
            continue;
        if (waitpid(pid, NULL, 0) < 0)
            warn("waitpid");
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    struct server server = {0};
    server.count = parse_number(argv[1], 1, MOST_WORKERS, "number of workers");
    unsigned port = parse_number(argv[2], 0, LARGEST_PORT, "port");
    /* Many processes write to this stream. So each line must be a single
     * write(2), or the lines of two processes could mix. */
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    catch_signals(&server);

    const char *failed;
    server.listener = listen_on((in_port_t)port);
    if (listener_announce(server.listener, &failed) < 0)
        err(1, "%s", failed);
    while (!stopping) {
        reap_workers(&server);
        start_workers(&server);
        int milliseconds = time_to_next_start(&server);
        wait_for_signal(&server, milliseconds);
    }
    (void)close(server.listener);
    end_workers(&server);
    return 0;
}
