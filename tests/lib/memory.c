/*
 * memory: a library to preload that makes allocations fail.
 *
 *     MEMORY_AT=3          the third one
 *     MEMORY_FROM=3        that one, and all that follow
 *     MEMORY_LOG=FILE      a line for each that failed, and who wanted it:
 *                          INJECTED malloc libcrypto.so.3; and for each when
 *                          none is to: made malloc ...
 *     MEMORY_ALONE=1       not in programs that this one starts
 *
 *     LD_PRELOAD=build/tests/memory.so MEMORY_AT=... COMMAND
 *
 * What is asked for before main, by libraries that prepare themselves, counts
 * too. Inside of getaddrinfo(3) and getnameinfo(3) none fails unless
 * MEMORY_LIBC=1 is set: glibc's own code crashes there, and no program can help
 * that.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own names for what we put ourselves in front of; musl has others. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long made;
static _Thread_local int in_libc;

static void say(const char *text) {
    const char *path = getenv("MEMORY_LOG");
    int before = errno;
    int fd = path == NULL
                 ? -1
                 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        (void)close(fd);
    }
    errno = before;
}

static long chosen(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* The file that has the code at that address. */
static const char *name_of(const void *caller) {
    Dl_info from = {0};
    if (dladdr(caller, &from) == 0 || from.dli_fname == NULL)
        return "-";
    const char *name = strrchr(from.dli_fname, '/');
    return name != NULL ? name + 1 : from.dli_fname;
}

/* True, with errno set, when it is this allocation's turn to fail. */
static int fails(const char *call, const void *caller) {
    char line[128];
    if (in_libc && !chosen("MEMORY_LIBC"))
        return 0;
    long which = atomic_fetch_add(&made, 1) + 1;
    long from = chosen("MEMORY_FROM");
    long at = chosen("MEMORY_AT");
    int failing = which == at || (from != 0 && which >= from);
    if (!failing && (at != 0 || from != 0))
        return 0;
    (void)snprintf(line, sizeof line, "%s %s %s\n",
                   failing ? "INJECTED" : "made", call, name_of(caller));
    say(line);
    if (!failing)
        return 0;
    errno = ENOMEM;
    return 1;
}

__attribute__((constructor)) static void stay_alone(void) {
    if (chosen("MEMORY_ALONE"))
        (void)unsetenv("LD_PRELOAD");
}

void *malloc(size_t size) {
    return fails("malloc", __builtin_return_address(0)) ? NULL
                                                        : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails("calloc", __builtin_return_address(0))
               ? NULL
               : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails("realloc", __builtin_return_address(0))
               ? NULL
               : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails("aligned_alloc", __builtin_return_address(0))
               ? NULL
               : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    int before = errno; /* which this one does not touch */
    void *got = fails("posix_memalign", __builtin_return_address(0))
                    ? NULL
                    : __libc_memalign(alignment, size);
    errno = before;
    *memory = got != NULL ? got : *memory;
    return got != NULL ? 0 : ENOMEM;
}

int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict found) {
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *address = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &address, sizeof real);
    in_libc++;
    int result = real(host, service, hints, found);
    in_libc--;
    return result;
}

int getnameinfo(const struct sockaddr *restrict address, socklen_t length,
                char *restrict host, socklen_t host_size,
                char *restrict service, socklen_t service_size, int flags) {
    int (*real)(const struct sockaddr *, socklen_t, char *, socklen_t, char *,
                socklen_t, int);
    void *function = dlsym(RTLD_NEXT, "getnameinfo");
    memcpy(&real, &function, sizeof real);
    in_libc++;
    int result =
        real(address, length, host, host_size, service, service_size, flags);
    in_libc--;
    return result;
}
