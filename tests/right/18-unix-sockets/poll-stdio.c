/* 18, right: poll with a pipe for the signals, stdio for the lines, umask for
 * the whole program, and a lock by fcntl. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int signal_pipe[2];

static void handle(int number) {
    (void)number;
    (void)!write(signal_pipe[1], "", 1);
}

static void take_lock(const char *path) {
    char *name;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (asprintf(&name, "%s.lock", path) < 0)
        err(1, "asprintf");
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        err(1, "open %s", name);
    if (fcntl(fd, F_SETLK, &lock) < 0)
        err(1, "lock %s", name);
    free(name);
}

/* Removes a dead server's socket. Ends the program if it is something else. */
static void clear_path(int fd, const struct sockaddr_un *own) {
    struct stat there;
    if (lstat(own->sun_path, &there) < 0)
        return;
    if ((there.st_mode & S_IFMT) != S_IFSOCK)
        errx(1, "%s is not a socket", own->sun_path);
    if (connect(fd, (const struct sockaddr *)own, sizeof *own) == 0 ||
        errno != ECONNREFUSED)
        errx(1, "%s is alive", own->sun_path);
    if (remove(own->sun_path) < 0)
        err(1, "remove");
}

/* A stream has no limit of its own, so fgets gets one: 100 bytes and a NUL. */
static void serve_one(int fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    char line[102];
    FILE *in = fdopen(fd, "r");
    if (in == NULL) {
        warn("fdopen");
        (void)close(fd);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        peer.uid == getuid() && fgets(line, 101, in) != NULL) {
        size_t length = strlen(line);
        int whole = length > 0 && line[length - 1] == '\n';
        if (whole && (strncmp(line, "status\n", 7) == 0 ||
                      strncmp(line, "status ", 7) == 0))
            (void)dprintf(fd, "process %d is running, you are process %d\n",
                          getpid(), peer.pid);
        else if (whole || length >= 100)
            (void)dprintf(fd, "unknown request\n");
    }
    (void)fclose(in);
}

int main(int argc, char **argv) {
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fprintf(stderr, "usage: %s serve PATH\n", argv[0]);
        return 2;
    }
    char *path = argv[2];
    if (strlen(path) == 0 || strlen(path) > 107)
        errx(1, "the path has %zu bytes, not 1 to 107", strlen(path));
    memcpy(own.sun_path, path, strlen(path) + 1);
    umask(0177);
    take_lock(path);
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(signal_pipe, O_CLOEXEC) < 0)
        err(1, "pipe");
    signal(SIGINT, handle);
    signal(SIGTERM, handle);

    int listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    clear_path(listener, &own);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0 ||
        listen(listener, 16) < 0)
        err(1, "%s", path);
    printf("listening on %s\n", path);
    fflush(stdout);

    struct pollfd watched[2] = {{.fd = listener, .events = POLLIN},
                                {.fd = signal_pipe[0], .events = POLLIN}};
    while (watched[1].revents == 0) {
        if (poll(watched, 2, -1) < 0) {
            watched[0].revents = 0;
            continue;
        }
        if (watched[0].revents != 0) {
            int fd = accept(listener, NULL, NULL);
            if (fd >= 0)
                serve_one(fd);
        }
    }
    return unlink(path) < 0;
}
