/*
 * A right answer with a fixed place in the array of poll for each client, the
 * line received one byte at a time, and the first line sent by dprintf.
 */
#define _GNU_SOURCE

#include "listener.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 256 };

static struct pollfd slots[SLOTS + 1];
static char lines[SLOTS][65];
static int used[SLOTS];
static off_t from[SLOTS];
static off_t left[SLOTS];
static int file;

static void let_go(int i, int hard) {
    struct linger l = {1, 0};
    if (hard)
        setsockopt(slots[i].fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(slots[i].fd);
    slots[i].fd = -1;
}

static void serve_some(int i) {
    ssize_t n = sendfile(slots[i].fd, file, &from[i], (size_t)left[i]);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        let_go(i, 1);
        return;
    }
    left[i] -= n;
    if (left[i] == 0)
        let_go(i, 0);
}

static void understand(int i) {
    unsigned long long a, b;
    struct stat s;
    char *blank = strchr(lines[i], ' ');
    if (fstat(file, &s) == -1) {
        let_go(i, 1);
        return;
    }
    if (blank != NULL)
        *blank++ = '\0';
    if (memchr(lines[i], '\0', (size_t)used[i]) != (blank ? blank - 1 : NULL) ||
        blank == NULL || number_parse(lines[i], 0, LLONG_MAX, &a) ||
        number_parse(blank, 0, LLONG_MAX, &b) || a > b ||
        b >= (unsigned long long)s.st_size) {
        (void)dprintf(slots[i].fd, "bad range\n");
        let_go(i, 0);
        return;
    }
    from[i] = (off_t)a;
    left[i] = (off_t)(b - a + 1);
    if (dprintf(slots[i].fd, "%lld\n", (long long)left[i]) < 0) {
        let_go(i, 1);
        return;
    }
    slots[i].events = POLLOUT;
}

static void listen_to(int i) {
    char c;
    ssize_t n = recv(slots[i].fd, &c, 1, 0);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        let_go(i, 0);
        return;
    }
    if (c == '\n') {
        lines[i][used[i]] = '\0';
        understand(i);
        return;
    }
    lines[i][used[i]++] = c;
    if (used[i] == 64)
        let_go(i, 0);
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1)
        return;
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].fd == -1) {
            slots[i] = (struct pollfd){fd, POLLIN, 0};
            used[i] = 0;
            return;
        }
    }
    close(fd);
}

int main(int argc, char **argv) {
    unsigned long long port;
    const char *failed;
    if (argc != 3) {
        fprintf(stderr, "usage: %s FILE PORT\n", argv[0]);
        return 2;
    }
    if (number_parse(argv[2], 0, 65535, &port) == -1)
        errx(1, "no port: %s", argv[2]);
    signal(SIGPIPE, SIG_IGN);
    if ((file = open(argv[1], O_RDONLY)) == -1)
        err(1, "%s", argv[1]);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((in_port_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener =
        listener_open((struct sockaddr *)&a, sizeof a, 100, 0, &failed);
    if (listener == -1 || listener_announce(listener, &failed) == -1)
        err(1, "%s", failed);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < SLOTS; i++)
        slots[i].fd = -1;
    slots[SLOTS] = (struct pollfd){listener, POLLIN, 0};
    for (;;) {
        if (poll(slots, SLOTS + 1, -1) == -1)
            continue;
        for (int i = 0; i < SLOTS; i++) {
            if (slots[i].fd == -1 || slots[i].revents == 0)
                continue;
            if (slots[i].events == POLLIN)
                listen_to(i);
            else
                serve_some(i);
        }
        if (slots[SLOTS].revents)
            welcome(listener);
    }
}
