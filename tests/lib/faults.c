/*
 * faults: a library to preload that makes system calls fail or fall short.
 *
 *     FAULT_CALL=accept4   this call fails; or several: accept,accept4
 *     FAULT_ERRNO=103      with this error
 *     FAULT_AT=2           the second time that it is made (default: the first)
 *     FAULT_TIMES=3        and then three times in a row (default: once)
 *     FAULT_TRICKLE=20     the call moves one byte, and after that fails with
 *                          EAGAIN for 20 milliseconds: send and write
 *     FAULT_CLIENT=2       a send or write fails only to the second client that
 *                          was accepted
 *     FAULT_OPTION=35      a setsockopt counts only for this option, here
 *                          IP_ADD_MEMBERSHIP; or for several: 35,42
 *     FAULT_FAMILY=10      a socket fails only for this family, here AF_INET6
 *     FAULT_NONBLOCKING=1  a write counts only if its descriptor has O_NONBLOCK
 *     FAULT_SIGNAL=15      the call does not fail, but this signal arrives just
 *                          before it
 *     FAULT_SLOW=500       the call does not fail, but takes 500 ms longer
 *     FAULT_SHORT=1        send, recv, read, write, sendfile, splice and
 *                          getrandom move one byte
 *     FAULT_SHORT=send     only this call does; or several: send,write. So
 *                          can pread, as if its file had become shorter
 *     FAULT_SEED=7         not one byte, but a random number of bytes, drawn
 *                          from this seed
 *     FAULT_HASTE=10       SO_RCVTIMEO, poll and select wait a tenth as long
 *     FAULT_SIGNALS=1000   a signal every 1000 microseconds, with a handler
 *     FAULT_LATE=50        epoll_wait and io_uring_enter return 50 milliseconds
 *                          late
 *     FAULT_SEND_BUFFER=1  the clients of a listener have an SO_SNDBUF of one
 *                          byte, of which the kernel makes the least it has
 *     FAULT_COUNT=FILE     the file gets a byte for each io_uring_enter
 *     FAULT_NAP=2          the second nanosleep takes 0.1 seconds longer; then
 *                          the program prints "(a nap ends)". Of the threads
 *                          that wait at a barrier, one goes on only when the
 *                          nap has begun
 *     FAULT_CLOCK=60       the time of day is one more minute late each time
 *                          that the program asks for it
 *     FAULT_FAST=20        the clock of deadlines is 20 times as fast, and
 *                          epoll_wait waits a twentieth as long
 *     FAULT_PEER_USER=7    SO_PEERCRED says that the peer is user 7
 *     FAULT_LOG=FILE       a line for each call that failed
 *     FAULT_ALONE=1        not in programs that this one starts
 *
 *     LD_PRELOAD=build/tests/faults.so FAULT_CALL=... COMMAND
 *
 * A call that is to fail is not made. On loopback a blocking send(2) takes all
 * that it is given, so only FAULT_SHORT can test a loop around it. FAULT_HASTE
 * changes no clock: a program that looks at the clock after the wait sees that
 * it is too early, and waits again.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int timer_fd = -1;               /* from timerfd_create */
static unsigned char is_own_pipe[1024]; /* descriptors from pipe2 */

/* A C library may be older than the kernel. */
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

static long from_environment(const char *name, long otherwise) {
    const char *text = getenv(name);
    if (text == NULL)
        return otherwise;
    return strtol(text, NULL, 10);
}

/* Returns whether the variable, a list with commas, has this call in it. */
static int is_chosen(const char *variable, const char *call) {
    const char *chosen = getenv(variable);
    size_t length = strlen(call);
    if (chosen == NULL)
        return 0;
    for (;;) {
        size_t word = strcspn(chosen, ",");
        if (word == length && memcmp(chosen, call, length) == 0)
            return 1;
        if (chosen[word] == '\0')
            return 0;
        chosen += word + 1;
    }
}

__attribute__((constructor)) static void stay_alone(void) {
    if (getenv("FAULT_ALONE") != NULL)
        (void)unsetenv("LD_PRELOAD");
}

/* By syscall(2), so that our own faults do not reach it. */
static void log_fault(const char *call) {
    char line[64];
    const char *path = getenv("FAULT_LOG");
    if (path == NULL)
        return;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND,
                      0600);
    if (fd < 0)
        return;
    int length = snprintf(line, sizeof line, "INJECTED %s\n", call);
    (void)syscall(SYS_write, fd, line, (size_t)length);
    (void)syscall(SYS_close, fd);
}

