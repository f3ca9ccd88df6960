/*
 * 18 solution: a control socket, one good answer of many.
 *
 * usage: 18-unix-sockets serve PATH
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 100, /* the longest request, with its newline */
    PATH_BYTES = 108, /* the array for a path in an address: unix(7) */
    PAUSE_NANOSECONDS = 10 * 1000 * 1000, /* after an accept that failed */
};

/* The listener, which the signal handler shuts down. For the type, see lesson
 * 12. */
static volatile sig_atomic_t listener;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 18-unix-sockets serve PATH\n", out);
    exit(status);
}

/* If descriptor 1 or 2 were closed, the lock's file would get that number, and
 * what we print would go into this file. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns the address that names this path. */
static struct sockaddr_un parse_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < 1 || length >= PATH_BYTES)
        errx(1, "not a path of 1 to %d bytes: %s", PATH_BYTES - 1, path);
    memcpy(address.sun_path, path, length);
    return address;
}

/* Locks the file PATH.lock, or ends the program if another server has locked
 * it. We leave its descriptor open, and never unlock the file: the kernel does
 * that when we end, even if a signal kills us. And we never remove the file.
 * Otherwise two servers could each have a lock: one on the removed file, and
 * one on a new file of the same name. */
static void lock_path(const char *path) {
    char name[PATH_BYTES + sizeof ".lock"];
    (void)snprintf(name, sizeof name, "%s.lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        err(1, "open %s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            errx(1, "%s: another server has this path", path);
        err(1, "flock %s", name);
    }
}

/* Removes the file that a dead server has left at this path. Ends the program
 * if something else is there. */
static void remove_dead(const struct sockaddr_un *own) {
    const char *path = own->sun_path;
    struct stat file;
    if (lstat(path, &file) < 0) {
        if (errno == ENOENT)
            return;
        err(1, "%s", path);
    }
    /* For a file that is no socket, connect also says ECONNREFUSED. */
    if (!S_ISSOCK(file.st_mode))
        errx(1, "%s: there is a file, and it is not a socket", path);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (const struct sockaddr *)own, sizeof *own) == 0)
        errx(1, "%s: another server answers there", path);
    /* After any other error, the server may be alive. So we keep its file. */
    if (errno != ECONNREFUSED)
        err(1, "%s: connect", path);
    (void)close(fd); /* it was never connected */
    if (unlink(path) < 0)
        err(1, "unlink %s", path);
}

/* Returns a listener at this path. Its file is private from the beginning. */
static int listen_at(const struct sockaddr_un *own) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    mode_t before = umask(S_IXUSR | S_IRWXG | S_IRWXO);
    if (bind(fd, (const struct sockaddr *)own, sizeof *own) < 0)
        err(1, "bind %s", own->sun_path);
    (void)umask(before);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

/* Receives until a newline has come, but LINE_BYTES at most. Returns how many
 * bytes came, or -1 if the client has left, or is silent for too long. */
static ssize_t receive_line(int fd, char line[LINE_BYTES]) {
    size_t length = 0;
    while (length < LINE_BYTES) {
        ssize_t received = recv(fd, line + length, LINE_BYTES - length, 0);
        if (received < 0) {
            warn("recv");
            return -1;
        }
        if (received == 0)
            return -1;
        length += (size_t)received;
        if (memchr(line, '\n', length) != NULL)
            break;
    }
    return (ssize_t)length;
}

static void send_all(int fd, const char *text) {
    size_t length = strlen(text);
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, text + done, length - done, 0);
        if (sent < 0) {
            warn("send");
            return;
        }
        done += (size_t)sent;
    }
}

/* A request is the word `status`, alone or with more words behind it. */
static int is_status(const char *line, size_t length) {
    const char word[] = "status";
    size_t word_length = strlen(word);
    if (memchr(line, '\n', length) == NULL)
        return 0; /* the line is too long */
    if (length <= word_length || memcmp(line, word, word_length) != 0)
        return 0;
    return line[word_length] == '\n' || line[word_length] == ' ';
}

static void serve_client(int fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        warn("getsockopt SO_PEERCRED");
        return;
    }
    if (peer.uid != geteuid()) {
        warnx("user %u is not allowed", peer.uid);
        return;
    }
    /* A client that says nothing must not keep the others waiting for ever. */
    const struct timeval patience = {.tv_sec = 1};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) <
        0) {
        warn("setsockopt SO_RCVTIMEO");
        return;
    }

    char line[LINE_BYTES];
    ssize_t length = receive_line(fd, line);
    if (length < 0)
        return;
    if (!is_status(line, (size_t)length)) {
        send_all(fd, "unknown request\n");
        return;
    }
    char reply[LINE_BYTES];
    (void)snprintf(reply, sizeof reply,
                   "process %d is running, you are process %d\n", getpid(),
                   peer.pid);
    send_all(fd, reply);
}

/* The signal handler. After this, accept(2) fails with EINVAL. */
static void shut_listener(int signal_number) {
    (void)signal_number;
    (void)shutdown(listener, SHUT_RD);
}

/* Accepts one client after another, until the listener is shut down. */
static void serve_clients(void) {
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINVAL)
            return;
        if (fd < 0) {
            warn("accept");
            (void)nanosleep(&pause, NULL);
            continue;
        }
        serve_client(fd);
        (void)close(fd); /* an error here changes nothing for other clients */
    }
}

static int announce(const char *path) {
    if (printf("listening on %s\n", path) < 0)
        return -1;
    if (fflush(stdout) == EOF)
        return -1;
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3 || strcmp(argv[1], "serve") != 0)
        usage(stderr, 2);
    require_output();
    const char *path = argv[2];
    struct sockaddr_un own = parse_path(path);
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    lock_path(path);
    remove_dead(&own);
    listener = listen_at(&own);
    (void)signal(SIGINT, shut_listener);
    (void)signal(SIGTERM, shut_listener);
    int status = 0;
    if (announce(path) < 0) {
        warn("standard output");
        status = 1;
    } else {
        serve_clients();
    }
    if (unlink(path) < 0)
        err(1, "unlink %s", path);
    return status;
}
