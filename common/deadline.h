/*
 * deadline: one point in time, and calls that end when it has come, however
 * often they wake up before it. Built by lesson 07.
 */
#ifndef COMMON_DEADLINE_H
#define COMMON_DEADLINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { DEADLINE_LONGEST_MS = 24 * 60 * 60 * 1000 }; /* a day */

/* A point in time by CLOCK_MONOTONIC, which nobody can set: clock_gettime(2).
 * Copy it as you like; there is nothing to free. */
struct deadline {
    int64_t nanoseconds;
};

/*
 * Reads a number of seconds, such as "2" or "0.25", from the length bytes at
 * text, which need no NUL behind them: decimal digits, at least one, and at
 * most one point before, between or behind them.
 *
 * Returns 0 and puts the milliseconds into *milliseconds, rounded up: at least
 * 1, at most DEADLINE_LONGEST_MS. Otherwise it returns -1, leaves *milliseconds
 * as it was, and sets errno: EINVAL when text has another form, ERANGE when the
 * number is 0 or above a day.
 */
int deadline_parse(const char *text, size_t length, int *milliseconds);

/* Returns the deadline that is so many milliseconds from now. With 0 or a
 * negative number, it has passed already. */
struct deadline deadline_after(int milliseconds);

/* Returns the milliseconds that are left until the deadline, rounded up, as
 * poll(2) takes them. It returns 0 when the deadline has passed, and never
 * before that; it is never negative. */
int deadline_left(struct deadline deadline);

/* Divides the time that is left until the deadline into so many equal parts, at
 * least 1. Returns the deadline at which the first part ends. It has passed
 * already if the deadline has. A client that gives each address of a name such
 * a part has time for the next address when one never answers. */
struct deadline deadline_share(struct deadline deadline, size_t parts);

/*
 * Waits until fd is ready for one of the events, POLLIN or POLLOUT or both, or
 * has an error or a hang-up, which the next call on fd then reports. When a
 * signal interrupts it (EINTR), it goes on waiting for the time that is left.
 *
 * Returns 0 when fd is ready. Otherwise it returns -1 and sets errno: ETIMEDOUT
 * when the deadline has passed, EBADF when fd is not open (a negative fd is no
 * error: it is never ready), or an error of poll(2). After the deadline it is
 * ETIMEDOUT even if fd is ready: otherwise a peer that always has something to
 * say could keep us for ever.
 */
int deadline_wait(struct deadline deadline, int fd, short events);

/* Sleeps for so many milliseconds. A signal does not make the pause shorter.
 * With 0 or a negative number, it returns at once. */
void deadline_pause(int milliseconds);

/*
 * Makes the socket fd non-blocking, and connects it to the address, which has
 * length bytes, as connect(2) does.
 *
 * Returns 0 when it is connected. Otherwise it returns -1 with errno ETIMEDOUT,
 * which can be our deadline or the kernel's own, or with another error of
 * connect(2), fcntl(2) or poll(2). fd is of no more use then, but it stays
 * open: its owner closes it.
 */
int deadline_connect(struct deadline deadline, int fd,
                     const struct sockaddr *address, socklen_t length);

/*
 * Receives what has come from the socket fd, as recv(2) without flags does:
 * length bytes at most, into bytes, which has room for them. fd may be blocking
 * or not.
 *
 * Returns how many bytes it received, or 0 when the peer has ended the stream.
 * Otherwise it returns -1 with errno ETIMEDOUT, or an error of recv(2) or
 * poll(2). It looks at the clock before each call, and not only when there is
 * nothing to receive; so ETIMEDOUT does not mean that nothing has come.
 */
ssize_t deadline_recv(struct deadline deadline, int fd, void *bytes,
                      size_t length);

/*
 * Receives exactly length bytes from the socket fd, and not one more: what
 * comes behind them stays in the socket. bytes has room for them. fd may be
 * blocking or not.
 *
 * Returns 0. Otherwise it returns -1 with errno EPROTO when the peer has ended
 * the stream before, ETIMEDOUT, or an error of recv(2) or poll(2). Then bytes
 * has no meaning.
 */
int deadline_recv_all(struct deadline deadline, int fd, void *bytes,
                      size_t length);

/*
 * Sends all length bytes to the socket fd: send(2) may take only a part of
 * them, and is then called again for the rest. fd may be blocking or not.
 *
 * Returns 0 when the kernel has taken all. Otherwise it returns -1 with errno
 * ETIMEDOUT, or an error of send(2) or poll(2). Either way *sent is the number
 * of bytes that the kernel took. A peer that has gone is the error EPIPE or
 * ECONNRESET, and never the signal SIGPIPE.
 */
int deadline_send(struct deadline deadline, int fd, const char *bytes,
                  size_t length, size_t *sent);

#endif
