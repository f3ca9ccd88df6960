/* select, with much output of the command collected before any is sent. */
#define _GNU_SOURCE
#include "listener.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST_LISTENER = 3, /* sd_listen_fds(3) */
    MOST_LISTENERS = 16,
    LARGEST_PORT = 65535,
    ROOM = 65536, /* so much of the output is sent at once */
};

/* Reads at most ROOM bytes, one at a time. Returns how many there were: fewer
 * only at the end. */
static size_t collect(FILE *from, char *bytes) {
    size_t length = 0;
    while (length < ROOM) {
        int byte = getc(from);
        if (byte == EOF)
            break;
        bytes[length] = (char)byte;
        length++;
    }
    return length;
}

/* Returns 0, or -1 if the client has left. */
static int send_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, bytes + done, length - done, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

static void send_output(int fd, const char *command) {
    static char bytes[ROOM];
    size_t length = ROOM;
    /* NOLINTNEXTLINE(cert-env33-c): that is the exercise */
    FILE *from = popen(command, "r");
    if (from == NULL)
        return;
    while (length == ROOM) {
        length = collect(from, bytes);
        if (send_all(fd, bytes, length) < 0)
            break;
    }
    pclose(from);
}

static void serve_client(int listener, const char *command) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        warn("accept");
        return;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    send_output(fd, command);
    close(fd);
}

/* The listeners are the descriptors from first to last. */
static int first;
static int last;

static int is_for_us(void) {
    char own_pid[20];
    const char *pid = getenv("LISTEN_PID");
    snprintf(own_pid, sizeof own_pid, "%ld", (long)getpid());
    return pid != NULL && strcmp(pid, own_pid) == 0;
}

static void require_listener(int fd) {
    int listens = 0;
    socklen_t length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
        err(1, "no listener: %d", fd);
    if (!listens)
        errx(1, "no listener: %d", fd);
}

static void inherit_listeners(void) {
    const char *text = getenv("LISTEN_FDS");
    unsigned long long count;
    if (text == NULL)
        errx(1, "LISTEN_FDS must be 1 to 16");
    if (number_parse(text, 1, MOST_LISTENERS, &count) < 0)
        errx(1, "LISTEN_FDS must be 1 to 16");
    first = FIRST_LISTENER;
    last = first + (int)count - 1;
    for (int fd = first; fd <= last; fd++) {
        require_listener(fd);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

static void open_listener(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    const char *failed;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    first = listener_open((struct sockaddr *)&own, sizeof own, 16, 0, &failed);
    if (first < 0)
        err(1, "%s", failed);
    last = first;
}

static void serve_ready(const char *command) {
    fd_set readable;
    FD_ZERO(&readable);
    for (int fd = first; fd <= last; fd++)
        FD_SET(fd, &readable);
    if (select(last + 1, &readable, NULL, NULL, NULL) < 0)
        err(1, "select");
    for (int fd = first; fd <= last; fd++) {
        if (FD_ISSET(fd, &readable))
            serve_client(fd, command);
    }
}

int main(int argc, char **argv) {
    unsigned long long port;
    if (argc != 3) {
        fputs("usage: 17-create-server PORT COMMAND\n", stderr);
        exit(2);
    }
    if (number_parse(argv[1], 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s: not a port", argv[1]);
    if (is_for_us())
        inherit_listeners();
    else
        open_listener((in_port_t)port);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (int fd = first; fd <= last; fd++) {
        const char *failed;
        if (listener_announce(fd, &failed) < 0)
            err(1, "%s", failed);
    }
    for (;;)
        serve_ready(argv[2]);
}
