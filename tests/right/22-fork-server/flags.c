/* Handlers that set flags, a blocking accept, and an alarm each second in case
 * a signal came too early. The parent looks for its children now and then. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORKERS = 64, LARGEST_PORT = 65535, MOST_DIGITS = 5 };

static volatile sig_atomic_t stopping;
static pid_t pids[MOST_WORKERS];     /* 0: the place is empty */
static double started[MOST_WORKERS]; /* when, in seconds; 0: never */

static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    alarm(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long parse_number(const char *text, long least, long most) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits != strlen(text))
        errx(1, "%s: bad number", text);
    if (digits > MOST_DIGITS)
        errx(1, "%s: bad number", text);
    long number = atol(text);
    if (number < least || number > most)
        errx(1, "%s: bad number", text);
    return number;
}

static void echo(int fd) {
    char buffer[1000];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        ssize_t done = 0;
        while (done < got) {
            ssize_t sent = write(fd, buffer + done, (size_t)(got - done));
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0)
                return;
            done += sent;
        }
    }
}

/* What a worker does. It never returns. */
static void run_worker(int listener) {
    while (!stopping) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        echo(fd);
        close(fd);
    }
    _exit(0);
}

static void start_worker(int listener, int place) {
    pid_t parent = getpid();
    started[place] = seconds();
    pids[place] = fork();
    if (pids[place] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(0); /* the parent had ended before we called prctl */
        run_worker(listener);
    }
    if (pids[place] < 0) {
        warn("fork");
        pids[place] = 0;
    }
}

/* Asks for all workers that have ended, reports them, and frees their places.
 */
static void reap_workers(int workers) {
    for (;;) {
        int status;
        int signal_number = 0;
        int exit_status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended <= 0)
            return;
        if (WIFSIGNALED(status))
            signal_number = WTERMSIG(status);
        if (WIFEXITED(status))
            exit_status = WEXITSTATUS(status);
        fprintf(stderr, "child %d died, signal %d, status %d\n", (int)ended,
                signal_number, exit_status);
        for (int i = 0; i < workers; i++) {
            if (pids[i] == ended)
                pids[i] = 0;
        }
    }
}

/* Starts a worker in each empty place, but not sooner than 0.3 seconds after
 * the last start in this place. */
static void start_workers(int listener, int workers) {
    for (int i = 0; i < workers; i++) {
        if (pids[i] != 0)
            continue;
        if (started[i] == 0 || seconds() - started[i] > 0.3)
            start_worker(listener, i);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s WORKERS PORT\n", argv[0]);
        return 2;
    }
    int workers = (int)parse_number(argv[1], 1, MOST_WORKERS);
    int port = (int)parse_number(argv[2], 0, LARGEST_PORT);

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = request_stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct sockaddr_in me = {.sin_family = AF_INET};
    me.sin_port = htons((in_port_t)port);
    me.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof me;
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&me, size) < 0)
        err(1, "bind to port %d", port);
    if (listen(listener, 100) < 0)
        err(1, "listen at port %d", port);
    getsockname(listener, (struct sockaddr *)&me, &size);
    printf("listening on 127.0.0.1:%d\n", ntohs(me.sin_port));
    fflush(stdout);

    while (!stopping) {
        reap_workers(workers);
        start_workers(listener, workers);
        struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < workers; i++) {
        if (pids[i] > 0)
            kill(pids[i], SIGTERM);
    }
    /* wait fails with EINTR when a signal comes, and with ECHILD at the end. */
    for (;;) {
        if (wait(NULL) < 0 && errno == ECHILD)
            return 0;
    }
}
