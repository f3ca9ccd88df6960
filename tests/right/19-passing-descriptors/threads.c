/*
 * A right answer with threads: one for each client, and one that speaks with
 * the new process. An answer with more than one descriptor is refused.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listener;
static int control;
static int done; /* readable when a new process has confirmed */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static int clients;

static void *serve(void *argument) {
    int fd = *(int *)argument;
    char buffer[512];
    ssize_t got;
    int length = snprintf(buffer, sizeof buffer, "process %d\n", getpid());
    send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
    while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0)
        send(fd, buffer, (size_t)got, MSG_NOSIGNAL);
    close(fd);
    free(argument);
    pthread_mutex_lock(&lock);
    clients--;
    pthread_cond_signal(&left);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* One new process after the other, each in its own thread. */
static void *speak(void *argument) {
    int fd = *(int *)argument;
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = bytes,
                             .msg_controllen = sizeof bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
                               .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    if (sendmsg(fd, &message, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1)
        eventfd_write(done, 1);
    close(fd);
    free(argument);
    return NULL;
}

/* The thread has a copy of the number of its own. */
static void start(void *(*function)(void *), int fd) {
    pthread_t thread;
    int *own = malloc(sizeof *own);
    if (own == NULL)
        err(1, "malloc");
    *own = fd;
    if (pthread_create(&thread, NULL, function, own) != 0)
        errx(1, "pthread_create");
    pthread_detach(thread);
}

static int fetch(int old) {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(8 * sizeof(int))];
    char byte;
    int fd;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = bytes,
                             .msg_controllen = sizeof bytes};
    if (recvmsg(old, &message, MSG_CMSG_CLOEXEC) != 1)
        errx(1, "no message");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof fd))
        errx(1, "not one descriptor");
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static int open_listener(const struct sockaddr_in *own) {
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)own, sizeof *own) < 0)
        err(1, "bind");
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

/* Until a new process has confirmed. */
static void run(void) {
    struct pollfd polled[] = {
        {.fd = listener, .events = POLLIN},
        {.fd = control, .events = POLLIN},
        {.fd = done, .events = POLLIN},
    };
    while (polled[2].revents == 0) {
        if (poll(polled, 3, -1) < 0)
            continue;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            pthread_mutex_lock(&lock);
            clients++;
            pthread_mutex_unlock(&lock);
            start(serve, fd);
        }
        if (polled[1].revents != 0)
            start(speak, accept4(control, NULL, NULL, SOCK_CLOEXEC));
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: threads PATH PORT\n", stderr);
        exit(2);
    }
    char *rest;
    unsigned long port = strtoul(argv[2], &rest, 10);
    if (strspn(argv[2], "0123456789") != strlen(argv[2]) || !*argv[2] ||
        port > 65535)
        errx(1, "no port: %s", argv[2]);
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof path.sun_path)
        errx(1, "too long: %s", argv[1]);
    memcpy(path.sun_path, argv[1], strlen(argv[1]));
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int found = connect(old, (struct sockaddr *)&path, sizeof path) == 0;
    listener = found ? fetch(old) : open_listener(&own);
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(argv[1]);
    if (bind(control, (struct sockaddr *)&path, sizeof path) < 0 ||
        listen(control, 10) < 0)
        err(1, "%s", argv[1]);
    done = eventfd(0, EFD_CLOEXEC);
    socklen_t length = sizeof own;
    getsockname(listener, (struct sockaddr *)&own, &length);
    printf("listening on 127.0.0.1:%u\n", ntohs(own.sin_port));
    fflush(stdout);
    if (found && send(old, "", 1, MSG_NOSIGNAL) != 1)
        err(1, "send");
    close(old);

    run();
    close(listener);
    close(control);
    pthread_mutex_lock(&lock);
    while (clients > 0)
        pthread_cond_wait(&left, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}
