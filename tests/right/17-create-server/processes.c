/* epoll, and a process for each client.
 * Clients are served at the same time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *why) {
    fprintf(stderr, "17-create-server: %s\n", why);
    exit(1);
}

/* -1 for what is no number. */
static int number(const char *text) {
    if (text == NULL || *text == '\0' || strlen(text) > 9 ||
        strspn(text, "0123456789") != strlen(text))
        return -1;
    return (int)strtol(text, NULL, 10);
}

static void announce(int fd) {
    struct sockaddr_storage own = {0};
    socklen_t length = sizeof own;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        fail("getsockname");
    if (getnameinfo((struct sockaddr *)&own, length, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        fail("getnameinfo");
    if (own.ss_family == AF_INET6)
        printf("listening on [%s]:%s\n", host, port);
    else
        printf("listening on %s:%s\n", host, port);
    fflush(stdout);
}

static int own_listener(int port) {
    int one = 1;
    struct sockaddr_in own;
    memset(&own, 0, sizeof own);
    own.sin_family = AF_INET;
    own.sin_port = htons((uint16_t)port);
    own.sin_addr.s_addr = htonl(0x7f000001);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        fail(strerror(errno));
    return fd;
}

static int inherited(void) {
    int count = number(getenv("LISTEN_FDS"));
    if (count < 1 || count > 16)
        fail("LISTEN_FDS");
    for (int fd = 3; fd < 3 + count; fd++) {
        int on = 0;
        char why[64];
        socklen_t length = sizeof on;
        snprintf(why, sizeof why, "descriptor %d is no listener", fd);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) != 0 ||
            on != 1)
            fail(why);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return count;
}

/* Returns 0 if the client has left. */
static int send_all(int client, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(client, bytes + done, length - done, MSG_NOSIGNAL);
        if (sent < 0)
            return 0;
        done += (size_t)sent;
    }
    return 1;
}

/* In a child. */
static _Noreturn void serve(int client, const char *command) {
    char piece[1000];
    size_t got;
    signal(SIGCHLD, SIG_DFL);
    /* NOLINTNEXTLINE(cert-env33-c): that is the exercise */
    FILE *from = popen(command, "r");
    if (from == NULL)
        _exit(1);
    do
        got = fread(piece, 1, sizeof piece, from);
    while (got > 0 && send_all(client, piece, got) != 0);
    pclose(from);
    _exit(0);
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 17-create-server PORT COMMAND\n");
        return 2;
    }
    int port = number(argv[1]);
    if (port < 0 || port > 65535)
        fail("PORT is 0 to 65535");
    signal(SIGCHLD, SIG_IGN); /* no zombies */

    int mine = number(getenv("LISTEN_PID")) == getpid();
    int count = mine ? inherited() : 1;
    int first = mine ? 3 : own_listener(port);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (int fd = first; fd < first + count; fd++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        announce(fd);
    }
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) < 1)
            continue;
        int client = accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        if (fork() == 0)
            serve(client, argv[2]);
        close(client);
    }
}
