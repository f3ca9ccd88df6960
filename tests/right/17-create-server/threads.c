/* A thread for each listener, which waits in accept; no module of ours. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST_LISTENER = 3, /* sd_listen_fds(3) */
    MOST_LISTENERS = 16,
    LARGEST_PORT = 65535,
    LARGEST_PID = 99999999,
    MOST_DIGITS = 9,            /* of a number that fits into a long */
    PAUSE_MICROSECONDS = 50000, /* after an accept that failed */
};

static const char *command;
static int listeners[MOST_LISTENERS];
static int count;

/* Returns the number in this text, or -1 if it is not a number from 0 to most,
 * in digits. text may be NULL. */
static long parse_number(const char *text, long most) {
    if (text == NULL)
        return -1;
    size_t length = strlen(text);
    if (length < 1 || length > MOST_DIGITS)
        return -1;
    if (strspn(text, "0123456789") != length)
        return -1;
    long number = strtol(text, NULL, 10);
    if (number > most)
        return -1;
    return number;
}

/* Copies the output of the command to the client, byte by byte. */
static void serve_client(int fd) {
    /* NOLINTNEXTLINE(cert-env33-c): that is the exercise */
    FILE *output = popen(command, "re");
    if (output == NULL)
        return;
    for (;;) {
        char byte;
        if (fread(&byte, 1, 1, output) != 1)
            break;
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
            break;
    }
    pclose(output);
}

static _Noreturn void serve(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept4");
            usleep(PAUSE_MICROSECONDS);
            continue;
        }
        serve_client(fd);
        close(fd);
    }
}

static void *run_thread(void *listener) {
    serve(*(int *)listener);
}

static void announce(int fd) {
    struct sockaddr_storage own = {0};
    socklen_t length = sizeof own;
    char host[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (own.ss_family == AF_INET) {
        struct sockaddr_in address;
        memcpy(&address, &own, sizeof address);
        inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
        printf("listening on %s:%d\n", host, ntohs(address.sin_port));
    } else if (own.ss_family == AF_INET6) {
        struct sockaddr_in6 address;
        memcpy(&address, &own, sizeof address);
        inet_ntop(AF_INET6, &address.sin6_addr, host, sizeof host);
        printf("listening on [%s]:%d\n", host, ntohs(address.sin6_port));
    } else {
        printf("listening on something else\n");
    }
    fflush(stdout);
}

static void require_listener(int fd) {
    int listens = 0;
    socklen_t length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
        err(1, "%d", fd);
    if (!listens)
        errx(1, "%d does not listen", fd);
}

static void inherit_listeners(void) {
    count = (int)parse_number(getenv("LISTEN_FDS"), MOST_LISTENERS);
    if (count < 1)
        errx(1, "LISTEN_FDS is wrong");
    for (int i = 0; i < count; i++) {
        listeners[i] = FIRST_LISTENER + i;
        require_listener(listeners[i]);
        fcntl(listeners[i], F_SETFD, FD_CLOEXEC);
    }
}

static void open_listener(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    own.sin_addr.s_addr = inet_addr("127.0.0.1");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind to port %d", port);
    if (listen(fd, 5) < 0)
        err(1, "listen");
    listeners[0] = fd;
    count = 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s PORT COMMAND\n", argv[0]);
        return 2;
    }
    long port = parse_number(argv[1], LARGEST_PORT);
    if (port < 0)
        errx(1, "no port: %s", argv[1]);
    command = argv[2];
    if (parse_number(getenv("LISTEN_PID"), LARGEST_PID) == getpid())
        inherit_listeners();
    else
        open_listener((in_port_t)port);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (int i = 0; i < count; i++)
        announce(listeners[i]);
    /* The main thread serves the first listener itself. */
    for (int i = 1; i < count; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, run_thread, &listeners[i]);
        if (errno != 0)
            err(1, "pthread_create");
    }
    serve(listeners[0]);
}
