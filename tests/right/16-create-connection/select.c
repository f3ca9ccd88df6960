/* select, a byte at a time, stdio for the output, and no module of ours but
 * those that read arguments. */
#define _GNU_SOURCE

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
    char *host;
    char *port;
    int fd;
    int state; /* 0 not begun, 1 connecting, 2 reading, 3 failed */
    int used;
    char line[4096];
} m[MAX];
int n;
int begun;
double deadline;
double next_start;
double delay;
double seconds;

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
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *a;
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

static void clear(fd_set *set) {
    FD_ZERO(set);
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
        clear(in);
        clear(out);
    }
    return now() < deadline;
}

static void late(void) {
    fprintf(stderr, "deadline passed\n");
    exit(1);
}

/* How many are open; they go into the sets. */
static int fill(fd_set *in, fd_set *out) {
    int open = 0;
    clear(in);
    clear(out);
    for (int i = 0; i < begun; i++) {
        if (m[i].state == 1) {
            FD_SET(m[i].fd, out);
            open++;
        }
        if (m[i].state == 2) {
            FD_SET(m[i].fd, in);
            open++;
        }
    }
    return open;
}

static int look(const fd_set *in, const fd_set *out) {
    for (int i = 0; i < begun; i++) {
        if (m[i].fd < 0)
            continue;
        if (!FD_ISSET(m[i].fd, in) && !FD_ISSET(m[i].fd, out))
            continue;
        if (ready(i))
            return i;
    }
    return -1;
}

static int winner(void) {
    fd_set in;
    fd_set out;
    for (;;) {
        if (begun < n && now() >= next_start) {
            begin();
            continue;
        }
        if (fill(&in, &out) == 0 && begun == n)
            exit(1);
        double then = deadline;
        if (begun < n && next_start < then)
            then = next_start;
        if (!wait_until(then, &in, &out))
            late();
        int i = look(&in, &out);
        if (i >= 0)
            return i;
    }
}

static void put(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout)) {
        perror("stdout");
        exit(1);
    }
}

static void copy(int fd) {
    char piece[1000];
    fd_set in;
    fd_set none;
    for (;;) {
        clear(&none);
        clear(&in);
        FD_SET(fd, &in);
        if (!wait_until(deadline, &in, &none))
            late();
        ssize_t r = recv(fd, piece, sizeof piece, 0);
        if (r == 0)
            return;
        if (r > 0)
            put(piece, (size_t)r);
        if (r < 0 && errno != EAGAIN) {
            perror("recv");
            exit(1);
        }
    }
}

static void bad(const char *what) {
    fprintf(stderr, "bad %s\n", what);
    exit(1);
}

static void options(int argc, char **argv) {
    int c;
    unsigned long long number;
    char *end;
    while ((c = getopt(argc, argv, "d:t:")) != -1) {
        switch (c) {
        case 'd':
            if (number_parse(optarg, 10, 2000, &number) < 0)
                bad("number of milliseconds");
            delay = (double)number / 1000;
            break;
        case 't':
            seconds = strtod(optarg, &end);
            if (*end != '\0' || end == optarg || !(seconds > 0))
                bad("number of seconds");
            break;
        default:
            delay = 0;
            return;
        }
    }
}

int main(int argc, char **argv) {
    unsigned long long number;
    options(argc, argv);
    argc -= optind;
    argv += optind;
    if (delay == 0 || seconds == 0 || argc == 0 || argc % 2 || argc > 2 * MAX) {
        fprintf(stderr, "usage: -d MS -t SECONDS HOST PORT ...\n");
        return 2;
    }
    for (; argc > 0; argc -= 2, argv += 2) {
        m[n].host = argv[0];
        m[n].port = argv[1];
        if (number_parse(m[n].port, 1, 65535, &number) < 0)
            bad("port");
        n++;
    }
    signal(SIGPIPE, SIG_IGN);
    deadline = now() + seconds;
    int w = winner();
    for (int i = 0; i < begun; i++)
        if (i != w && m[i].fd >= 0)
            close(m[i].fd);
    put(m[w].line, (size_t)m[w].used);
    copy(m[w].fd);
    return 0;
}
