/* select, with all output of the command collected before any is sent. */
#define _GNU_SOURCE
#include "addr.h"
#include "listener.h"

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

static char *collect(const char *command, size_t *length) {
    char *all = NULL;
    /* NOLINTNEXTLINE(cert-env33-c): that is the exercise */
    FILE *from = popen(command, "r");
    *length = 0;
    if (from == NULL)
        return NULL;
    for (int c = getc(from); c != EOF; c = getc(from)) {
        if (*length % 65536 == 0) {
            all = realloc(all, *length + 65536);
            if (all == NULL)
                err(1, NULL);
        }
        all[(*length)++] = (char)c;
    }
    pclose(from);
    return all;
}

static void serve(int listener, const char *command) {
    size_t length;
    size_t done = 0;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        warn("accept");
        return;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    char *all = collect(command, &length);
    while (done < length) {
        ssize_t sent = send(fd, all + done, length - done, MSG_NOSIGNAL);
        if (sent < 0)
            break;
        done += (size_t)sent;
    }
    free(all);
    close(fd);
}

static int first = 3;
static int last = 3;

static int is_for_us(void) {
    char pid[20];
    const char *wanted = getenv("LISTEN_PID");
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    return wanted != NULL && strcmp(wanted, pid) == 0;
}

static void take(void) {
    const char *text = getenv("LISTEN_FDS");
    in_port_t count;
    if (text == NULL || addr_parse_port(text, strlen(text), 1, &count) < 0 ||
        count > 16)
        errx(1, "LISTEN_FDS must be 1 to 16");
    last = first + count - 1;
    for (int fd = first; fd <= last; fd++) {
        int value = 0;
        socklen_t length = sizeof value;
        errno = EINVAL;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) < 0 ||
            value == 0)
            err(1, "no listener: %d", fd);
        fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) | FD_CLOEXEC);
    }
}

static void open_own(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    const char *failed;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    first = listener_open((struct sockaddr *)&own, sizeof own, 16, 0, &failed);
    if (first < 0)
        err(1, "%s", failed);
    last = first;
}

static void serve_ready(const char *command) {
    fd_set set;
    FD_ZERO(&set);
    for (int fd = first; fd <= last; fd++)
        FD_SET(fd, &set);
    if (select(last + 1, &set, NULL, NULL, NULL) < 0)
        err(1, "select");
    for (int fd = first; fd <= last; fd++)
        if (FD_ISSET(fd, &set))
            serve(fd, command);
}

int main(int argc, char **argv) {
    in_port_t port;
    if (argc != 3) {
        fputs("usage: 17-create-server PORT COMMAND\n", stderr);
        exit(2);
    }
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s: not a port", argv[1]);
    if (is_for_us())
        take();
    else
        open_own(port);
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
