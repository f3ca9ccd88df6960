/*
 * A right answer with a process for each client: the main process only accepts,
 * and waits for its children at the end. A control buffer with room for many
 * descriptors, of which all but the first are closed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 253 /* the most descriptors in one message */ };

/* Places in the array for poll. */
enum { LISTENER, CONTROL, SUCCESSOR, PLACES };

union buffer {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(ROOM * sizeof(int))];
};

/* Returns 0, or -1 if the descriptor could not be sent. */
static int send_descriptor(int to, int fd) {
    union buffer buffer;
    char letter = 'L';
    struct iovec iov = {.iov_base = &letter, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &buffer,
                             .msg_controllen = CMSG_SPACE(sizeof fd)};
    memset(&buffer, 0, sizeof buffer);
    buffer.align.cmsg_len = CMSG_LEN(sizeof fd);
    buffer.align.cmsg_level = SOL_SOCKET;
    buffer.align.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&buffer.align), &fd, sizeof fd);
    if (sendmsg(to, &message, MSG_NOSIGNAL) != 1)
        return -1;
    return 0;
}

/* Returns the first descriptor of the message, and closes all others. */
static int receive_descriptor(int from) {
    union buffer buffer;
    char data[16];
    int fds[ROOM];
    int result = -1;
    struct iovec iov = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &buffer,
                             .msg_controllen = sizeof buffer};
    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) <= 0)
        errx(1, "the old server does not answer");
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL;
         c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
        for (size_t i = 0; i < count; i++) {
            if (result < 0)
                result = fds[i];
            else
                close(fds[i]);
        }
    }
    if (result < 0)
        errx(1, "the old server has sent no listener");
    return result;
}

/* What a child does. It never returns. */
static void serve_client(int fd, long pid) {
    char buffer[1000];
    dprintf(fd, "process %ld\n", pid);
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got <= 0)
            _exit(0);
        ssize_t written = write(fd, buffer, (size_t)got);
        if (written != got)
            _exit(0);
    }
}

static int own_listener(long port) {
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((in_port_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) < 0)
        err(1, "bind to port %ld", port);
    if (listen(fd, 500) < 0)
        err(1, "listen at port %ld", port);
    return fd;
}

static void accept_client(int listener, int control, long pid) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fork() == 0) {
        close(listener);
        close(control);
        serve_client(fd, pid);
    }
    close(fd);
}

/* Accepts a new process, and sends it the listener. If an earlier one has not
 * confirmed, we forget it. Returns the connection to the new process, or -1. */
static int answer_successor(int listener, int control, int earlier) {
    int fd = accept4(control, NULL, NULL, SOCK_CLOEXEC);
    if (earlier >= 0)
        close(earlier);
    if (send_descriptor(fd, listener) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Whether the new process has confirmed. Closes the connection to it. */
static int has_confirmed(int successor) {
    char byte;
    ssize_t got = read(successor, &byte, 1);
    close(successor);
    return got == 1;
}

/* Asks for all children that have ended, so that none stays a zombie. */
static void reap_children(void) {
    pid_t ended = 1;
    while (ended > 0)
        ended = waitpid(-1, NULL, WNOHANG);
}

/* Serves until a new process has confirmed. */
static void serve_until_replaced(int listener, int control) {
    int successor = -1;
    for (;;) {
        struct pollfd polled[PLACES] = {
            [LISTENER] = {.fd = listener, .events = POLLIN},
            [CONTROL] = {.fd = control, .events = POLLIN},
            [SUCCESSOR] = {.fd = successor, .events = POLLIN},
        };
        if (poll(polled, PLACES, 1000) < 0)
            continue;
        reap_children();
        if (polled[LISTENER].revents != 0)
            accept_client(listener, control, getpid());
        if (polled[SUCCESSOR].revents != 0) {
            if (has_confirmed(successor))
                return;
            successor = -1;
        }
        if (polled[CONTROL].revents != 0)
            successor = answer_successor(listener, control, successor);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {0};
    socklen_t size = sizeof in;
    char *end;
    if (argc != 3) {
        fprintf(stderr, "usage: %s PATH PORT\n", argv[0]);
        return 2;
    }
    long port = strtol(argv[2], &end, 10);
    /* strtol would also accept a blank or a sign in front of the digits. */
    if (!isdigit((unsigned char)argv[2][0]))
        errx(1, "bad port %s", argv[2]);
    if (*end != '\0' || port > 65535)
        errx(1, "bad port %s", argv[2]);
    if (strlen(argv[1]) >= sizeof name.sun_path)
        errx(1, "bad path");
    memcpy(name.sun_path, argv[1], strlen(argv[1]));
    signal(SIGPIPE, SIG_IGN);

    int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int found = connect(old, (struct sockaddr *)&name, sizeof name) == 0;
    int listener;
    if (found)
        listener = receive_descriptor(old);
    else
        listener = own_listener(port);
    int control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(argv[1]);
    if (bind(control, (struct sockaddr *)&name, sizeof name) < 0)
        err(1, "bind to %s", argv[1]);
    if (listen(control, 5) < 0)
        err(1, "listen at %s", argv[1]);
    if (getsockname(listener, (struct sockaddr *)&in, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(in.sin_port));
    fflush(stdout);
    if (found) {
        if (write(old, "!", 1) != 1)
            err(1, "confirm");
    }
    close(old);
    serve_until_replaced(listener, control);
    close(listener);
    close(control);
    pid_t ended = 1;
    while (ended > 0)
        ended = wait(NULL);
    return 0;
}
