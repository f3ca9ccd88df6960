/*
 * A right answer with epoll, in which what a descriptor is for stands in a
 * table with the descriptor as its index. It accepts until the queue is empty.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum kind { NONE, LISTENER, CONTROL, HEIR, CLIENT };

static enum kind kinds[65536];
static int epoll;
static int listener;
static int control;
static int clients;

static void add(int fd, enum kind kind) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
    kinds[fd] = kind;
}

/* The listener is shared: what is on epoll's list goes when all copies have
 * gone, so it has to be taken off. */
static void drop(int fd) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    kinds[fd] = NONE;
    close(fd);
}

static void welcome(void) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        dprintf(fd, "process %d\n", (int)getpid());
        add(fd, CLIENT);
        clients++;
    }
}

static void give(void) {
    int fd = accept4(control, NULL, NULL, SOCK_CLOEXEC);
    char control_bytes[CMSG_SPACE(sizeof(int))]
        __attribute__((aligned(8))) = {0};
    char star = '*';
    struct iovec data = {.iov_base = &star, .iov_len = 1};
    struct msghdr message = {0};
    if (fd < 0)
        return;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control_bytes;
    message.msg_controllen = sizeof control_bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)(void *)CMSG_DATA(c) = listener;
    if (sendmsg(fd, &message, 0) == 1)
        add(fd, HEIR);
    else
        close(fd);
}

/* Returns the listener of the process at the other end, or ends the program. */
static int take(int fd) {
    char bytes[1000] __attribute__((aligned(8)));
    char data[100];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr message = {0};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = bytes;
    message.msg_controllen = sizeof bytes;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (c == NULL)
        errx(1, "%s", got < 0 ? strerror(errno) : "no descriptor came");
    int *fds = (int *)(void *)CMSG_DATA(c);
    int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    while (count > 1)
        close(fds[--count]);
    return fds[0];
}

static in_port_t parse_port(const char *text) {
    int port = 0;
    size_t length = strspn(text, "0123456789");
    if (length == 0 || text[length] != '\0')
        errx(1, "%s is no port", text);
    for (const char *p = text; *p != '\0' && port <= 65535; p++)
        port = port * 10 + *p - '0';
    if (port > 65535)
        errx(1, "%s is no port", text);
    return (in_port_t)port;
}

static int open_listener(in_port_t port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    in.sin_addr.s_addr = inet_addr("127.0.0.1");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) < 0)
        err(1, "bind");
    if (listen(fd, 4096) < 0)
        err(1, "listen");
    return fd;
}

static void say_where(void) {
    struct sockaddr_in in = {0};
    socklen_t length = sizeof in;
    getsockname(listener, (struct sockaddr *)&in, &length);
    printf("listening on %s:%d\n", inet_ntoa(in.sin_addr), ntohs(in.sin_port));
    fflush(stdout);
}

/* Returns whether the new process has confirmed. */
static int listen_to_heir(int fd) {
    char byte;
    int has_confirmed = recv(fd, &byte, 1, 0) == 1;
    if (has_confirmed) {
        drop(listener);
        drop(control);
    }
    drop(fd);
    return has_confirmed;
}

static void echo(int fd) {
    char buffer[4096];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0 && send(fd, buffer, (size_t)got, 0) == got)
        return;
    drop(fd);
    clients--;
}

static void serve(void) {
    int replaced = 0;
    while (!replaced || clients > 0) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) < 1)
            continue;
        int fd = event.data.fd;
        if (kinds[fd] == LISTENER)
            welcome();
        else if (kinds[fd] == CONTROL)
            give();
        else if (kinds[fd] == HEIR)
            replaced = listen_to_heir(fd);
        else if (kinds[fd] == CLIENT)
            echo(fd);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (argc != 3) {
        fprintf(stderr, "usage: epoll PATH PORT\n");
        return 2;
    }
    in_port_t port = parse_port(argv[2]);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", argv[1]);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);

    int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int is_first = connect(old, (struct sockaddr *)&un, sizeof un) < 0;
    listener = is_first ? open_listener(port) : take(old);
    unlink(argv[1]);
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(control, (struct sockaddr *)&un, sizeof un) < 0)
        err(1, "bind %s", argv[1]);
    if (listen(control, 4) < 0)
        err(1, "listen");
    add(listener, LISTENER);
    add(control, CONTROL);
    say_where();
    if (!is_first && write(old, "k", 1) != 1)
        err(1, "write");
    close(old);
    serve();
    return 0;
}
