/*
 * faults: a library to preload that makes system calls fail or fall short.
 *
 *     FAULT_CALL=accept4   the call that fails, or several: accept,accept4
 *     FAULT_ERRNO=103      with this error
 *     FAULT_AT=2           the second time it is made (the first unless given)
 *     FAULT_TIMES=3        three times from then on (once unless given)
 *     FAULT_SIGNAL=15      does not fail: this signal comes a moment before it
 *     FAULT_SHORT=1        send, recv and write move one byte at a time; the
 *                          name of one of them: only that one does
 *     FAULT_HASTE=10       SO_RCVTIMEO, poll and select wait a tenth as long
 *
 *     LD_PRELOAD=build/tests/faults.so FAULT_CALL=... COMMAND
 *
 * A call that is made to fail is not made. On loopback a blocking send(2) takes
 * all it is given, so without FAULT_SHORT a loop round it would go untested.
 * No clock is touched: who looks at one and finds it too early waits again.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static long from_environment(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

static int is_chosen(const char *call) {
    const char *chosen = getenv("FAULT_CALL");
    size_t length = strlen(call);
    while (chosen != NULL && *chosen != '\0') {
        size_t end = strcspn(chosen, ",");
        if (end == length && memcmp(chosen, call, length) == 0)
            return 1;
        chosen += end + (chosen[end] == ',');
    }
    return 0;
}

/* True, with errno set, when it is this call's turn to fail. */
static int fails(const char *call) {
    static long made;
    if (!is_chosen(call))
        return 0;
    made++;
    long first = from_environment("FAULT_AT", 1);
    if (made < first || made >= first + from_environment("FAULT_TIMES", 1))
        return 0;
    int signal_number = (int)from_environment("FAULT_SIGNAL", 0);
    if (signal_number != 0) {
        (void)raise(signal_number);
        return 0;
    }
    errno = (int)from_environment("FAULT_ERRNO", EIO);
    return 1;
}

static size_t shortened(const char *call, size_t length) {
    const char *chosen = getenv("FAULT_SHORT");
    int is_short = chosen != NULL &&
                   (strcmp(chosen, "1") == 0 || strcmp(chosen, call) == 0);
    return is_short && length > 1 ? 1 : length;
}

static long haste(void) {
    long times = from_environment("FAULT_HASTE", 1);
    return times > 0 ? times : 1;
}

static struct timeval hastened(struct timeval wait) {
    long long microseconds = wait.tv_sec * 1000000LL + wait.tv_usec;
    if (microseconds > 0) /* not 0, which SO_RCVTIMEO takes for ever */
        microseconds = (microseconds - 1) / haste() + 1;
    wait.tv_sec = (time_t)(microseconds / 1000000);
    wait.tv_usec = (suseconds_t)(microseconds % 1000000);
    return wait;
}

/* The real function of that name, which dlsym gives as a pointer to data. */
static void find(const char *name, void *function) {
    void *address = dlsym(RTLD_NEXT, name);
    memcpy(function, &address, sizeof address);
}

int socket(int domain, int type, int protocol) {
    int (*real)(int, int, int);
    find("socket", &real);
    return fails("socket") ? -1 : real(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t);
    find("connect", &real);
    return fails("connect") ? -1 : real(fd, address, length);
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t);
    find("bind", &real);
    return fails("bind") ? -1 : real(fd, address, length);
}

int listen(int fd, int backlog) {
    int (*real)(int, int);
    find("listen", &real);
    return fails("listen") ? -1 : real(fd, backlog);
}

int getsockname(int fd, struct sockaddr *restrict address,
                socklen_t *restrict length) {
    int (*real)(int, struct sockaddr *, socklen_t *);
    find("getsockname", &real);
    return fails("getsockname") ? -1 : real(fd, address, length);
}

int setsockopt(int fd, int level, int name, const void *value,
               socklen_t length) {
    int (*real)(int, int, int, const void *, socklen_t);
    find("setsockopt", &real);
    if (fails("setsockopt"))
        return -1;
    if (level == SOL_SOCKET && name == SO_RCVTIMEO &&
        length == sizeof(struct timeval)) {
        struct timeval wait;
        memcpy(&wait, value, sizeof wait);
        wait = hastened(wait);
        return real(fd, level, name, &wait, length);
    }
    return real(fd, level, name, value, length);
}

int poll(struct pollfd *descriptors, nfds_t count, int milliseconds) {
    int (*real)(struct pollfd *, nfds_t, int);
    find("poll", &real);
    if (fails("poll"))
        return -1;
    if (milliseconds > 0)
        milliseconds = (milliseconds - 1) / (int)haste() + 1;
    return real(descriptors, count, milliseconds);
}

/* Says what is left of the time, as Linux does, and others don't. */
int select(int count, fd_set *restrict readable, fd_set *restrict writable,
           fd_set *restrict exceptional, struct timeval *restrict timeout) {
    int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    find("select", &real);
    if (fails("select"))
        return -1;
    if (timeout == NULL)
        return real(count, readable, writable, exceptional, NULL);
    *timeout = hastened(*timeout);
    int result = real(count, readable, writable, exceptional, timeout);
    long long left = timeout->tv_sec * 1000000LL + timeout->tv_usec;
    timeout->tv_sec = (time_t)(left * haste() / 1000000);
    timeout->tv_usec = (suseconds_t)(left * haste() % 1000000);
    return result;
}

int accept4(int fd, struct sockaddr *restrict address,
            socklen_t *restrict length, int flags) {
    int (*real)(int, struct sockaddr *, socklen_t *, int);
    find("accept4", &real);
    return fails("accept4") ? -1 : real(fd, address, length, flags);
}

int accept(int fd, struct sockaddr *restrict address,
           socklen_t *restrict length) {
    int (*real)(int, struct sockaddr *, socklen_t *);
    find("accept", &real);
    return fails("accept") ? -1 : real(fd, address, length);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    ssize_t (*real)(int, const void *, size_t, int);
    find("send", &real);
    return fails("send") ? -1
                         : real(fd, bytes, shortened("send", length), flags);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags) {
    ssize_t (*real)(int, void *, size_t, int);
    find("recv", &real);
    return fails("recv") ? -1
                         : real(fd, bytes, shortened("recv", length), flags);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags,
               const struct sockaddr *address, socklen_t address_length) {
    ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *,
                    socklen_t);
    find("sendto", &real);
    return fails("sendto")
               ? -1
               : real(fd, bytes, length, flags, address, address_length);
}

ssize_t recvfrom(int fd, void *restrict bytes, size_t length, int flags,
                 struct sockaddr *restrict address,
                 socklen_t *restrict address_length) {
    ssize_t (*real)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    find("recvfrom", &real);
    return fails("recvfrom")
               ? -1
               : real(fd, bytes, length, flags, address, address_length);
}

ssize_t read(int fd, void *bytes, size_t length) {
    ssize_t (*real)(int, void *, size_t);
    find("read", &real);
    return fails("read") ? -1 : real(fd, bytes, shortened("read", length));
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t);
    find("write", &real);
    return fails("write") ? -1 : real(fd, bytes, shortened("write", length));
}

/* What a program asks to be closed is closed, even when it hears otherwise. */
int close(int fd) {
    int (*real)(int);
    find("close", &real);
    int result = real(fd);
    return fails("close") ? -1 : result;
}
