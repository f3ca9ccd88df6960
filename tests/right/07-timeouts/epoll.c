/*
 * A right answer with descriptors for time: a timerfd becomes readable at the
 * deadline, and epoll waits for it and for the socket at once. A pause is a
 * clock_nanosleep until a point in time.
 */
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
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static struct timespec to_time(long long nanoseconds) {
    return (struct timespec){nanoseconds / SECOND, nanoseconds % SECOND};
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* Returns 1 when the socket is ready, 0 at the deadline. */
static int wait_for(int socket, unsigned what, int timer) {
    int watch = epoll_create1(EPOLL_CLOEXEC);
    if (watch < 0)
        err(1, "epoll_create1");
    struct epoll_event one = {.events = what, .data.fd = socket};
    struct epoll_event other = {.events = EPOLLIN, .data.fd = timer};
    if (epoll_ctl(watch, EPOLL_CTL_ADD, socket, &one) < 0 ||
        epoll_ctl(watch, EPOLL_CTL_ADD, timer, &other) < 0)
        err(1, "epoll_ctl");
    struct epoll_event events[2];
    int count;
    do
        count = epoll_wait(watch, events, 2, -1);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        err(1, "epoll_wait");
    close(watch);
    int in_time = 1;
    for (int i = 0; i < count; i++)
        if (events[i].data.fd == timer)
            in_time = 0;
    return in_time;
}

/* Returns NULL when the line is there, or what failed. */
static const char *try_once(const struct addrinfo *address, int timer,
                            char *line, size_t *length, const char **why) {
    int error = 0;
    socklen_t size = sizeof error;
    const char *call = "connect";
    *why = "deadline passed";
    *length = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        if (errno != EINPROGRESS) {
            error = errno;
        } else if (!wait_for(fd, EPOLLOUT, timer)) {
            close(fd);
            return call;
        } else {
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    if (error != 0) {
        *why = strerror(error);
        close(fd);
        return call;
    }
    call = "recv";
    while (wait_for(fd, EPOLLIN, timer)) {
        /* One byte at a time: nothing after the newline is taken. */
        ssize_t got = recv(fd, line + *length, 1, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0) {
            *why = strerror(errno);
            break;
        }
        if (got == 0) {
            *why = "closed before the end of the line";
            break;
        }
        *length += 1;
        if (line[*length - 1] == '\n') {
            call = NULL;
            break;
        }
        if (*length == 4096) {
            *why = "the line is too long";
            break;
        }
    }
    close(fd);
    return call;
}

static void sleep_until(long long moment) {
    struct timespec time = to_time(moment);
    int result;
    do
        result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
    while (result == EINTR);
}

/* Returns the exit status. */
static int try_often(const struct addrinfo *address, int timer, long tries,
                     long long deadline) {
    long long pause = SECOND / 20;
    for (long i = 1;; i++) {
        char line[4096];
        size_t length;
        const char *why;
        const char *call = try_once(address, timer, line, &length, &why);
        if (call == NULL) {
            if (fwrite(line, length, 1, stdout) != 1 || fflush(stdout) != 0)
                err(1, "standard output");
            return 0;
        }
        fprintf(stderr, "07-timeouts: try %ld: %s: %s\n", i, call, why);
        long long next = now() + pause;
        if (i == tries || next > deadline)
            return 1;
        sleep_until(next);
        pause *= 2;
    }
}

static void usage(void) {
    fprintf(stderr, "usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n");
    exit(2);
}

static long whole(const char *text, long most) {
    if (text[strspn(text, "0123456789")] != '\0' || strlen(text) > 5)
        errx(1, "%s: no number", text);
    long number = strtol(text, NULL, 10);
    if (number < 1 || number > most)
        errx(1, "%s: 1 to %ld", text, most);
    return number;
}

static double fraction(const char *text) {
    char *end;
    double number = strtod(text, &end);
    if (*end != '\0' || end == text || !(number > 0) || number > 3600)
        errx(1, "%s: no number of seconds", text);
    return number;
}

int main(int argc, char **argv) {
    double seconds = 0;
    long tries = 0;
    int option;
    while ((option = getopt(argc, argv, "t:n:")) != -1) {
        switch (option) {
        case 't':
            seconds = fraction(optarg);
            break;
        case 'n':
            tries = whole(optarg, 100);
            break;
        default:
            usage();
        }
    }
    if (argc != optind + 2 || tries == 0 || seconds <= 0)
        usage();
    whole(argv[optind + 1], 65535);
    signal(SIGPIPE, SIG_IGN);

    long long deadline = now() + (long long)(seconds * 1e9);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec end = {.it_value = to_time(deadline)};
    if (timer < 0 || timerfd_settime(timer, TFD_TIMER_ABSTIME, &end, NULL) < 0)
        err(1, "timerfd");
    struct addrinfo *list;
    struct addrinfo wish = {.ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(argv[optind], argv[optind + 1], &wish, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));

    return try_often(list, timer, tries, deadline);
}
