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

#define MAX 64

static volatile sig_atomic_t quit;
static pid_t pids[MAX];
static double started[MAX];

static void on_signal(int number) {
    (void)number;
    quit = 1;
    alarm(1);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long number(const char *text, long least, long most) {
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text) ||
        strlen(text) > 5 || atol(text) < least || atol(text) > most)
        errx(1, "%s: bad number", text);
    return atol(text);
}

static void echo(int fd) {
    char buffer[1000];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(fd, buffer + done, (size_t)(got - done));
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return;
            done += put;
        }
    }
}

static void work(int listener) {
    while (!quit) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        echo(fd);
        close(fd);
    }
    _exit(0);
}

static void start(int listener, int place) {
    pid_t parent = getpid();
    started[place] = seconds();
    pids[place] = fork();
    if (pids[place] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(0);
        work(listener);
    }
    if (pids[place] < 0) {
        warn("fork");
        pids[place] = 0;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s WORKERS PORT\n", argv[0]);
        return 2;
    }
    int workers = (int)number(argv[1], 1, MAX);
    int port = (int)number(argv[2], 0, 65535);

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
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
    if (bind(listener, (struct sockaddr *)&me, size) || listen(listener, 100))
        err(1, "port %d", port);
    getsockname(listener, (struct sockaddr *)&me, &size);
    printf("listening on 127.0.0.1:%d\n", ntohs(me.sin_port));
    fflush(stdout);

    while (!quit) {
        int status;
        pid_t gone;
        while ((gone = waitpid(-1, &status, WNOHANG)) > 0) {
            fprintf(stderr, "child %d died, signal %d, status %d\n", (int)gone,
                    WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                    WIFEXITED(status) ? WEXITSTATUS(status) : 0);
            for (int i = 0; i < workers; i++)
                if (pids[i] == gone)
                    pids[i] = 0;
        }
        for (int i = 0; i < workers; i++)
            if (pids[i] == 0 &&
                (started[i] == 0 || seconds() - started[i] > 0.3))
                start(listener, i);
        struct timespec nap = {0, 20000000};
        nanosleep(&nap, NULL);
    }
    for (int i = 0; i < workers; i++)
        if (pids[i] > 0)
            kill(pids[i], SIGTERM);
    for (;;) {
        if (wait(NULL) < 0 && errno == ECHILD)
            return 0;
    }
}
