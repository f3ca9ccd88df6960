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

enum { MOST_BYTES = 4096 };

static const long long SECOND = 1000LL * 1000 * 1000; /* in nanoseconds */

/* A line that is being received, and why a try to receive it has failed. */
struct attempt {
    char line[MOST_BYTES];
    size_t length;
    const char *call; /* the call that has failed */
    const char *reason;
};

static struct timespec to_timespec(long long nanoseconds) {
    struct timespec time = {
        .tv_sec = nanoseconds / SECOND,
        .tv_nsec = nanoseconds % SECOND,
    };
    return time;
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* Adds a descriptor, and the events to wait for, to an epoll instance. */
static void watch(int epoll, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

/* Waits until the socket is ready or the timer has expired. Returns 1 if the
 * socket is ready and the timer has not expired, and 0 otherwise. */
static int wait_until_ready(int socket, unsigned events, int timer) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");
    watch(epoll, socket, events);
    watch(epoll, timer, EPOLLIN);

    struct epoll_event ready[2];
    int count = epoll_wait(epoll, ready, 2, -1);
    while (count < 0 && errno == EINTR)
        count = epoll_wait(epoll, ready, 2, -1);
    if (count < 0)
        err(1, "epoll_wait");
    close(epoll);

    for (int i = 0; i < count; i++) {
        if (ready[i].data.fd == timer)
            return 0;
    }
    return 1;
}

/* Connects a socket that does not block. Returns NULL, or why that failed. */
static const char *connect_in_time(int fd, const struct addrinfo *address,
                                   int timer) {
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return NULL;
    if (errno != EINPROGRESS)
        return strerror(errno);
    if (!wait_until_ready(fd, EPOLLOUT, timer))
        return "deadline passed";

    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        return strerror(error);
    return NULL;
}

/* Receives one line, a byte at a time, so it receives nothing after the
 * newline. Returns NULL, or why that failed. */
static const char *receive_line(int fd, struct attempt *attempt, int timer) {
    attempt->length = 0;
    while (attempt->length < MOST_BYTES) {
        if (!wait_until_ready(fd, EPOLLIN, timer))
            return "deadline passed";
        char byte;
        ssize_t received = recv(fd, &byte, 1, 0);
        if (received < 0 && errno == EAGAIN)
            continue; /* epoll was wrong. This is rare: select(2), BUGS */
        if (received < 0)
            return strerror(errno);
        if (received == 0)
            return "closed before the end of the line";

        attempt->line[attempt->length] = byte;
        attempt->length++;
        if (byte == '\n')
            return NULL;
    }
    return "the line is too long";
}

/* Makes one try. Returns 1 if the line is there. Returns 0 if not, and then
 * *attempt says which call has failed, and why. */
static int try_once(const struct addrinfo *address, int timer,
                    struct attempt *attempt) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    attempt->call = "connect";
    attempt->reason = connect_in_time(fd, address, timer);
    if (attempt->reason == NULL) {
        attempt->call = "recv";
        attempt->reason = receive_line(fd, attempt, timer);
    }
    close(fd);
    return attempt->reason == NULL;
}

static void sleep_until(long long end) {
    struct timespec time = to_timespec(end);
    int result = EINTR;
    while (result == EINTR)
        result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* Prints the line of the first try that succeeds. Returns the exit status. */
static int try_repeatedly(const struct addrinfo *address, int timer, long tries,
                          long long deadline) {
    long long pause = SECOND / 20;
    for (long number = 1; number <= tries; number++) {
        struct attempt attempt;
        if (try_once(address, timer, &attempt)) {
            if (fwrite(attempt.line, attempt.length, 1, stdout) != 1)
                err(1, "standard output");
            if (fflush(stdout) != 0)
                err(1, "standard output");
            return 0;
        }
        fprintf(stderr, "07-timeouts: try %ld: %s: %s\n", number, attempt.call,
                attempt.reason);
        long long end = now() + pause;
        if (number == tries || end > deadline)
            return 1;
        sleep_until(end);
        pause *= 2;
    }
    return 1;
}

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n");
    exit(2);
}

/* Returns the whole number that the text names, from 1 to most. */
static long parse_whole(const char *text, long most) {
    if (strspn(text, "0123456789") != strlen(text))
        errx(1, "%s: no number", text);
    long number = strtol(text, NULL, 10);
    if (number < 1 || number > most)
        errx(1, "%s: 1 to %ld", text, most);
    return number;
}

static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (*end != '\0')
        errx(1, "%s: no number of seconds", text);
    /* An empty text is 0. "nan" is neither above 0 nor below. */
    int is_in_range = seconds > 0 && seconds <= 3600;
    if (!is_in_range)
        errx(1, "%s: no number of seconds", text);
    return seconds;
}

/* Returns a timer that becomes readable at the deadline. */
static int make_timer(long long deadline) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (timer < 0)
        err(1, "timerfd_create");
    struct itimerspec end = {.it_value = to_timespec(deadline)};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &end, NULL) < 0)
        err(1, "timerfd_settime");
    return timer;
}

int main(int argc, char **argv) {
    double seconds = 0;
    long tries = 0;
    for (;;) {
        int option = getopt(argc, argv, "t:n:");
        if (option == -1)
            break;
        if (option == 't')
            seconds = parse_seconds(optarg);
        else if (option == 'n')
            tries = parse_whole(optarg, 100);
        else
            usage();
    }
    int has_both_options = seconds > 0 && tries > 0;
    if (argc - optind != 2 || !has_both_options)
        usage();
    const char *host = argv[optind];
    const char *port = argv[optind + 1];
    (void)parse_whole(port, 65535); /* ends the program at a wrong port */
    signal(SIGPIPE, SIG_IGN);

    long long deadline = now() + (long long)(seconds * (double)SECOND);
    int timer = make_timer(deadline);
    struct addrinfo *list;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));

    return try_repeatedly(list, timer, tries, deadline);
}
