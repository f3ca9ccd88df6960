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

static const char *command;

static long number(const char *text, long most) {
    if (text == NULL || *text == '\0' || strlen(text) > 9 ||
        text[strspn(text, "0123456789")] != '\0')
        return -1;
    long value = strtol(text, NULL, 10);
    return value > most ? -1 : value;
}

static void *serve(void *argument) {
    int listener = *(int *)argument;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept4");
            usleep(50000);
            continue;
        }
        /* NOLINTNEXTLINE(cert-env33-c): that is the exercise */
        FILE *from = popen(command, "re");
        char byte;
        while (from != NULL && fread(&byte, 1, 1, from) == 1)
            if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
                break;
        if (from != NULL)
            pclose(from);
        close(fd);
    }
    return NULL;
}

static void say(int fd) {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_storage room;
    } own = {0};
    socklen_t length = sizeof own;
    char text[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, &own.any, &length) < 0)
        err(1, "getsockname");
    if (own.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &own.in.sin_addr, text, sizeof text);
        printf("listening on %s:%d\n", text, ntohs(own.in.sin_port));
    } else if (own.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &own.in6.sin6_addr, text, sizeof text);
        printf("listening on [%s]:%d\n", text, ntohs(own.in6.sin6_port));
    } else {
        printf("listening on something else\n");
    }
    fflush(stdout);
}

static int fds[16];

static int take(void) {
    int count = (int)number(getenv("LISTEN_FDS"), 16);
    if (count < 1)
        errx(1, "LISTEN_FDS is wrong");
    for (int i = 0; i < count; i++) {
        int yes = 0;
        socklen_t size = sizeof yes;
        fds[i] = 3 + i;
        if (getsockopt(fds[i], SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) < 0)
            err(1, "%d", fds[i]);
        if (yes == 0)
            errx(1, "%d does not listen", fds[i]);
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    return count;
}

static int open_own(long port) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port)};
    own.sin_addr.s_addr = inet_addr("127.0.0.1");
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[0] < 0 || bind(fds[0], (struct sockaddr *)&own, sizeof own) != 0 ||
        listen(fds[0], 5) != 0)
        err(1, "port %ld", port);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s PORT COMMAND\n", argv[0]);
        return 2;
    }
    long port = number(argv[1], 65535);
    if (port < 0)
        errx(1, "no port: %s", argv[1]);
    command = argv[2];
    int count = number(getenv("LISTEN_PID"), 99999999) == getpid()
                    ? take()
                    : open_own(port);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (int i = 0; i < count; i++)
        say(fds[i]);
    for (int i = 1; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, &fds[i]) != 0)
            errx(1, "pthread_create");
    }
    serve(&fds[0]);
}