/* Returns 1, with errno set, if this call is to fail now, else 0. */
static int fails(const char *call) {
    static _Atomic long made;
    if (!is_chosen("FAULT_CALL", call))
        return 0;
    long number = ++made;
    long first = from_environment("FAULT_AT", 1);
    if (number < first || number >= first + from_environment("FAULT_TIMES", 1))
        return 0;
    int signal_number = (int)from_environment("FAULT_SIGNAL", 0);
    if (signal_number != 0) {
        (void)raise(signal_number);
        return 0;
    }
    log_fault(call);
    long slow = from_environment("FAULT_SLOW", 0);
    if (slow > 0) {
        const struct timespec more = {.tv_sec = slow / 1000,
                                      .tv_nsec = slow % 1000 * 1000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &more, NULL);
        return 0;
    }
    errno = (int)from_environment("FAULT_ERRNO", EIO);
    return 1;
}

/* Milliseconds of a clock that nobody sets. */
static long long milliseconds_now(void) {
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The descriptor of the client that FAULT_CLIENT chooses, or -1. */
static int chosen_client = -1;

/* Counts a client that was accepted. Returns its descriptor. */
static int count_client(int fd) {
    static long clients;
    if (fd < 0)
        return fd;
    clients++;
    if (clients == from_environment("FAULT_CLIENT", 0))
        chosen_client = fd;
    return fd;
}

/* What fails does, for a call that sends to this descriptor. It may shorten
 * *length. */
static int fails_to(int fd, const char *call, size_t *length) {
    static long long next; /* then the next byte may go */
    if (getenv("FAULT_CLIENT") != NULL && fd != chosen_client)
        return 0;
    long trickle = from_environment("FAULT_TRICKLE", 0);
    if (trickle == 0 || !is_chosen("FAULT_CALL", call))
        return fails(call);
    long long now = milliseconds_now();
    if (now < next) {
        /* poll says that there is room, so the program tries again at once. */
        const struct timespec moment = {.tv_nsec = 1000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
        errno = EAGAIN;
        return 1;
    }
    next = now + trickle;
    if (*length > 1)
        *length = 1;
    return 0;
}

/* How many of length bytes are to be moved: all, one, or a random number. */
static size_t shortened(const char *call, size_t length) {
    static unsigned seed;
    if (length <= 1 ||
        (!is_chosen("FAULT_SHORT", "1") && !is_chosen("FAULT_SHORT", call)))
        return length;
    if (seed == 0)
        seed = (unsigned)from_environment("FAULT_SEED", 0);
    if (seed == 0)
        return 1;
    return 1 + (size_t)rand_r(&seed) % length;
}

/* A wait is divided by this. */
static long haste(void) {
    long times = from_environment("FAULT_HASTE", 1);
    if (times <= 0)
        return 1;
    return times;
}

static struct timeval hastened(struct timeval wait) {
    long long microseconds = wait.tv_sec * 1000000LL + wait.tv_usec;
    /* Round up: to SO_RCVTIMEO a wait of 0 would be one without end. */
    if (microseconds > 0)
        microseconds = (microseconds - 1) / haste() + 1;
    wait.tv_sec = (time_t)(microseconds / 1000000);
    wait.tv_usec = (suseconds_t)(microseconds % 1000000);
    return wait;
}

/* Stores the real function of that name in *function. dlsym returns a pointer
 * to data, and C converts that to a pointer to a function only by memcpy. */
static void find(const char *name, void *function) {
    void *address = dlsym(RTLD_NEXT, name);
    memcpy(function, &address, sizeof address);
}

int socket(int domain, int type, int protocol) {
    int (*real)(int, int, int);
    find("socket", &real);
    int is_chosen_family = from_environment("FAULT_FAMILY", domain) == domain;
    if (is_chosen_family && fails("socket"))
        return -1;
    return real(domain, type, protocol);
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
    int size = (int)from_environment("FAULT_SEND_BUFFER", 0);
    find("listen", &real);
    if (size > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fails("listen") ? -1 : real(fd, backlog);
}

int getsockname(int fd, struct sockaddr *restrict address,
                socklen_t *restrict length) {
    int (*real)(int, struct sockaddr *, socklen_t *);
    find("getsockname", &real);
    return fails("getsockname") ? -1 : real(fd, address, length);
}

/* Returns whether FAULT_OPTION, if there is one, has this option in it. */
static int is_option_chosen(int name) {
    char number[16];
    (void)snprintf(number, sizeof number, "%d", name);
    return getenv("FAULT_OPTION") == NULL || is_chosen("FAULT_OPTION", number);
}

int setsockopt(int fd, int level, int name, const void *value,
               socklen_t length) {
    int (*real)(int, int, int, const void *, socklen_t);
    find("setsockopt", &real);
    if (is_option_chosen(name) && fails("setsockopt"))
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

/* What poll(2) is called where glibc knows the size of the array: it checks the
 * count first. */
int __poll_chk(struct pollfd *descriptors, nfds_t count, int milliseconds,
               size_t bytes);
int __poll_chk(struct pollfd *descriptors, nfds_t count, int milliseconds,
               size_t bytes) {
    if (bytes / sizeof *descriptors < count)
        abort();
    return poll(descriptors, count, milliseconds);
}

/* How many times as fast the monotonic clock is. */
static long speed_of_clock(void) {
    return from_environment("FAULT_FAST", 1);
}

static void be_late(void) {
    struct timespec late = {.tv_nsec =
                                from_environment("FAULT_LATE", 0) * 1000000};
    if (late.tv_nsec > 0)
        (void)nanosleep(&late, NULL);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int milliseconds) {
    int (*real)(int, struct epoll_event *, int, int);
    find("epoll_wait", &real);
    if (fails("epoll_wait"))
        return -1;
    if (milliseconds > 0)
        milliseconds = (int)(milliseconds / speed_of_clock() + 1);
    int ready = real(fd, events, most, milliseconds);
    if (ready > 0)
        be_late();
    return ready;
}

/* Adds a byte to the file that FAULT_COUNT names. */
static void count_call(void) {
    const char *path = getenv("FAULT_COUNT");
    if (path == NULL)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)syscall(SYS_write, fd, "+", (size_t)1);
    (void)syscall(SYS_close, fd);
}

/* The calls for which libc has no function, but which can fail here. */
static const char *name_without_function(long number) {
    switch (number) {
    case SYS_io_uring_setup:
        return "io_uring_setup";
    case SYS_io_uring_enter:
        return "io_uring_enter";
    case SYS_io_uring_register:
        return "io_uring_register";
    case SYS_openat2:
        return "openat2";
    default:
        return NULL;
    }
}

/* A call has six arguments at most. We pass on six, however many there are. */
long syscall(long number, ...) {
    long (*real)(long, ...);
    long a[6];
    va_list arguments;
    find("syscall", &real);
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    const char *name = name_without_function(number);
    if (name != NULL && fails(name))
        return -1;
    if (number == SYS_io_uring_enter)
        count_call();
    long result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int error = errno;
    if (number == SYS_io_uring_enter)
        be_late();
    errno = error;
    return result;
}

static _Atomic int nap_has_begun;

int nanosleep(const struct timespec *wanted, struct timespec *left) {
    int (*real)(const struct timespec *, struct timespec *);
    static _Atomic long made;
    const struct timespec more = {.tv_nsec = 100000000};
    find("nanosleep", &real);
    long number = ++made;
    int result = real(wanted, left);
    if (number == from_environment("FAULT_NAP", 0)) {
        nap_has_begun = 1;
        (void)real(&more, NULL);
        (void)puts("(a nap ends)");
    }
    return result;
}

/* If no nap begins, the late thread goes on after 0.2 seconds. */
int pthread_barrier_wait(pthread_barrier_t *barrier) {
    int (*real)(pthread_barrier_t *);
    const struct timespec step = {.tv_nsec = 1000000};
    find("pthread_barrier_wait", &real);
    int result = real(barrier);
    if (result != PTHREAD_BARRIER_SERIAL_THREAD || getenv("FAULT_NAP") == NULL)
        return result;
    for (int i = 0; i < 200 && !nap_has_begun; i++)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
    return result;
}

int sigwait(const sigset_t *restrict set, int *restrict signal_number) {
    int (*real)(const sigset_t *, int *);
    find("sigwait", &real);
    if (!fails("sigwait"))
        return real(set, signal_number);
    int error = errno;
    errno = 0; /* the error is what it returns, and nothing else */
    return error;
}

int epoll_ctl(int fd, int operation, int other, struct epoll_event *event) {
    int (*real)(int, int, int, struct epoll_event *);
    find("epoll_ctl", &real);
    return fails("epoll_ctl") ? -1 : real(fd, operation, other, event);
}

/* Like select(2) of Linux, it stores in *timeout the time that is left. */
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
    return fails("accept4") ? -1
                            : count_client(real(fd, address, length, flags));
}

int accept(int fd, struct sockaddr *restrict address,
           socklen_t *restrict length) {
    int (*real)(int, struct sockaddr *, socklen_t *);
    find("accept", &real);
    return fails("accept") ? -1 : count_client(real(fd, address, length));
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    ssize_t (*real)(int, const void *, size_t, int);
    find("send", &real);
    length = shortened("send", length);
    return fails_to(fd, "send", &length) ? -1 : real(fd, bytes, length, flags);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags) {
    ssize_t (*real)(int, void *, size_t, int);
    find("recv", &real);
    length = shortened("recv", length);
    return fails("recv") ? -1 : real(fd, bytes, length, flags);
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

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    ssize_t (*real)(int, const struct msghdr *, int);
    find("sendmsg", &real);
    return fails("sendmsg") ? -1 : real(fd, message, flags);
}

/* The C libraries do not agree on the type of these flags. */
#ifdef __GLIBC__
typedef int message_flags;
#else
typedef unsigned message_flags;
#endif

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count,
             message_flags flags) {
    int (*real)(int, struct mmsghdr *, unsigned, message_flags);
    find("sendmmsg", &real);
    return fails("sendmmsg") ? -1 : real(fd, messages, count, flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count,
             message_flags flags, struct timespec *limit) {
    int (*real)(int, struct mmsghdr *, unsigned, message_flags,
                struct timespec *);
    find("recvmmsg", &real);
    return fails("recvmmsg") ? -1 : real(fd, messages, count, flags, limit);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t (*real)(int, struct msghdr *, int);
    find("recvmsg", &real);
    return fails("recvmsg") ? -1 : real(fd, message, flags);
}

/* Whether so many bytes are read or written as a whole, or not at all. A
 * timer's count is: timerfd_create(2). So is a short message in a pipe that the
 * program has made for itself: pipe(7), PIPE_BUF. */
static int is_whole(int fd, size_t length) {
    if (fd == timer_fd)
        return 1;
    return length <= PIPE_BUF && fd >= 0 && (size_t)fd < sizeof is_own_pipe &&
           is_own_pipe[fd];
}

ssize_t read(int fd, void *bytes, size_t length) {
    ssize_t (*real)(int, void *, size_t);
    find("read", &real);
    if (!is_whole(fd, length))
        length = shortened("read", length);
    return fails("read") ? -1 : real(fd, bytes, length);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t at) {
    ssize_t (*real)(int, void *, size_t, off_t);
    find("pread", &real);
    if (fails("pread"))
        return -1;
    if (is_chosen("FAULT_SHORT", "pread"))
        length = shortened("pread", length);
    return real(fd, bytes, length, at);
}

int fstat(int fd, struct stat *status) {
    int (*real)(int, struct stat *);
    find("fstat", &real);
    return fails("fstat") ? -1 : real(fd, status);
}

/* What recv, recvfrom and read are called where glibc knows the size of the
 * array, but not the length: it checks the length first. */
ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t room, int flags);
ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t room, int flags) {
    if (length > room)
        abort();
    return recv(fd, bytes, length, flags);
}

