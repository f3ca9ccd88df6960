/*
 * faults: a library to preload that makes system calls fail or fall short.
 *
 *     FAULT_CALL=accept4   the call that fails, or several: accept,accept4
 *     FAULT_ERRNO=103      with this error
 *     FAULT_AT=2           the second time it is made (the first unless given)
 *     FAULT_TIMES=3        three times from then on (once unless given)
 *     FAULT_SIGNAL=15      does not fail: this signal comes a moment before it
 *     FAULT_SHORT=1        send, recv, read, write and getrandom move one byte
 *     FAULT_SHORT=send     only that one, or those: send,write
 *     FAULT_SEED=7         not one byte: so many as chance, with that seed,
 * says FAULT_HASTE=10       SO_RCVTIMEO, poll and select wait a tenth as long
 *     FAULT_SIGNALS=1000   a signal every 1000 microseconds, and a handler
 *     FAULT_LATE=50        what epoll_wait tells of is 50 milliseconds old
 *     FAULT_CLOCK=60       the time of day is a minute later at each look
 *     FAULT_LOG=FILE       gets a line for each call that failed
 *     FAULT_ALONE=1        not in programs that this one starts
 *
 *     LD_PRELOAD=build/tests/faults.so FAULT_CALL=... COMMAND
 *
 * A call that is made to fail is not made. On loopback a blocking send(2) takes
 * all it is given, so without FAULT_SHORT a loop round it would go untested.
 * FAULT_HASTE touches no clock: who looks at one and finds it too early waits
 * again.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int timer_fd = -1; /* the descriptor of one */

static long from_environment(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

/* True when that variable has the call among its words. */
static int is_chosen(const char *variable, const char *call) {
    const char *chosen = getenv(variable);
    size_t length = strlen(call);
    while (chosen != NULL && *chosen != '\0') {
        size_t end = strcspn(chosen, ",");
        if (end == length && memcmp(chosen, call, length) == 0)
            return 1;
        chosen += end + (chosen[end] == ',');
    }
    return 0;
}

__attribute__((constructor)) static void stay_alone(void) {
    if (getenv("FAULT_ALONE") != NULL)
        (void)unsetenv("LD_PRELOAD");
}

static void tell(const char *call) {
    char line[64];
    const char *path = getenv("FAULT_LOG");
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path,
                                         O_WRONLY | O_CREAT | O_APPEND, 0600)
                          : -1;
    if (fd < 0)
        return;
    int length = snprintf(line, sizeof line, "INJECTED %s\n", call);
    (void)syscall(SYS_write, fd, line, (size_t)length);
    (void)syscall(SYS_close, fd);
}

/* True, with errno set, when it is this call's turn to fail. */
static int fails(const char *call) {
    static long made;
    if (!is_chosen("FAULT_CALL", call))
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
    tell(call);
    errno = (int)from_environment("FAULT_ERRNO", EIO);
    return 1;
}

/* As much of length as is to be moved: a byte, or more as a seed has it. */
static size_t shortened(const char *call, size_t length) {
    static unsigned seed;
    if (length <= 1 ||
        (!is_chosen("FAULT_SHORT", "1") && !is_chosen("FAULT_SHORT", call)))
        return length;
    if (seed == 0)
        seed = (unsigned)from_environment("FAULT_SEED", 0);
    return seed == 0 ? 1 : 1 + (size_t)rand_r(&seed) % length;
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

int epoll_wait(int fd, struct epoll_event *events, int most, int milliseconds) {
    int (*real)(int, struct epoll_event *, int, int);
    find("epoll_wait", &real);
    if (fails("epoll_wait"))
        return -1;
    int ready = real(fd, events, most, milliseconds);
    struct timespec late = {.tv_nsec =
                                from_environment("FAULT_LATE", 0) * 1000000};
    if (ready > 0 && late.tv_nsec > 0)
        (void)nanosleep(&late, NULL);
    return ready;
}

int epoll_ctl(int fd, int operation, int other, struct epoll_event *event) {
    int (*real)(int, int, int, struct epoll_event *);
    find("epoll_ctl", &real);
    return fails("epoll_ctl") ? -1 : real(fd, operation, other, event);
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
    length = shortened("send", length);
    return fails("send") ? -1 : real(fd, bytes, length, flags);
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

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t (*real)(int, struct msghdr *, int);
    find("recvmsg", &real);
    return fails("recvmsg") ? -1 : real(fd, message, flags);
}

/* A timer's count comes whole, or not at all: timerfd_create(2). */
ssize_t read(int fd, void *bytes, size_t length) {
    ssize_t (*real)(int, void *, size_t);
    find("read", &real);
    if (fd != timer_fd)
        length = shortened("read", length);
    return fails("read") ? -1 : real(fd, bytes, length);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t);
    find("write", &real);
    return fails("write") ? -1 : real(fd, bytes, shortened("write", length));
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

/* What a program asks to be closed is closed, even when it hears otherwise. */
int close(int fd) {
    int (*real)(int);
    find("close", &real);
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
    return fails("getsockopt") ? -1 : real(fd, level, name, value, length);
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

/* How much later the time of day is than it should be, at this look. */
static time_t jump(void) {
    static time_t sum;
    sum += (time_t)from_environment("FAULT_CLOCK", 0);
    return sum;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *);
    find("clock_gettime", &real);
    int result = fails("clock_gettime") ? -1 : real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += jump();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int (*real)(struct timeval *, void *);
    find("gettimeofday", &real);
    int result = real(now, zone);
    now->tv_sec += jump();
    return result;
}

int timespec_get(struct timespec *now, int base) {
    int (*real)(struct timespec *, int);
    find("timespec_get", &real);
    int result = real(now, base);
    now->tv_sec += base == TIME_UTC ? jump() : 0;
    return result;
}

time_t time(time_t *result) {
    time_t (*real)(time_t *);
    find("time", &real);
    time_t now = real(NULL) + jump();
    if (result != NULL)
        *result = now;
    return now;
}

static void do_nothing(int signal_number) {
    (void)signal_number;
}

/* Without SA_RESTART: what can be cut short by a signal is. The timer is not
 * the one that alarm(2) and setitimer(2) use, and nor is the signal. */
__attribute__((constructor)) static void start_signals(void) {
    long nanoseconds = from_environment("FAULT_SIGNALS", 0) * 1000;
    struct sigaction action = {.sa_handler = do_nothing};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1};
    struct timespec step = {.tv_sec = nanoseconds / 1000000000,
                            .tv_nsec = nanoseconds % 1000000000};
    struct itimerspec when = {.it_interval = step, .it_value = step};
    timer_t timer;
    if (nanoseconds > 0 && (sigaction(SIGUSR1, &action, NULL) < 0 ||
                            timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
                            timer_settime(timer, 0, &when, NULL) < 0))
        abort(); /* a test that would test nothing */
}

const char *inet_ntop(int family, const void *restrict address,
                      char *restrict text, socklen_t size) {
    const char *(*real)(int, const void *, char *, socklen_t);
    find("inet_ntop", &real);
    return fails("inet_ntop") ? NULL : real(family, address, text, size);
}
