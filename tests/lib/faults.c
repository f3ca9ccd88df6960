/*
 * faults: a library to preload that makes system calls fail or fall short.
 *
 *     FAULT_CALL=accept4   the call that fails
 *     FAULT_ERRNO=103      with this error
 *     FAULT_AT=2           the second time it is made (the first unless given)
 *     FAULT_TIMES=3        three times from then on (once unless given)
 *     FAULT_SHORT=1        send, recv and write move one byte at a time
 *
 *     LD_PRELOAD=build/tests/faults.so FAULT_CALL=... COMMAND
 *
 * A call that is made to fail is not made. On loopback a blocking send(2) takes
 * all it is given, so without FAULT_SHORT a loop round it would go untested.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static long from_environment(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

/* True, with errno set, when it is this call's turn to fail. */
static int fails(const char *call) {
    static long made;
    const char *chosen = getenv("FAULT_CALL");
    if (chosen == NULL || strcmp(chosen, call) != 0)
        return 0;
    made++;
    long first = from_environment("FAULT_AT", 1);
    if (made < first || made >= first + from_environment("FAULT_TIMES", 1))
        return 0;
    errno = (int)from_environment("FAULT_ERRNO", EIO);
    return 1;
}

static size_t shortened(size_t length) {
    return length > 1 && getenv("FAULT_SHORT") != NULL ? 1 : length;
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
    return fails("setsockopt") ? -1 : real(fd, level, name, value, length);
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
    return fails("send") ? -1 : real(fd, bytes, shortened(length), flags);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags) {
    ssize_t (*real)(int, void *, size_t, int);
    find("recv", &real);
    return fails("recv") ? -1 : real(fd, bytes, shortened(length), flags);
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
    return fails("read") ? -1 : real(fd, bytes, shortened(length));
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t (*real)(int, const void *, size_t);
    find("write", &real);
    return fails("write") ? -1 : real(fd, bytes, shortened(length));
}

/* What a program asks to be closed is closed, even when it hears otherwise. */
int close(int fd) {
    int (*real)(int);
    find("close", &real);
    int result = real(fd);
    return fails("close") ? -1 : result;
}
