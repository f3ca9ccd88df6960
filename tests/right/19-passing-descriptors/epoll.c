/*
 * A right answer with epoll. A table says for each descriptor what it is for.
 * The server accepts until the queue is empty.
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

enum { DESCRIPTORS = 65536, LARGEST_PORT = 65535 };

enum kind { NONE, LISTENER, CONTROL, SUCCESSOR, CLIENT };

static enum kind kinds[DESCRIPTORS];
static int epoll;
static int listener;
static int control;
static int clients;

static void watch(int fd, enum kind kind) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
    kinds[fd] = kind;
}

/* epoll forgets a descriptor only when all its copies are closed. Another
 * process has a copy of the listener, so we remove it from epoll's list. */
static void close_descriptor(int fd) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    kinds[fd] = NONE;
    close(fd);
}

static void accept_clients(void) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        dprintf(fd, "process %d\n", (int)getpid());
        watch(fd, CLIENT);
        clients++;
    }
}

/* A new process has connected: sends it the listener. */
static void answer_successor(void) {
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
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof listener);
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    if (sendmsg(fd, &message, 0) == 1)
        watch(fd, SUCCESSOR);
    else
        close(fd);
}

/* Returns the listener of the process at the other end, or ends the program. */
static int receive_listener(int fd) {
    char bytes[1000] __attribute__((aligned(8)));
    char data[100];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr message = {0};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = bytes;
    message.msg_controllen = sizeof bytes;
    ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (received < 0)
        err(1, "recvmsg");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (received == 0 || header == NULL)
        errx(1, "no descriptor came");
    /* CMSG_LEN(0) is the length of a control message without any descriptor. */
    size_t bytes_of_descriptors = header->cmsg_len - CMSG_LEN(0);
    size_t count = bytes_of_descriptors / sizeof(int);
    int fds[sizeof bytes / sizeof(int)];
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    for (size_t i = 1; i < count; i++)
        close(fds[i]);
    return fds[0];
}

static in_port_t parse_port(const char *text) {
    int port = 0;
    if (text[0] == '\0')
        errx(1, "%s is no port", text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9')
            errx(1, "%s is no port", text);
        int digit = text[i] - '0';
        port = port * 10 + digit;
        if (port > LARGEST_PORT)
            errx(1, "%s is no port", text);
    }
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

static void announce_listener(void) {
    struct sockaddr_in in = {0};
    socklen_t length = sizeof in;
    getsockname(listener, (struct sockaddr *)&in, &length);
    printf("listening on %s:%d\n", inet_ntoa(in.sin_addr), ntohs(in.sin_port));
    fflush(stdout);
}

/* Returns whether the new process has confirmed. */
static int receive_confirmation(int fd) {
    char byte;
    int has_confirmed = recv(fd, &byte, 1, 0) == 1;
    if (has_confirmed) {
        close_descriptor(listener);
        close_descriptor(control);
    }
    close_descriptor(fd);
    return has_confirmed;
}

static void echo(int fd) {
    char buffer[4096];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    ssize_t sent = -1;
    if (got > 0)
        sent = send(fd, buffer, (size_t)got, 0);
    if (got <= 0 || sent < got) {
        close_descriptor(fd);
        clients--;
    }
}

static void serve(void) {
    int is_replaced = 0;
    while (!is_replaced || clients > 0) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) < 1)
            continue;
        int fd = event.data.fd;
        if (kinds[fd] == LISTENER)
            accept_clients();
        else if (kinds[fd] == CONTROL)
            answer_successor();
        else if (kinds[fd] == SUCCESSOR)
            is_replaced = receive_confirmation(fd);
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
    if (is_first)
        listener = open_listener(port);
    else
        listener = receive_listener(old);
    unlink(argv[1]);
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(control, (struct sockaddr *)&un, sizeof un) < 0)
        err(1, "bind %s", argv[1]);
    if (listen(control, 4) < 0)
        err(1, "listen");
    watch(listener, LISTENER);
    watch(control, CONTROL);
    announce_listener();
    if (!is_first) {
        if (write(old, "k", 1) != 1)
            err(1, "write");
    }
    close(old);
    serve();
    return 0;
}
