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

static int only_digits(const char *text) {
    for (const char *c = text; *c; c++)
        if (*c < '0' || *c > '9')
            return 0;
    return *text != '\0' && strlen(text) < 10;
}

static void announce(int fd) {
    struct sockaddr_storage own;
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
    const char *text = getenv("LISTEN_FDS");
    if (text == NULL || !only_digits(text) || atoi(text) < 1 || atoi(text) > 16)
        fail("LISTEN_FDS");
    int count = atoi(text);
    for (int fd = 3; fd < 3 + count; fd++) {
        int on = 0;
        char why[64];
        socklen_t length = sizeof on;
        sprintf(why, "descriptor %d is no listener", fd);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) || on != 1)
            fail(why);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return count;
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 17-create-server PORT COMMAND\n");
        return 2;
    }
    if (!only_digits(argv[1]) || atoi(argv[1]) > 65535)
        fail("PORT is 0 to 65535");
    signal(SIGCHLD, SIG_IGN); /* no zombies */

    int mine = getenv("LISTEN_PID") != NULL &&
               only_digits(getenv("LISTEN_PID")) &&
               atoi(getenv("LISTEN_PID")) == getpid();
    int count = mine ? inherited() : 1;
    int first = mine ? 3 : own_listener(atoi(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int fd = first; fd < first + count; fd++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        announce(fd);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) < 1)
            continue;
        int client = accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        /* A child copies what the command prints. */
        if (fork() == 0) {
            char piece[1000];
            FILE *from = popen(argv[2], "r");
            size_t got;
            signal(SIGPIPE, SIG_IGN);
            signal(SIGCHLD, SIG_DFL);
            while (from != NULL &&
                   (got = fread(piece, 1, sizeof piece, from)) > 0)
                for (size_t done = 0; done < got;) {
                    ssize_t sent = send(client, piece + done, got - done, 0);
                    if (sent < 0)
                        _exit(1);
                    done += (size_t)sent;
                }
            if (from != NULL)
                pclose(from);
            _exit(0);
        }
        close(client);
    }
}
