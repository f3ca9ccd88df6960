/* Workers that heed no signal at all. Each has the reading end of a pipe whose
 * writing end only the parent has. When that is closed, whether by the parent
 * or because the parent was killed, they end. The parent has a descriptor for
 * signals. */
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFE = 0, LISTENER = 1 };

struct place {
    pid_t pid;
    struct deadline not_before;
};

static int life[2];
static int signals;

static void serve(int fd) {
    char bytes[4096];
    ssize_t count;
    size_t sent;
    do
        count = recv(fd, bytes, sizeof bytes, 0);
    while (count > 0 && stream_write_all(fd, bytes, (size_t)count, &sent) == 0);
    close(fd);
}

static _Noreturn void work(int listener) {
    struct pollfd fds[2] = {
        [LIFE] = {.fd = life[0], .events = POLLIN},
        [LISTENER] = {.fd = listener, .events = POLLIN},
    };
    close(life[1]);
    close(signals);
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            err(1, "poll");
        if (fds[LIFE].revents != 0)
            _exit(0);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(fd);
    }
}

static int fill(struct place *places, size_t count, int listener) {
    int least = -1;
    for (struct place *place = places; place < places + count; place++) {
        if (place->pid > 0)
            continue;
        int left = deadline_left(place->not_before);
        if (left == 0) {
            left = 300;
            place->not_before = deadline_after(left);
            pid_t pid = fork();
            if (pid == 0)
                work(listener);
            if (pid > 0) {
                place->pid = pid;
                continue;
            }
            warn("fork");
        }
        if (least < 0 || left < least)
            least = left;
    }
    return least;
}

static void reap(struct place *places, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int status;
        if (places[i].pid > 0 &&
            waitpid(places[i].pid, &status, WNOHANG) == places[i].pid) {
            warnx("lost %d: %s %d", (int)places[i].pid,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            places[i].pid = 0;
        }
    }
}

int main(int argc, char **argv) {
    unsigned long long count;
    unsigned long long port;
    const char *what;
    static struct place places[64];
    sigset_t set;

    if (argc != 3) {
        fputs("usage: 22-fork-server WORKERS PORT\n", stderr);
        return 2;
    }
    if (number_parse(argv[1], 1, 64, &count) ||
        number_parse(argv[2], 0, 65535, &port))
        errx(1, "a number is wrong");
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0 || pipe2(life, O_CLOEXEC) < 0)
        err(1, "descriptors");

    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((in_port_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener =
        listener_open((struct sockaddr *)&here, sizeof here, 64, 0, &what);
    if (listener < 0 || fcntl(listener, F_SETFL, O_NONBLOCK) < 0 ||
        listener_announce(listener, &what) < 0)
        err(1, "listener");

    for (;;) {
        struct pollfd wait = {.fd = signals, .events = POLLIN};
        struct signalfd_siginfo info = {0};
        int left = fill(places, count, listener);
        if (poll(&wait, 1, left) > 0 &&
            read(signals, &info, sizeof info) == sizeof info &&
            info.ssi_signo != SIGCHLD)
            break;
        reap(places, count);
    }
    close(life[1]);
    while (wait(NULL) > 0)
        ;
    return 0;
}
