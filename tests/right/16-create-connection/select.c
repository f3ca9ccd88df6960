/* select, a byte at a time, stdio for the output, and no module of ours but
 * those that read arguments. */
#include "number.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX 16

struct mirror {
    char *host, *port;
    int fd, state; /* 0 not begun, 1 connecting, 2 reading, 3 failed */
    int used;
    char line[4096];
} m[MAX];
int n, begun;
double deadline, next_start, delay;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void failed(int i, const char *call, const char *why) {
    fprintf(stderr, "%s %s:%s: %s\n", call, m[i].host, m[i].port, why);
    if (m[i].fd >= 0)
        close(m[i].fd);
    m[i].fd = -1;
    m[i].state = 3;
    if (i == begun - 1)
        next_start = now();
}

static void begin(void) {
    int i = begun++;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    next_start = now() + delay;
    m[i].fd = -1;
    int e = getaddrinfo(m[i].host, m[i].port, &hints, &a);
    if (e != 0) {
        failed(i, "getaddrinfo", gai_strerror(e));
        return;
    }
    m[i].fd = socket(a->ai_family, SOCK_STREAM, 0);
    if (m[i].fd < 0) {
        failed(i, "socket", strerror(errno));
    } else {
        fcntl(m[i].fd, F_SETFL, O_NONBLOCK);
        m[i].state = 1;
        if (connect(m[i].fd, a->ai_addr, a->ai_addrlen) < 0 &&
            errno != EINPROGRESS)
            failed(i, "connect", strerror(errno));
    }
    freeaddrinfo(a);
}

static int ready(int i) {
    if (m[i].state == 1) {
        int e;
        socklen_t l = sizeof e;
        getsockopt(m[i].fd, SOL_SOCKET, SO_ERROR, &e, &l);
        if (e != 0)
            failed(i, "connect", strerror(e));
        else
            m[i].state = 2;
        return 0;
    }
    char c;
    ssize_t r = recv(m[i].fd, &c, 1, 0);
    if (r < 0 && errno == EAGAIN)
        return 0;
    if (r < 0)
        failed(i, "recv", strerror(errno));
    else if (r == 0)
        failed(i, "recv", "closed before the end of the line");
    else if (m[i].used == 4096 || (m[i].used == 4095 && c != '\n'))
        failed(i, "recv", "the line is too long");
    else {
        m[i].line[m[i].used++] = c;
        return c == '\n';
    }
    return 0;
}

/* select until then, or until something is ready. 0: it is too late. */
static int wait_until(double then, fd_set *in, fd_set *out) {
    double left = then - now();
    if (left < 0)
        left = 0;
    struct timeval t = {(time_t)left,
                        (suseconds_t)((left - (double)(time_t)left) * 1e6) + 1};
    int r = select(FD_SETSIZE, in, out, NULL, &t);
    if (r <= 0) {
        FD_ZERO(in);
        FD_ZERO(out);
    }
    return now() < deadline;
}

static void late(void) {
    fprintf(stderr, "deadline passed\n");
    exit(1);
}

static int winner(void) {
    for (;;) {
        if (begun < n && now() >= next_start) {
            begin();
            continue;
        }
        fd_set in, out;
        FD_ZERO(&in);
        FD_ZERO(&out);
        int open = 0;
        for (int i = 0; i < begun; i++) {
            if (m[i].state == 1 || m[i].state == 2) {
                FD_SET(m[i].fd, m[i].state == 1 ? &out : &in);
                open++;
            }
        }
        if (!open && begun == n)
            exit(1);
        double then = deadline;
        if (begun < n && next_start < then)
            then = next_start;
        if (!wait_until(then, &in, &out))
            late();
        for (int i = 0; i < begun; i++)
            if (m[i].fd >= 0 &&
                (FD_ISSET(m[i].fd, &in) || FD_ISSET(m[i].fd, &out)) && ready(i))
                return i;
    }
}

static void full(void) {
    perror("stdout");
    exit(1);
}

int main(int argc, char **argv) {
    int c;
    unsigned long long number;
    double seconds = 0;
    while ((c = getopt(argc, argv, "d:t:")) != -1) {
        char *end = NULL;
        switch (c) {
        case 'd':
            if (number_parse(optarg, 10, 2000, &number) < 0) {
                fprintf(stderr, "bad number of milliseconds\n");
                return 1;
            }
            delay = (double)number / 1000;
            break;
        case 't':
            seconds = strtod(optarg, &end);
            if (*end != '\0' || end == optarg || !(seconds > 0)) {
                fprintf(stderr, "bad number of seconds\n");
                return 1;
            }
            break;
        default:
            fprintf(stderr, "usage: -d MS -t SECONDS HOST PORT ...\n");
            return 2;
        }
    }
    argc -= optind;
    argv += optind;
    if (delay == 0 || seconds == 0 || argc == 0 || argc % 2 || argc > 2 * MAX) {
        fprintf(stderr, "usage: -d MS -t SECONDS HOST PORT ...\n");
        return 2;
    }
    for (n = 0; n < argc / 2; n++) {
        m[n].host = argv[2 * n];
        m[n].port = argv[2 * n + 1];
        if (number_parse(m[n].port, 1, 65535, &number) < 0) {
            fprintf(stderr, "%s is no port\n", m[n].port);
            return 1;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    deadline = now() + seconds;
    int w = winner();
    for (int i = 0; i < begun; i++)
        if (i != w && m[i].fd >= 0)
            close(m[i].fd);
    if (fwrite(m[w].line, 1, (size_t)m[w].used, stdout) == 0 || fflush(stdout))
        full();
    for (;;) {
        fd_set in, none;
        FD_ZERO(&none);
        FD_ZERO(&in);
        FD_SET(m[w].fd, &in);
        if (!wait_until(deadline, &in, &none))
            late();
        char piece[1000];
        ssize_t r = recv(m[w].fd, piece, sizeof piece, 0);
        if (r < 0 && errno == EAGAIN)
            continue;
        if (r < 0) {
            perror("recv");
            return 1;
        }
        if (r == 0)
            break;
        if (fwrite(piece, 1, (size_t)r, stdout) != (size_t)r || fflush(stdout))
            full();
    }
    return 0;
}