ssize_t __recvfrom_chk(int fd, void *bytes, size_t length, size_t room,
                       int flags, struct sockaddr *address,
                       socklen_t *address_length);
ssize_t __recvfrom_chk(int fd, void *bytes, size_t length, size_t room,
                       int flags, struct sockaddr *address,
                       socklen_t *address_length) {
    if (length > room)
        abort();
    return recvfrom(fd, bytes, length, flags, address, address_length);
}

ssize_t __read_chk(int fd, void *bytes, size_t length, size_t room);
ssize_t __read_chk(int fd, void *bytes, size_t length, size_t room) {
    if (length > room)
        abort();
    return read(fd, bytes, length);
}

/* By syscall(2), so that our own faults do not reach it. */
static int is_spared(int fd) {
    if (getenv("FAULT_NONBLOCKING") == NULL)
        return 0;
    long flags = syscall(SYS_fcntl, fd, F_GETFL);
    return flags < 0 || (flags & O_NONBLOCK) == 0;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t);
    find("write", &real);
    if (!is_whole(fd, length))
        length = shortened("write", length);
    if (!is_spared(fd) && fails_to(fd, "write", &length))
        return -1;
    return real(fd, bytes, length);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
    ssize_t (*real)(int, int, off_t *, size_t);
    find("sendfile", &real);
    if (fails("sendfile"))
        return -1;
    return real(to, from, offset, shortened("sendfile", length));
}

