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

enum { LINE_BYTES = 100 }; /* the longest request, with its newline */

/* The signal handler writes into one end, and poll waits at the other. */
static int signal_pipe[2];

static void handle_signal(int signal_number) {
    (void)signal_number;
    ssize_t written = write(signal_pipe[1], "", 1);
    (void)written; /* a full pipe is as good: poll sees that something came */
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

/* Removes a dead server's socket. Ends the program if there is something else.
 * fd is a socket that is not bound yet. */
static void clear_path(int fd, const struct sockaddr_un *own) {
    const char *path = own->sun_path;
    struct stat file;
    if (lstat(path, &file) < 0)
        return;
    if (!S_ISSOCK(file.st_mode))
        errx(1, "%s is not a socket", path);
    if (connect(fd, (const struct sockaddr *)own, sizeof *own) == 0)
        errx(1, "%s is alive", path);
    if (errno != ECONNREFUSED)
        errx(1, "%s is alive", path);
    if (remove(path) < 0)
        err(1, "remove");
}

static int is_our_user(const struct ucred *peer) {
    return peer->uid == getuid();
}

static void answer(FILE *in, int fd, pid_t client) {
    char line[LINE_BYTES] = "";
    int is_whole = 0;
    for (int i = 0; i < LINE_BYTES && !is_whole; i++) {
        int byte = getc(in);
        if (byte == EOF)
            return; /* the client has left in the middle of the line */
        line[i] = (char)byte;
        is_whole = byte == '\n';
    }

    int is_status =
        strncmp(line, "status\n", 7) == 0 || strncmp(line, "status ", 7) == 0;
    if (is_whole && is_status)
        (void)dprintf(fd, "process %d is running, you are process %d\n",
                      getpid(), client);
    else
        (void)dprintf(fd, "unknown request\n");
}

static void serve_client(int fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    FILE *in = fdopen(fd, "r");
    if (in == NULL) {
        warn("fdopen");
        (void)close(fd);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        warn("getsockopt");
    else if (is_our_user(&peer))
        answer(in, fd, peer.pid);
    (void)fclose(in);
}

/* Serves one client after another, until a signal has come. */
static void serve_clients(int listener) {
    struct pollfd watched[2] = {{.fd = listener, .events = POLLIN},
                                {.fd = signal_pipe[0], .events = POLLIN}};
    for (;;) {
        if (poll(watched, 2, -1) < 0)
            continue; /* a signal has interrupted it */
        if (watched[1].revents != 0)
            return;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            serve_client(fd);
    }
}

static void catch_signals(void) {
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(signal_pipe, O_CLOEXEC) < 0)
        err(1, "pipe");
    signal(SIGINT, handle_signal);
    signal(SIGTERM, handle_signal);
}

static int listen_at(const struct sockaddr_un *own) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    clear_path(fd, own);
    if (bind(fd, (const struct sockaddr *)own, sizeof *own) < 0)
        err(1, "bind %s", own->sun_path);
    if (listen(fd, 16) < 0)
        err(1, "listen %s", own->sun_path);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fprintf(stderr, "usage: %s serve PATH\n", argv[0]);
        return 2;
    }
    const char *path = argv[2];
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof own.sun_path)
        errx(1, "the path has %zu bytes, not 1 to 107", length);
    memcpy(own.sun_path, path, length);

    umask(0177);
    take_lock(path);
    catch_signals();
    int listener = listen_at(&own);
    printf("listening on %s\n", path);
    fflush(stdout);
    serve_clients(listener);
    if (unlink(path) < 0)
        return 1;
    return 0;
}
