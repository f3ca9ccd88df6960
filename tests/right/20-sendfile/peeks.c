/*
 * A right answer in which the line stays in the kernel until it is whole
 * (MSG_PEEK), and sendfile is called until EAGAIN.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "listener.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#define MOST 900

struct range {
    off64_t pos;
    off64_t rest; /* 0: not known yet */
    size_t seen;  /* bytes of an unfinished line, which wait in the kernel */
};

static struct pollfd fds[MOST + 1]; /* the listener is the first */
static struct range ranges[MOST + 1];
static int n = 1;
static int in;

static void drop(int i, int with_reset) {
    const struct linger lg = {.l_onoff = 1, .l_linger = 0};
    if (with_reset)
        (void)setsockopt(fds[i].fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
    (void)close(fds[i].fd);
    n--;
    fds[i] = fds[n];
    ranges[i] = ranges[n];
}

static int parse(char *s, uintmax_t size, struct range *r) {
    unsigned long long lo;
    unsigned long long hi;
    char *save = strpbrk(s, " ");
    if (save == NULL)
        return -1;
    *save = 0;
    if (number_parse(s, 0, LLONG_MAX, &lo) != 0)
        return -1;
    if (number_parse(save + 1, 0, LLONG_MAX, &hi) != 0)
        return -1;
    if (hi < lo || hi >= size)
        return -1;
    r->pos = (off64_t)lo;
    r->rest = (off64_t)(hi - lo) + 1;
    return 0;
}

/* Sends a short text whole. There is always room for it: nothing has been sent
 * before it. */
static int put(int fd, const char *text, int count, int flags) {
    while (count > 0) {
        ssize_t k = send(fd, text, (size_t)count, MSG_NOSIGNAL | flags);
        if (k == -1)
            return -1;
        text += k;
        count -= (int)k;
    }
    return 0;
}

/* Returns 1 if client i is still there. */
static int take_line(int i) {
    char buf[65] = {0};
    char out[32];
    struct stat st;
    struct range *r = &ranges[i];
    /* Read what has been seen, and look at what is new. */
    ssize_t len = recv(fds[i].fd, buf, 64, MSG_PEEK);
    if (len < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return 1;
        drop(i, 1);
        return 0;
    }
    char *nl = memchr(buf, '\n', (size_t)len);
    if (nl == NULL) {
        if (len == 64 || len == 0 || (size_t)len == r->seen) {
            drop(i, 0); /* too long, or the client has ended */
            return 0;
        }
        r->seen = (size_t)len;
        /* poll would report these bytes again at once: wait for more of them.
         */
        int low = (int)len + 1;
        (void)setsockopt(fds[i].fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
        return 1;
    }
    (void)recv(fds[i].fd, buf, (size_t)(nl - buf) + 1, 0);
    *nl = 0;
    if (strlen(buf) != (size_t)(nl - buf) || fstat(in, &st) != 0 ||
        parse(buf, (uintmax_t)st.st_size, r) != 0) {
        (void)put(fds[i].fd, "bad range\n", 10, 0);
        drop(i, 0);
        return 0;
    }
    int k = snprintf(out, sizeof out, "%jd\n", (intmax_t)r->rest);
    if (put(fds[i].fd, out, k, MSG_MORE) != 0) {
        drop(i, 1);
        return 0;
    }
    fds[i].events = POLLOUT;
    return 1;
}

static int push(int i) {
    struct range *r = &ranges[i];
    while (r->rest > 0) {
        ssize_t k = sendfile64(fds[i].fd, in, &r->pos, (size_t)r->rest);
        if (k == -1 && errno == EINTR)
            continue;
        if (k == -1 && errno == EAGAIN)
            return 1;
        if (k == -1 || k == 0) {
            drop(i, 1);
            return 0;
        }
        r->rest -= k;
    }
    drop(i, 0);
    return 0;
}

int main(int argc, char *argv[]) {
    unsigned long long port;
    const char *what;
    if (argc != 3) {
        (void)fprintf(stderr, "usage: 20-sendfile FILE PORT\n");
        return 2;
    }
    if (number_parse(argv[2], 0, 65535, &port) != 0)
        errx(1, "bad port");
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    in = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (in == -1)
        err(1, "%s", argv[1]);
    struct sockaddr_in me;
    memset(&me, 0, sizeof me);
    me.sin_family = AF_INET;
    me.sin_port = htons((in_port_t)port);
    me.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fds[0].events = POLLIN;
    fds[0].fd = listener_open((struct sockaddr *)&me, sizeof me, 512, 0, &what);
    if (fds[0].fd == -1)
        err(1, "%s", what);
    if (listener_announce(fds[0].fd, &what) == -1)
        err(1, "%s", what);
    while (1) {
        int ready = poll(fds, (nfds_t)n, -1);
        if (ready == -1 && errno != EINTR)
            err(1, "poll");
        if (ready <= 0)
            continue;
        /* From the last to the first: drop moves the last one here. */
        for (int i = n - 1; i > 0; i--) {
            if (fds[i].revents == 0)
                continue;
            if (fds[i].events == POLLOUT)
                (void)push(i);
            else
                (void)take_line(i);
        }
        if (fds[0].revents != 0 && n <= MOST) {
            int fd = accept(fds[0].fd, NULL, NULL);
            if (fd == -1) {
                warn("accept");
                deadline_pause(5);
                continue;
            }
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            fds[n].fd = fd;
            fds[n].events = POLLIN;
            fds[n].revents = 0;
            ranges[n] = (struct range){0};
            n++;
        }
    }
}
