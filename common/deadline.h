/*
 * deadline: one point in time, and calls that end when it has come, however
 * often they are woken before. Built by lesson 07.
 */
#ifndef COMMON_DEADLINE_H
#define COMMON_DEADLINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { DEADLINE_LONGEST_MS = 24 * 60 * 60 * 1000 }; /* a day */

/* A point on CLOCK_MONOTONIC, which nobody can set. */
struct deadline {
    int64_t nanoseconds;
};

/*
 * Reads a number of seconds, such as "2" or "0.25", from text[0] to
 * text[length - 1]: decimal digits, and a point before, after or among them.
 * Returns 0 and milliseconds, rounded up, in *milliseconds; or -1, and EINVAL
 * for what is no such number, ERANGE for 0 and for more than a day.
 */
int deadline_parse(const char *text, size_t length, int *milliseconds);

/* The deadline that is so many milliseconds from now; 0 or fewer: now. */
struct deadline deadline_after(int milliseconds);

/* The milliseconds left until then, rounded up and never negative: fit for
 * poll(2). 0 means that the deadline has passed, and nothing else does. */
int deadline_left(struct deadline deadline);

/*
 * Waits until fd is ready for events (POLLIN, POLLOUT), or has an error or a
 * hang-up that the next call on it will report. Returns 0; or -1, and ETIMEDOUT
 * when the deadline has passed, be fd ready or not: who always has something
 * for us must not keep us for ever. EINTR is not an error. With a negative fd
 * it is a pause until then.
 */
int deadline_wait(struct deadline deadline, int fd, short events);

/*
 * Connects fd, as connect(2) does, and leaves it non-blocking. Returns 0, or
 * -1 and errno; after that, fd is of no use but to be closed by its owner.
 */
int deadline_connect(struct deadline deadline, int fd,
                     const struct sockaddr *address, socklen_t length);

/*
 * As recv(2) without flags: returns how many bytes came, 0 at the end, or -1
 * and errno. Asks before each call, not only when there is nothing to read,
 * whether the deadline has passed. fd may be blocking or not.
 */
ssize_t deadline_recv(struct deadline deadline, int fd, void *bytes,
                      size_t length);

/*
 * Sends all of length bytes, however few each send(2) takes. Returns 0, or -1
 * and errno; *sent says how far it came. A peer that has gone is EPIPE, never
 * SIGPIPE. fd may be blocking or not.
 */
int deadline_send(struct deadline deadline, int fd, const char *bytes,
                  size_t length, size_t *sent);

#endif
