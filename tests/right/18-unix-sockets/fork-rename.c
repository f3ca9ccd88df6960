/* 18, right: the socket is made in a private folder and then moved to its
 * path, under a lock that waits; a child serves each client; a flag and
 * sigaction without SA_RESTART end it. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES = 100 }; /* the longest request, with its newline */

static volatile sig_atomic_t stopping;

static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    alarm(1);
}

static struct sockaddr_un parse_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path)
        errx(1, "%s: too long, or empty", path);
    memcpy(address.sun_path, path, length);
    return address;
}

/* Ends the program if there is anything but a dead server's socket. */
static void require_free(const struct sockaddr_un *own) {
    const char *path = own->sun_path;
    struct stat file;
    if (lstat(path, &file) < 0)
        return;
    if (!S_ISSOCK(file.st_mode))
        errx(1, "cannot take %s: it is not a socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (const struct sockaddr *)own, sizeof *own) == 0)
        errx(1, "cannot take %s: a server is alive", path);
    if (errno != ECONNREFUSED)
        err(1, "cannot take %s", path);
    close(fd);
}

static int lock_path(const char *path) {
    char name[200];
    snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        err(1, "%s", name);
    if (flock(fd, LOCK_EX) < 0)
        err(1, "%s", name);
    return fd;
}

/* Makes a private folder beside our path, and writes its path into name, which
 * has room for size bytes. */
static void make_folder(const char *path, char *name, size_t size) {
    char *copy = strdup(path); /* dirname changes its argument */
    if (copy == NULL)
        err(1, "strdup");
    snprintf(name, size, "%s/private-XXXXXX", dirname(copy));
    if (mkdtemp(name) == NULL)
        err(1, "mkdtemp");
    free(copy);
}

static int listen_in_private(const struct sockaddr_un *own) {
    char folder[200];
    make_folder(own->sun_path, folder, sizeof folder);
    struct sockaddr_un inside = {.sun_family = AF_UNIX};
    size_t room = sizeof inside.sun_path;
    int length = snprintf(inside.sun_path, room, "%s/s", folder);
    if ((size_t)length >= room)
        errx(1, "%s is too long", folder);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&inside, sizeof inside) < 0)
        err(1, "bind %s", inside.sun_path);
    if (chmod(inside.sun_path, 0700) < 0)
        err(1, "chmod %s", inside.sun_path);
    if (listen(fd, 5) < 0)
        err(1, "listen");
    if (rename(inside.sun_path, own->sun_path) < 0)
        err(1, "rename %s", own->sun_path);
    rmdir(folder);
    return fd;
}

/* Receives until there is a newline, or no more room. Returns the length, or 0
 * if the client has left. */
static size_t receive_line(int fd, char line[LINE_BYTES]) {
    size_t length = 0;
    while (length < LINE_BYTES && memchr(line, '\n', length) == NULL) {
        struct iovec part = {line + length, LINE_BYTES - length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t received = recvmsg(fd, &message, 0);
        if (received <= 0)
            return 0;
        length += (size_t)received;
    }
    return length;
}

/* A request is the word `status`, alone or with more words behind it. */
static int is_status(const char *line, size_t length) {
    if (memchr(line, '\n', length) == NULL)
        return 0;
    if (strncmp(line, "status\n", 7) == 0)
        return 1;
    return strncmp(line, "status ", 7) == 0;
}

static void send_all(int fd, const char *text) {
    size_t length = strlen(text);
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, text + done, length - done, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        done += (size_t)sent;
    }
}

static void serve_client(int fd, pid_t parent) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return;
    if (peer.uid != geteuid())
        return;

    char line[LINE_BYTES];
    size_t length = receive_line(fd, line);
    if (length == 0)
        return;
    char reply[200] = "unknown request\n";
    if (is_status(line, length))
        snprintf(reply, sizeof reply,
                 "process %d is running, you are process %d\n", parent,
                 peer.pid);
    send_all(fd, reply);
}

static void serve_clients(int listener) {
    pid_t parent = getpid();
    while (!stopping) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            serve_client(fd, parent);
            _exit(0);
        }
        close(fd);
        waitpid(child, NULL, 0);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fprintf(stderr, "usage: 18-unix-sockets serve PATH\n");
        return 2;
    }
    const char *path = argv[2];
    struct sockaddr_un own = parse_path(path);
    struct sigaction action = {.sa_handler = request_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);

    int lock = lock_path(path);
    require_free(&own);
    int listener = listen_in_private(&own);
    flock(lock, LOCK_UN);
    printf("listening on %s\n", path);
    fflush(stdout);
    serve_clients(listener);
    unlink(path);
    return 0;
}
