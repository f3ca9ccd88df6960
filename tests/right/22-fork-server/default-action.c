/* A worker has no handler: SIGTERM and SIGINT end it by their default action.
 * They are blocked, and only while it waits for a client they are not. It
 * handles one byte at a time. The parent waits with sigtimedwait. */
#define _GNU_SOURCE

#include <arpa/inet.h>
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
    pid_t pid;
    struct timespec start;
};

static sigset_t ours, none;

static long long since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000LL +
           (now.tv_nsec - start->tv_nsec) / 1000000;
}

static int to_number(const char *text, int most) {
    char *end;
    if (*text < '0' || *text > '9')
        errx(1, "not a number: %s", text);
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || *end || number > most)
        errx(1, "not a number up to %d: %s", most, text);
    return (int)number;
}

static void child(int listener, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    for (;;) {
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        char byte;
        sigset_t pending;
        sigpending(&pending);
        if (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT))
            _exit(0);
        if (ppoll(&wait, 1, NULL, &none) < 1)
            continue;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        while (read(fd, &byte, 1) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
            ;
        close(fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 3)
        return fprintf(stderr, "usage: 22-fork-server WORKERS PORT\n"), 2;
    int count = to_number(argv[1], 64);
    int port = to_number(argv[2], 65535);
    if (count == 0)
        errx(1, "no workers");
    struct worker *workers = calloc((size_t)count, sizeof *workers);
    if (workers == NULL)
        err(1, "calloc");

    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons((in_port_t)port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 ||
        listen(listener, 128) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "127.0.0.1:%d", port);
    dprintf(1, "listening on 127.0.0.1:%d\n", ntohs(address.sin_port));

    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    int signal_number = 0;
    while (signal_number != SIGTERM && signal_number != SIGINT) {
        int status;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (WIFSIGNALED(status))
                dprintf(2, "%d: signal %d\n", (int)pid, WTERMSIG(status));
            for (int i = 0; i < count; i++)
                if (workers[i].pid == pid)
                    workers[i].pid = 0;
        }
        for (int i = 0; i < count; i++) {
            if (workers[i].pid || since(&workers[i].start) < 301)
                continue;
            clock_gettime(CLOCK_MONOTONIC, &workers[i].start);
            pid_t parent = getpid(), pid = fork();
            if (pid == 0)
                child(listener, parent);
            if (pid > 0)
                workers[i].pid = pid;
        }
        struct timespec tenth = {0, 50000000};
        signal_number = sigtimedwait(&ours, NULL, &tenth);
    }
    for (int i = 0; i < count; i++)
        if (workers[i].pid)
            kill(workers[i].pid, SIGTERM);
    for (int i = 0; i < count; i++)
        if (workers[i].pid)
            waitpid(workers[i].pid, NULL, 0);
    free(workers);
    return 0;
}