/* A program that is built for files of more than 2 GiB on a machine of 32 bits
 * calls this one. musl has sendfile alone. */
#ifdef __GLIBC__
ssize_t sendfile64(int to, int from, loff_t *offset, size_t length) {
    ssize_t (*real)(int, int, loff_t *, size_t);
    find("sendfile64", &real);
    if (fails("sendfile"))
        return -1;
    return real(to, from, offset, shortened("sendfile", length));
}
#endif

ssize_t splice(int from, loff_t *offset_from, int to, loff_t *offset_to,
               size_t length, unsigned flags) {
    ssize_t (*real)(int, loff_t *, int, loff_t *, size_t, unsigned);
    find("splice", &real);
    if (fails("splice"))
        return -1;
    return real(from, offset_from, to, offset_to, shortened("splice", length),
                flags);
}

int pipe2(int ends[2], int flags) {
    int (*real)(int[2], int);
    find("pipe2", &real);
    if (fails("pipe2") || real(ends, flags) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if ((size_t)ends[i] < sizeof is_own_pipe)
            is_own_pipe[ends[i]] = 1;
    }
    return 0;
}

int prctl(int option, ...) {
    int (*real)(int, ...);
    va_list list;
    unsigned long arguments[4];
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        arguments[i] = va_arg(list, unsigned long);
    va_end(list);
    find("prctl", &real);
    if (fails("prctl"))
        return -1;
    return real(option, arguments[0], arguments[1], arguments[2], arguments[3]);
}

