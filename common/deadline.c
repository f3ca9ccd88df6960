/* deadline: one point in time, and calls that end when it has come. */
#define _GNU_SOURCE

#include "deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

enum {
    MS_PER_SECOND = 1000,
    NS_PER_MS = 1000 * 1000,
    NS_PER_SECOND = 1000 * 1000 * 1000,
};

static int fail(int error) {
    errno = error;
    return -1;
}

/* What deadline_parse has read so far. */
struct seconds {
    int64_t milliseconds;
    /* How many milliseconds the last digit behind the point counts. */
    int64_t place_value;
    bool has_digit;
    bool has_point;
    bool has_fraction_of_ms; /* there is more, but less than a millisecond */
};

static void add_digit_before_point(struct seconds *read, int64_t digit) {
    /* A number that is too large already stays as it is. If we went on, it
     * could overflow. */
    if (read->milliseconds > DEADLINE_LONGEST_MS)
        return;
    read->milliseconds = read->milliseconds * 10 + digit * MS_PER_SECOND;
}

/* The first digit behind the point counts 100 milliseconds, the second 10, and
 * the third 1. The digits behind those count less than a millisecond. */
static void add_digit_behind_point(struct seconds *read, int64_t digit) {
    read->place_value /= 10; /* 0 from the fourth digit on */
    read->milliseconds += digit * read->place_value;
    if (read->place_value == 0 && digit != 0)
        read->has_fraction_of_ms = true;
}

static void add_digit(struct seconds *read, int64_t digit) {
    read->has_digit = true;
    if (read->has_point)
        add_digit_behind_point(read, digit);
    else
        add_digit_before_point(read, digit);
}

int deadline_parse(const char *text, size_t length, int *milliseconds) {
    struct seconds read = {.place_value = MS_PER_SECOND};
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.' && !read.has_point)
            read.has_point = true;
        else if (text[i] >= '0' && text[i] <= '9')
            add_digit(&read, text[i] - '0');
        else
            return fail(EINVAL);
    }
    if (!read.has_digit)
        return fail(EINVAL);
    if (read.has_fraction_of_ms)
        read.milliseconds++; /* we round up */
    if (read.milliseconds == 0 || read.milliseconds > DEADLINE_LONGEST_MS)
        return fail(ERANGE);
    *milliseconds = (int)read.milliseconds;
    return 0;
}

/* Returns the nanoseconds that CLOCK_MONOTONIC shows. */
static int64_t now(void) {
    struct timespec time;
    /* It fails only for a clock that does not exist: clock_gettime(2). */
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

struct deadline deadline_after(int milliseconds) {
    int64_t nanoseconds = (int64_t)milliseconds * NS_PER_MS;
    return (struct deadline){.nanoseconds = now() + nanoseconds};
}

int deadline_left(struct deadline deadline) {
    int64_t left = deadline.nanoseconds - now();
    if (left <= 0)
        return 0;
    /* A division rounds down. To round up, we add almost a millisecond first.
     */
    return (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

struct deadline deadline_share(struct deadline deadline, size_t parts) {
    int64_t start = now();
    int64_t left = deadline.nanoseconds - start;
    return (struct deadline){.nanoseconds = start + left / (int64_t)parts};
}

int deadline_wait(struct deadline deadline, int fd, short events) {
    struct pollfd waiting = {.fd = fd, .events = events};
    for (;;) {
        int left = deadline_left(deadline);
        if (left == 0)
            return fail(ETIMEDOUT);
        int ready = poll(&waiting, 1, left);
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready > 0) {
            if ((waiting.revents & POLLNVAL) != 0)
                return fail(EBADF); /* fd is not open */
            return 0;
        }
    }
}

void deadline_pause(int milliseconds) {
    /* poll(2) ignores a negative descriptor, so only the deadline ends this. */
    (void)deadline_wait(deadline_after(milliseconds), -1, 0);
}

int deadline_connect(struct deadline deadline, int fd,
                     const struct sockaddr *address, socklen_t length) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -1;
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    if (connect(fd, address, length) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -1;
    if (deadline_wait(deadline, fd, POLLOUT) < 0)
        return -1;

    /* The connect has ended, but did it succeed? SO_ERROR says that: socket(7).
     */
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -1;
    if (error != 0)
        return fail(error);
    return 0;
}

/* Why MSG_DONTWAIT? What poll(2) saw may be gone when we call recv, as
 * select(2) says under BUGS. Then recv fails with EAGAIN, and we wait again. */
ssize_t deadline_recv(struct deadline deadline, int fd, void *bytes,
                      size_t length) {
    ssize_t received;
    do {
        if (deadline_wait(deadline, fd, POLLIN) < 0)
            return -1;
        received = recv(fd, bytes, length, MSG_DONTWAIT);
    } while (received < 0 && errno == EAGAIN);
    return received;
}

int deadline_recv_all(struct deadline deadline, int fd, void *bytes,
                      size_t length) {
    char *next = bytes;
    size_t missing = length;
    while (missing > 0) {
        ssize_t received = deadline_recv(deadline, fd, next, missing);
        if (received < 0)
            return -1;
        if (received == 0)
            return fail(EPROTO);
        next += received;
        missing -= (size_t)received;
    }
    return 0;
}

int deadline_send(struct deadline deadline, int fd, const char *bytes,
                  size_t length, size_t *sent) {
    *sent = 0;
    while (*sent < length) {
        if (deadline_wait(deadline, fd, POLLOUT) < 0)
            return -1;
        ssize_t taken = send(fd, bytes + *sent, length - *sent,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken < 0 && errno != EAGAIN)
            return -1;
        if (taken > 0)
            *sent += (size_t)taken;
    }
    return 0;
}
