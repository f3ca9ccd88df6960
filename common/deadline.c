/* deadline: one point in time, and calls that end when it has come. */
#define _GNU_SOURCE

#include "deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

enum { MS_PER_SECOND = 1000, NS_PER_MS = 1000 * 1000 };

static int fail(int error) {
    errno = error;
    return -1;
}

int deadline_parse(const char *text, size_t length, int *milliseconds) {
    int64_t sum = 0;               /* in milliseconds */
    int64_t worth = MS_PER_SECOND; /* of the digit before; 0: finer than that */
    int has_point = 0;
    int has_digit = 0;
    int rest = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = text[i] - '0';
        if (text[i] == '.' && !has_point) {
            has_point = 1;
            continue;
        }
        if (digit < 0 || digit > 9)
            return fail(EINVAL);
        has_digit = 1;
        if (has_point) {
            worth /= 10;
            sum += digit * worth;
            rest |= worth == 0 && digit != 0;
        } else if (sum <= DEADLINE_LONGEST_MS) { /* more might overflow */
            sum = sum * 10 + digit * worth;
        }
    }
    if (!has_digit)
        return fail(EINVAL);
    sum += rest;
    if (sum == 0 || sum > DEADLINE_LONGEST_MS)
        return fail(ERANGE);
    *milliseconds = (int)sum;
    return 0;
}

static int64_t now(void) {
    struct timespec time;
    /* Fails only for a clock that there is not: clock_gettime(2). */
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * MS_PER_SECOND * NS_PER_MS + time.tv_nsec;
}

struct deadline deadline_after(int milliseconds) {
    return (struct deadline){now() + (int64_t)milliseconds * NS_PER_MS};
}

int deadline_left(struct deadline deadline) {
    int64_t left = deadline.nanoseconds - now();
    return left > 0 ? (int)((left + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

int deadline_wait(struct deadline deadline, int fd, short events) {
    struct pollfd waiting = {.fd = fd, .events = events};
    for (;;) {
        int left = deadline_left(deadline);
        if (left == 0)
            return fail(ETIMEDOUT);
        int ready = poll(&waiting, 1, left);
        if (ready > 0)
            return (waiting.revents & POLLNVAL) != 0 ? fail(EBADF) : 0;
        if (ready < 0 && errno != EINTR)
            return -1;
    }
}

int deadline_connect(struct deadline deadline, int fd,
                     const struct sockaddr *address, socklen_t length) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    if (connect(fd, address, length) == 0)
        return 0;
    if (errno != EINPROGRESS || deadline_wait(deadline, fd, POLLOUT) < 0)
        return -1;
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -1;
    return error == 0 ? 0 : fail(error);
}

/* MSG_DONTWAIT, because what poll(2) saw may be gone when we ask for it, as
 * select(2) says under BUGS; then we wait again. */
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
