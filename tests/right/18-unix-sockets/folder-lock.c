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

enum { LINE_BYTES = 100 }; /* the longest request, with its newline */

static struct sockaddr_un own = {.sun_family = AF_UNIX};
static socklen_t own_length;
static int listener;

static void set_own_address(const char *path) {
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof own.sun_path)
        errx(1, "no such path can be bound: %s", path);
    memcpy(own.sun_path, path, length);
    /* The NUL behind the path belongs to the address. */
    own_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

static int try_bind(void) {
    return bind(listener, (struct sockaddr *)&own, own_length);
}

static int is_dead_socket(const char *path) {
    struct stat file;
    if (lstat(path, &file) < 0)
        return 0;
    if (!S_ISSOCK(file.st_mode))
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = connect(fd, (struct sockaddr *)&own, own_length);
    int is_refused = result < 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

/* Returns the folder's descriptor. When it is closed, the lock ends. */
static int lock_folder(const char *path) {
    char *copy = strdup(path); /* dirname changes its argument */
    if (copy == NULL)
        err(1, "strdup");
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        err(1, "open the folder of %s", path);
    if (flock(folder, LOCK_EX) < 0)
        err(1, "lock the folder of %s", path);
    free(copy);
    return folder;
}

static void replace_dead(const char *path) {
    if (!is_dead_socket(path))
        errx(1, "%s is taken", path);
    if (unlink(path) < 0)
        err(1, "unlink %s", path);
    if (try_bind() < 0)
        err(1, "bind %s", path);
}

static void listen_at(const char *path) {
    int folder = lock_folder(path);
    int result = try_bind();
    if (result < 0 && errno != EADDRINUSE)
        err(1, "bind %s", path);
    if (result < 0)
        replace_dead(path);
    if (listen(listener, 8) < 0)
        err(1, "listen");
    close(folder); /* this unlocks it */
}

/* Reads one byte at a time. Returns the length of the line, which has no
 * newline if it is too long, or 0 if the client has left. */
static size_t read_line(int fd, char line[LINE_BYTES]) {
    size_t length = 0;
    while (length < LINE_BYTES) {
        ssize_t count = read(fd, line + length, 1);
        if (count <= 0)
            return 0;
        length++;
        if (line[length - 1] == '\n')
            break;
    }
    return length;
}

/* A request is the word `status`, alone or with more words behind it. */
static int is_status(const char *line, size_t length) {
    if (length < 7 || line[length - 1] != '\n')
        return 0;
    if (memcmp(line, "status", 6) != 0)
        return 0;
    return line[6] == ' ' || line[6] == '\n';
}

static int is_our_user(const struct ucred *peer) {
    return peer->uid == geteuid();
}

static void serve_client(int fd) {
    char line[LINE_BYTES];
    char reply[LINE_BYTES] = "unknown request\n";
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return;
    if (!is_our_user(&peer))
        return;
    size_t length = read_line(fd, line);
    if (length == 0)
        return;
    if (is_status(line, length))
        snprintf(reply, sizeof reply,
                 "process %ld is running, you are process %ld\n",
                 (long)getpid(), (long)peer.pid);
    for (size_t i = 0; reply[i] != '\0'; i++) {
        if (write(fd, reply + i, 1) < 0)
            return;
    }
}

static void *serve_clients(void *unused) {
    (void)unused;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            usleep(10000);
            continue;
        }
        serve_client(fd);
        close(fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fputs("usage: 18-unix-sockets serve PATH\n", stderr);
        exit(2);
    }
    const char *path = argv[2];
    set_own_address(path);

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (fchmod(listener, 0600) < 0)
        err(1, "fchmod");
    listen_at(path);
    printf("listening on %s\n", path);
    fflush(stdout);

    pthread_t thread;
    int signal_number;
    if (pthread_create(&thread, NULL, serve_clients, NULL) != 0)
        errx(1, "pthread_create");
    sigwait(&signals, &signal_number);
    if (unlink(path) < 0)
        return 1;
    return 0;
}