int getifaddrs(struct ifaddrs **list) {
    int (*real)(struct ifaddrs **);
    find("getifaddrs", &real);
    return fails("getifaddrs") ? -1 : real(list);
}

ssize_t getrandom(void *bytes, size_t length, unsigned flags) {
    ssize_t (*real)(void *, size_t, unsigned);
    find("getrandom", &real);
    length = shortened("getrandom", length);
    return fails("getrandom") ? -1 : real(bytes, length, flags);
}

int unlink(const char *path) {
    int (*real)(const char *);
    find("unlink", &real);
    return fails("unlink") ? -1 : real(path);
}

int remove(const char *path) {
    int (*real)(const char *);
    find("remove", &real);
    return fails("remove") ? -1 : real(path);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *);
    find("rename", &real);
    return fails("rename") ? -1 : real(from, to);
}

int chmod(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t);
    find("chmod", &real);
    return fails("chmod") ? -1 : real(path, mode);
}

/* The descriptor is closed even if close fails, as Linux does it: close(2). */
int close(int fd) {
    int (*real)(int);
    find("close", &real);
    if (fd == chosen_client)
        chosen_client = -1; /* another client may get this number */
    if (fd >= 0 && (size_t)fd < sizeof is_own_pipe)
        is_own_pipe[fd] = 0;
    int result = real(fd);
    return fails("close") ? -1 : result;
}

int fcntl(int fd, int command, ...) {
    int (*real)(int, int, ...);
    find("fcntl", &real);
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *); /* or a number, or none */
    va_end(arguments);
    return fails("fcntl") ? -1 : real(fd, command, argument);
}

int getsockopt(int fd, int level, int name, void *restrict value,
               socklen_t *restrict length) {
    int (*real)(int, int, int, void *, socklen_t *);
    find("getsockopt", &real);
    if (fails("getsockopt"))
        return -1;
    int result = real(fd, level, name, value, length);
    if (result == 0 && level == SOL_SOCKET && name == SO_PEERCRED &&
        getenv("FAULT_PEER_USER") != NULL) {
        struct ucred *peer = value;
        peer->uid = (uid_t)from_environment("FAULT_PEER_USER", 0);
    }
    return result;
}

