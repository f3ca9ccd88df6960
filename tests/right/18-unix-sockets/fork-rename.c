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

static volatile sig_atomic_t stopping;

static void stop(int number) {
    (void)number;
    stopping = 1;
    alarm(1);
}

static void must_be_free(const struct sockaddr_un *own) {
    struct stat there;
    if (lstat(own->sun_path, &there) < 0)
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!S_ISSOCK(there.st_mode) || fd < 0 ||
        connect(fd, (const struct sockaddr *)own, sizeof *own) == 0 ||
        errno != ECONNREFUSED)
        errx(1, "cannot take %s", own->sun_path);
    close(fd);
}

static int listen_in_private(const struct sockaddr_un *own) {
    char copy[sizeof own->sun_path];
    char folder[sizeof copy + 20];
    struct sockaddr_un inside = {.sun_family = AF_UNIX};
    memcpy(copy, own->sun_path, sizeof copy);
    snprintf(folder, sizeof folder, "%s/private-XXXXXX", dirname(copy));
    if (mkdtemp(folder) == NULL)
        err(1, "mkdtemp");
    size_t room = sizeof inside.sun_path;
    if ((size_t)snprintf(inside.sun_path, room, "%s/s", folder) >= room)
        errx(1, "%s is too long", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&inside, sizeof inside) < 0 ||
        chmod(inside.sun_path, 0700) < 0 || listen(fd, 5) < 0 ||
        rename(inside.sun_path, own->sun_path) < 0)
        err(1, "%s", own->sun_path);
    rmdir(folder);
    return fd;
}

static void serve_client(int fd, pid_t parent) {
    char line[100] = "";
    char reply[200];
    size_t length = 0;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
        peer.uid != geteuid())
        return;
    while (length < sizeof line && memchr(line, '\n', length) == NULL) {
        struct iovec part = {line + length, sizeof line - length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t got = recvmsg(fd, &message, 0);
        if (got <= 0)
            return;
        length += (size_t)got;
    }
    char *end = memchr(line, '\n', length);
    int is_known = end != NULL && (strncmp(line, "status\n", 7) == 0 ||
                                   strncmp(line, "status ", 7) == 0);
    int n = is_known ? sprintf(reply,
                               "process %d is running, you are "
                               "process %d\n",
                               parent, peer.pid)
                     : sprintf(reply, "unknown request\n");
    for (int done = 0; done < n;) {
        ssize_t sent = send(fd, reply + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (sent < 0)
            return;
        done += (int)sent;
    }
}

int main(int argc, char **argv) {
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    struct sigaction action = {.sa_handler = stop};
    char name[200];
    if (argc != 3 || strcmp(argv[1], "serve") != 0) {
        fprintf(stderr, "usage: 18-unix-sockets serve PATH\n");
        return 2;
    }
    if (argv[2][0] == '\0' || strlen(argv[2]) > sizeof own.sun_path - 1)
        errx(1, "%s: too long, or empty", argv[2]);
    memcpy(own.sun_path, argv[2], strlen(argv[2]) + 1);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);

    snprintf(name, sizeof name, "%s.lock", argv[2]);
    int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        err(1, "%s", name);
    must_be_free(&own);
    int listener = listen_in_private(&own);
    flock(lock, LOCK_UN);
    printf("listening on %s\n", argv[2]);
    fflush(stdout);

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
    unlink(argv[2]);
    return 0;
}
