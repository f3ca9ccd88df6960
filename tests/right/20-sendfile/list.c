/*
 * A right answer with a linked list of clients, each with a function that is
 * called when poll reports it. The length of the file comes from lseek, and a
 * turn sends at most 64 KiB.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
    struct conn *next;
    int fd;
    bool (*ready)(struct conn *); /* false: it has been closed */
    short events;
    size_t have;
    char text[64];
    char head[40];
    size_t head_at;
    int64_t at, stop;
};

static int source;

static bool finish(struct conn *c, bool reset) {
    if (reset) {
        struct linger now = {.l_onoff = 1};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(c->fd);
    return false;
}

static bool later(void) {
    return errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK;
}

static bool write_out(struct conn *c) {
    size_t rest = strlen(c->head + c->head_at);
    if (rest > 0) {
        ssize_t n = send(c->fd, c->head + c->head_at, rest, MSG_NOSIGNAL);
        if (n < 0)
            return later() ? true : finish(c, true);
        c->head_at += (size_t)n;
        if ((size_t)n < rest)
            return true;
    }
    if (c->at < c->stop) {
        off_t offset = c->at;
        int64_t want = c->stop - c->at;
        if (want > 65536)
            want = 65536;
        ssize_t n = sendfile(c->fd, source, &offset, (size_t)want);
        if (n < 0 && later())
            return true;
        if (n <= 0)
            return finish(c, true);
        c->at = offset;
    }
    return c->at == c->stop ? finish(c, false) : true;
}

/* A number of digits, up to the character that ends it; -1 if there is none. */
static int64_t digits(char **p, char end) {
    int64_t n = 0;
    if (!isdigit((unsigned char)**p))
        return -1;
    while (isdigit((unsigned char)**p)) {
        int d = *(*p)++ - '0';
        if (n > (INT64_MAX - d) / 10)
            return -1;
        n = n * 10 + d;
    }
    if (**p != end)
        return -1;
    ++*p;
    return n;
}

static bool read_in(struct conn *c) {
    ssize_t n = read(c->fd, c->text + c->have, sizeof c->text - c->have);
    if (n < 0)
        return later() ? true : finish(c, true);
    if (n == 0)
        return finish(c, false);
    c->have += (size_t)n;
    if (memchr(c->text, '\n', c->have) == NULL)
        return c->have < sizeof c->text ? true : finish(c, false);
    char *p = c->text;
    int64_t first = digits(&p, ' ');
    int64_t last = first < 0 ? -1 : digits(&p, '\n');
    int64_t size = lseek(source, 0, SEEK_END);
    if (first < 0 || last < first || last >= size) {
        strcpy(c->head, "bad range\n");
    } else {
        sprintf(c->head, "%lld\n", (long long)(last - first + 1));
        c->at = first;
        c->stop = last + 1;
    }
    c->ready = write_out;
    c->events = POLLOUT;
    return true;
}

static int start(const char *port_text) {
    char *end;
    errno = 0;
    long port = strtol(port_text, &end, 10);
    if (!isdigit((unsigned char)*port_text) || *end || port > 65535 || errno)
        errx(1, "not a port: %s", port_text);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof own;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&own, size) || listen(fd, 200) ||
        getsockname(fd, (void *)&own, &size))
        err(1, "cannot listen");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    struct conn *all = NULL;
    size_t count = 0;
    if (argc != 3) {
        fputs("usage: 20-sendfile FILE PORT\n", stderr);
        exit(2);
    }
    signal(SIGPIPE, SIG_IGN);
    source = open(argv[1], O_RDONLY);
    if (source < 0)
        err(1, "open %s", argv[1]);
    int door = start(argv[2]);
    for (;;) {
        struct pollfd p[count + 1];
        size_t i = 0;
        for (struct conn *c = all; c; c = c->next)
            p[i++] = (struct pollfd){.fd = c->fd, .events = c->events};
        p[count] = (struct pollfd){.fd = door, .events = POLLIN};
        if (poll(p, count + 1, -1) < 0)
            continue;
        i = 0;
        struct conn **link = &all;
        while (*link) {
            struct conn *c = *link;
            if (p[i++].revents && !c->ready(c)) {
                *link = c->next;
                free(c);
                count--;
            } else {
                link = &c->next;
            }
        }
        int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            continue;
        struct conn *c = calloc(1, sizeof *c);
        if (c == NULL) {
            close(fd);
            continue;
        }
        c->fd = fd;
        c->ready = read_in;
        c->events = POLLIN;
        c->next = all;
        all = c;
        count++;
    }
}
