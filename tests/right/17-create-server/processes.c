/* epoll, and a process for each client.
 * Clients are served at the same time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
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

enum {
    FIRST_LISTENER = 3, /* sd_listen_fds(3) */
    MOST_LISTENERS = 16,
    LARGEST_PORT = 65535,
    MOST_DIGITS = 9, /* of a number that fits into an int */
    PIECE_BYTES = 1000,
};

static int listeners[MOST_LISTENERS];
static int count;

static _Noreturn void fail(const char *why) {
    fprintf(stderr, "17-create-server: %s\n", why);
    exit(1);
}

/* Returns the number in this text, or -1 if it is not a number in digits. text
 * may be NULL. */
static int parse_number(const char *text) {
    if (text == NULL)
        return -1;
    size_t length = strlen(text);
    if (length < 1 || length > MOST_DIGITS)
        return -1;
    if (strspn(text, "0123456789") != length)
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

static void open_listener(int port) {
    const int on = 1;
    struct sockaddr_in own = {0};
    own.sin_family = AF_INET;
    own.sin_port = htons((uint16_t)port);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail(strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        fail(strerror(errno));
    if (listen(fd, SOMAXCONN) < 0)
        fail(strerror(errno));
    listeners[0] = fd;
    count = 1;
}

static void require_listener(int fd) {
    int listens = 0;
    socklen_t length = sizeof listens;
    char why[64];
    snprintf(why, sizeof why, "descriptor %d is no listener", fd);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
        fail(why);
    if (!listens)
        fail(why);
}

static void inherit_listeners(void) {
    count = parse_number(getenv("LISTEN_FDS"));
    if (count < 1 || count > MOST_LISTENERS)
        fail("LISTEN_FDS");
    for (int i = 0; i < count; i++) {
        listeners[i] = FIRST_LISTENER + i;
        require_listener(listeners[i]);
        fcntl(listeners[i], F_SETFD, FD_CLOEXEC);
    }
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

/* Returns 0, or -1 if the client has left. */
static int send_all(int client, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(client, bytes + done, length - done, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

/* What a child does. */
static _Noreturn void serve_client(int client, const char *command) {
    char piece[PIECE_BYTES];
    signal(SIGCHLD, SIG_DFL);
    /* NOLINTNEXTLINE(cert-env33-c): that is the exercise */
    FILE *output = popen(command, "r");
    if (output == NULL)
        _exit(1);
    for (;;) {
        size_t length = fread(piece, 1, sizeof piece, output);
        if (length == 0)
            break;
        if (send_all(client, piece, length) < 0)
            break;
    }
    pclose(output);
    _exit(0);
}

static _Noreturn void serve(int epoll, const char *command) {
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) < 1)
            continue;
        int client = accept4(event.data.fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        pid_t child = fork();
        if (child == 0)
            serve_client(client, command);
        close(client);
    }
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 17-create-server PORT COMMAND\n");
        return 2;
    }
    int port = parse_number(argv[1]);
    if (port < 0 || port > LARGEST_PORT)
        fail("PORT is 0 to 65535");
    signal(SIGCHLD, SIG_IGN); /* no zombies */

    if (parse_number(getenv("LISTEN_PID")) == getpid())
        inherit_listeners();
    else
        open_listener(port);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1");
    for (int i = 0; i < count; i++) {
        watch(epoll, listeners[i]);
        announce(listeners[i]);
    }
    serve(epoll, argv[2]);
}
