/* 18, right: tries bind first; locks the folder, and only while it starts; the
 * permissions are set on the socket before bind (Linux); waits in sigwait with
 * the clients served by a thread. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un own = {.sun_family = AF_UNIX};
static socklen_t own_length;
static int listener;

static int try_bind(void) {
    return bind(listener, (struct sockaddr *)&own, own_length);
}

static int is_dead_socket(const char *path) {
    struct stat there;
    if (lstat(path, &there) < 0 || !S_ISSOCK(there.st_mode))
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int dead = connect(fd, (struct sockaddr *)&own, own_length) < 0 &&
               errno == ECONNREFUSED;
    close(fd);
    return dead;
}

static void take_path(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL)
        err(1, "strdup");
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || flock(folder, LOCK_EX) < 0)
        err(1, "lock the folder of %s", path);
    if (try_bind() < 0) {
        if (errno != EADDRINUSE)
            err(1, "bind %s", path);
        if (!is_dead_socket(path))
            errx(1, "%s is taken", path);
        if (unlink(path) < 0 || try_bind() < 0)
            err(1, "%s", path);
    }
    if (listen(listener, 8) < 0)
        err(1, "listen");
    close(folder); /* this unlocks it */
    free(copy);
}

/* Reads one byte at a time. */
static size_t read_line(int fd, char *line, size_t most) {
    size_t length = 0;
    while (length < most) {
        ssize_t got = read(fd, line + length, 1);
        if (got <= 0)
            return 0;
        length++;
        if (line[length - 1] == '\n')
            break;
    }
    return length;
}

static void answer(int fd) {
    char line[101] = "";
    char reply[100] = "unknown request\n";
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    if (size != sizeof peer || peer.uid != geteuid())
        return;
    size_t length = read_line(fd, line, 100);
    if (length == 0)
        return;
    if (line[length - 1] == '\n' && strcspn(line, " \n") == 6 &&
        memcmp(line, "status", 6) == 0)
        snprintf(reply, sizeof reply,
                 "process %ld is running, you are process %ld\n",
                 (long)getpid(), (long)peer.pid);
    for (size_t i = 0; reply[i] != '\0'; i++) {
        if (write(fd, reply + i, 1) < 0)
            return;
    }
}

static void *serve(void *unused) {
    (void)unused;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            usleep(10000);
            continue;
        }
        answer(fd);
        close(fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    sigset_t signals;
    pthread_t thread;
    int number;
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fputs("usage: 18-unix-sockets serve PATH\n", stderr);
        exit(2);
    }
    size_t length = strlen(argv[2]);
    if (length == 0 || length >= sizeof own.sun_path)
        errx(1, "no such path can be bound: %s", argv[2]);
    memcpy(own.sun_path, argv[2], length);
    own_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || fchmod(listener, 0600) < 0)
        err(1, "socket");
    take_path(argv[2]);
    printf("listening on %s\n", argv[2]);
    fflush(stdout);
    if (pthread_create(&thread, NULL, serve, NULL) != 0)
        errx(1, "pthread_create");
    sigwait(&signals, &number);
    return unlink(argv[2]) == 0 ? 0 : 1;
}
