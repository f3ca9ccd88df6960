/* epoll, with a timer for the next start and one for the deadline, and memory
 * from malloc for each server. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct source {
    int fd;
    int is_connected;
    const char *host;
    const char *port;
    size_t length;
    char *line;
};

static struct source *sources[16];
static int count, begun, open_count, set;
static struct source next_timer, end_timer;
static long delay_ms;

static void die_usage(void) {
    fprintf(stderr, "usage: 16-create-connection -d MILLISECONDS -t SECONDS "
                    "HOST PORT [HOST PORT]...\n");
    exit(2);
}

static void set_timer(struct source *timer, double ms) {
    long ns = (long)(ms * 1e6) + 1;
    struct itimerspec when = {.it_value = {ns / 1000000000, ns % 1000000000}};
    if (timerfd_settime(timer->fd, 0, &when, NULL) < 0)
        err(1, "timerfd_settime");
}

static void watch(struct source *s, unsigned events, int how) {
    struct epoll_event e = {.events = events, .data.ptr = s};
    if (epoll_ctl(set, how, s->fd, &e) < 0)
        err(1, "epoll_ctl");
}

static void give_up(struct source *s, const char *call, const char *reason) {
    warnx("%s %s:%s: %s", call, s->host, s->port, reason);
    if (s->fd >= 0) {
        close(s->fd);
        open_count--;
    }
    s->fd = -1;
    if (s == sources[begun - 1])
        set_timer(&next_timer, 0);
    if (open_count == 0 && begun == count)
        exit(1);
}

static void begin_next(void) {
    if (begun == count)
        return;
    struct source *s = sources[begun++];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *info;
    set_timer(&next_timer, (double)delay_ms);
    int error = getaddrinfo(s->host, s->port, &hints, &info);
    if (error != 0) {
        give_up(s, "lookup", gai_strerror(error));
        return;
    }
    s->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        err(1, "socket");
    open_count++;
    if (connect(s->fd, info->ai_addr, info->ai_addrlen) < 0 &&
        errno != EINPROGRESS)
        give_up(s, "connect", strerror(errno));
    else
        watch(s, EPOLLOUT, EPOLL_CTL_ADD);
    freeaddrinfo(info);
}

/* 1: its line is whole. */
static int go_on(struct source *s) {
    if (!s->is_connected) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            give_up(s, "connect", strerror(error));
            return 0;
        }
        s->is_connected = 1;
        watch(s, EPOLLIN, EPOLL_CTL_MOD);
        return 0;
    }
    if (s->line == NULL)
        s->line = malloc(4097);
    if (s->line == NULL)
        err(1, "malloc");
    ssize_t got = recv(s->fd, s->line + s->length, 4097 - s->length, 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0) {
        give_up(s, "recv",
                got < 0 ? strerror(errno)
                        : "closed before the end of the line");
        return 0;
    }
    s->length += (size_t)got;
    size_t limit = s->length < 4096 ? s->length : 4096;
    if (memchr(s->line, '\n', limit) != NULL)
        return 1;
    if (s->length >= 4096)
        give_up(s, "recv", "the line is longer than 4096 bytes");
    return 0;
}

static void put(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(1, bytes, length);
        if (written < 0)
            err(1, "standard output");
        bytes += written;
        length -= (size_t)written;
    }
}

static struct source *wait_for_one(void) {
    struct epoll_event e;
    int n;
    do
        n = epoll_wait(set, &e, 1, -1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        err(1, "epoll_wait");
    return e.data.ptr;
}

static double read_options(int argc, char **argv) {
    double seconds = 0;
    char *end;
    int option;
    while ((option = getopt(argc, argv, "+d:t:")) != -1) {
        if (option == 'd') {
            delay_ms = strtol(optarg, &end, 10);
            if (*end != '\0' || delay_ms < 10 || delay_ms > 2000)
                errx(1, "-d %s", optarg);
        } else if (option == 't') {
            seconds = strtod(optarg, &end);
            if (*end != '\0' || !(seconds > 0 && seconds < 1e6))
                errx(1, "-t %s", optarg);
        } else {
            die_usage();
        }
    }
    if (delay_ms == 0 || seconds == 0)
        die_usage();
    return seconds;
}

static void read_servers(int words, char **word) {
    char *end;
    if (words == 0 || words % 2 == 1 || words > 32)
        die_usage();
    for (int i = 0; i < words; i += 2) {
        struct source *s = calloc(1, sizeof *s);
        if (s == NULL)
            err(1, "calloc");
        s->fd = -1;
        s->host = word[i];
        s->port = word[i + 1];
        long port = strtol(s->port, &end, 10);
        if (*end != '\0' || port < 1 || port > 65535)
            errx(1, "%s is not a port", s->port);
        sources[count++] = s;
    }
}

static struct source *find_winner(void) {
    for (;;) {
        struct source *s = wait_for_one();
        unsigned long long times;
        if (s == &end_timer)
            errx(1, "deadline passed");
        if (s != &next_timer && go_on(s))
            return s;
        if (s == &next_timer && read(s->fd, &times, sizeof times) > 0)
            begin_next();
    }
}

static void copy(struct source *s) {
    put(s->line, s->length);
    for (;;) {
        if (wait_for_one() == &end_timer)
            errx(1, "deadline passed");
        ssize_t got = recv(s->fd, s->line, 4096, 0);
        if (got == 0)
            return;
        if (got > 0)
            put(s->line, (size_t)got);
        else if (errno != EAGAIN)
            err(1, "recv %s:%s", s->host, s->port);
    }
}

int main(int argc, char **argv) {
    double seconds = read_options(argc, argv);
    read_servers(argc - optind, argv + optind);
    signal(SIGPIPE, SIG_IGN);

    set = epoll_create1(0);
    next_timer.fd = timerfd_create(CLOCK_MONOTONIC, 0);
    end_timer.fd = timerfd_create(CLOCK_MONOTONIC, 0);
    if (set < 0 || next_timer.fd < 0 || end_timer.fd < 0)
        err(1, "epoll or timerfd");
    watch(&next_timer, EPOLLIN, EPOLL_CTL_ADD);
    watch(&end_timer, EPOLLIN, EPOLL_CTL_ADD);
    set_timer(&end_timer, seconds * 1000);
    set_timer(&next_timer, 0);

    struct source *winner = find_winner();
    close(next_timer.fd);
    for (int i = 0; i < count; i++)
        if (sources[i] != winner && sources[i]->fd >= 0)
            close(sources[i]->fd);
    copy(winner);
    return 0;
}