int shutdown(int fd, int how) {
    int (*real)(int, int);
    find("shutdown", &real);
    return fails("shutdown") ? -1 : real(fd, how);
}

pid_t fork(void) {
    pid_t (*real)(void);
    find("fork", &real);
    return fails("fork") ? -1 : real();
}

pid_t waitpid(pid_t pid, int *status, int options) {
    pid_t (*real)(pid_t, int *, int);
    find("waitpid", &real);
    return fails("waitpid") ? -1 : real(pid, status, options);
}

int kill(pid_t process, int signal_number) {
    int (*real)(pid_t, int);
    find("kill", &real);
    return fails("kill") ? -1 : real(process, signal_number);
}

FILE *fopen(const char *restrict path, const char *restrict mode) {
    FILE *(*real)(const char *, const char *);
    find("fopen", &real);
    return fails("fopen") ? NULL : real(path, mode);
}

int epoll_create1(int flags) {
    int (*real)(int);
    find("epoll_create1", &real);
    return fails("epoll_create1") ? -1 : real(flags);
}

int timerfd_create(clockid_t clock, int flags) {
    int (*real)(clockid_t, int);
    find("timerfd_create", &real);
    if (fails("timerfd_create"))
        return -1;
    timer_fd = real(clock, flags);
    return timer_fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value,
                    struct itimerspec *before) {
    int (*real)(int, int, const struct itimerspec *, struct itimerspec *);
    find("timerfd_settime", &real);
    return fails("timerfd_settime") ? -1 : real(fd, flags, value, before);
}

/* By how many seconds the time of day is wrong this time. */
static time_t clock_error(void) {
    static time_t sum;
    sum += (time_t)from_environment("FAULT_CLOCK", 0);
    return sum;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *);
    find("clock_gettime", &real);
    if (fails("clock_gettime"))
        return -1;
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += clock_error();
    if (clock == CLOCK_MONOTONIC && speed_of_clock() > 1) {
        long seconds = now->tv_sec % 1000000 * speed_of_clock();
        long nanoseconds = now->tv_nsec * speed_of_clock();
        now->tv_sec = seconds + nanoseconds / 1000000000;
        now->tv_nsec = nanoseconds % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int (*real)(struct timeval *, void *);
    find("gettimeofday", &real);
    int result = real(now, zone);
    now->tv_sec += clock_error();
    return result;
}

int timespec_get(struct timespec *now, int base) {
    int (*real)(struct timespec *, int);
    find("timespec_get", &real);
    int result = real(now, base);
    if (base == TIME_UTC)
        now->tv_sec += clock_error();
    return result;
}

time_t time(time_t *result) {
    time_t (*real)(time_t *);
    find("time", &real);
    time_t now = real(NULL) + clock_error();
    if (result != NULL)
        *result = now;
    return now;
}

static void do_nothing(int signal_number) {
    (void)signal_number;
}

/* The handler is set without SA_RESTART, so the signal interrupts every call
 * that a signal can interrupt. The timer and the signal are not those of
 * alarm(2) and setitimer(2), which the program may use itself. A test must not
 * go on without its signals, so we abort if we cannot have them. */
__attribute__((constructor)) static void start_signals(void) {
    long nanoseconds = from_environment("FAULT_SIGNALS", 0) * 1000;
    if (nanoseconds <= 0)
        return;
    struct sigaction action = {.sa_handler = do_nothing};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1};
    struct timespec step = {.tv_sec = nanoseconds / 1000000000,
                            .tv_nsec = nanoseconds % 1000000000};
    struct itimerspec when = {.it_interval = step, .it_value = step};
    timer_t timer;
    if (sigaction(SIGUSR1, &action, NULL) < 0)
        abort();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        abort();
    if (timer_settime(timer, 0, &when, NULL) < 0)
        abort();
}

const char *inet_ntop(int family, const void *restrict address,
                      char *restrict text, socklen_t size) {
    const char *(*real)(int, const void *, char *, socklen_t);
    find("inet_ntop", &real);
    return fails("inet_ntop") ? NULL : real(family, address, text, size);
}
