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

/* Places in the array for poll. */
enum { LISTENER, CONTROL, CONFIRMED, PLACES };

static int listener;
static int control;
static int confirmed; /* an eventfd: readable when a new process confirmed */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_left = PTHREAD_COND_INITIALIZER;
static int clients;

static void *serve_client(void *argument) {
    int fd = *(int *)argument;
    char buffer[512];
    int length = snprintf(buffer, sizeof buffer, "process %d\n", getpid());
    send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0)
            break;
        send(fd, buffer, (size_t)got, MSG_NOSIGNAL);
    }
    close(fd);
    free(argument);
    pthread_mutex_lock(&lock);
    clients--;
    pthread_cond_signal(&has_left);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Sends the listener to one new process, and waits until it confirms. */
static void *answer_successor(void *argument) {
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
    if (sendmsg(fd, &message, MSG_NOSIGNAL) == 1) {
        ssize_t got = recv(fd, &byte, 1, 0);
        if (got == 1)
            eventfd_write(confirmed, 1);
    }
    close(fd);
    free(argument);
    return NULL;
}

/* Runs the function in a new thread. The thread gets its own copy of fd, and
 * frees it: the variable fd of this function is gone before the thread reads
 * it. */
static void start_thread(void *(*function)(void *), int fd) {
    pthread_t thread;
    int *own = malloc(sizeof *own);
    if (own == NULL)
        err(1, "malloc");
    *own = fd;
    if (pthread_create(&thread, NULL, function, own) != 0)
        errx(1, "pthread_create");
    pthread_detach(thread);
}

/* Returns the listener that the old process sends. */
static int receive_listener(int old) {
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

/* Serves until a new process has confirmed. */
static void serve_until_replaced(void) {
    struct pollfd polled[PLACES] = {
        [LISTENER] = {.fd = listener, .events = POLLIN},
        [CONTROL] = {.fd = control, .events = POLLIN},
        [CONFIRMED] = {.fd = confirmed, .events = POLLIN},
    };
    while (polled[CONFIRMED].revents == 0) {
        if (poll(polled, PLACES, -1) < 0)
            continue;
        /* The listener is non-blocking, so this does not wait. */
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            pthread_mutex_lock(&lock);
            clients++;
            pthread_mutex_unlock(&lock);
            start_thread(serve_client, fd);
        }
        if (polled[CONTROL].revents != 0) {
            int successor = accept4(control, NULL, NULL, SOCK_CLOEXEC);
            start_thread(answer_successor, successor);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: threads PATH PORT\n", stderr);
        exit(2);
    }
    size_t digits = strspn(argv[2], "0123456789");
    if (digits == 0 || digits != strlen(argv[2]))
        errx(1, "no port: %s", argv[2]);
    unsigned long port = strtoul(argv[2], NULL, 10);
    if (port > 65535)
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
    if (found)
        listener = receive_listener(old);
    else
        listener = open_listener(&own);
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(argv[1]);
    if (bind(control, (struct sockaddr *)&path, sizeof path) < 0)
        err(1, "bind to %s", argv[1]);
    if (listen(control, 10) < 0)
        err(1, "listen at %s", argv[1]);
    confirmed = eventfd(0, EFD_CLOEXEC);
    socklen_t length = sizeof own;
    getsockname(listener, (struct sockaddr *)&own, &length);
    printf("listening on 127.0.0.1:%u\n", ntohs(own.sin_port));
    fflush(stdout);
    if (found) {
        if (send(old, "", 1, MSG_NOSIGNAL) != 1)
            err(1, "send");
    }
    close(old);

    serve_until_replaced();
    close(listener);
    close(control);
    pthread_mutex_lock(&lock);
    while (clients > 0)
        pthread_cond_wait(&has_left, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}
