/*
 * memory: a library to preload that makes allocations fail.
 *
 *     MEMORY_AT=3          the third allocation fails
 *     MEMORY_FROM=3        the third and all after it fail
 *     MEMORY_LOG=FILE      a line for each that failed, with the file whose
 * code asked for it: INJECTED malloc libcrypto.so.3. If none is to fail, a line
 * for each: made malloc ... MEMORY_ALONE=1       not in programs that this one
 * starts
 *
 *     LD_PRELOAD=build/tests/memory.so MEMORY_AT=... COMMAND
 *
 * Allocations before main count, too: those of libraries that start up. In
 * getaddrinfo(3) and getnameinfo(3) no allocation fails unless MEMORY_LIBC=1 is
 * set, because glibc's own code crashes there, and no program can prevent that.
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

/* glibc's own names for the functions that we replace. musl has other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long made;
static _Thread_local int in_libc;

/* Keeps errno, because malloc must not change it when it succeeds. */
static void log_line(const char *text) {
    const char *path = getenv("MEMORY_LOG");
    int before = errno;
    if (path == NULL)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        (void)close(fd);
    }
    errno = before;
}

/* The number in this variable; 0: it is not set. */
static long from_environment(const char *name) {
    const char *text = getenv(name);
    if (text == NULL)
        return 0;
    return strtol(text, NULL, 10);
}

/* The file that has the code at that address. */
static const char *name_of(const void *caller) {
    Dl_info from = {0};
    if (dladdr(caller, &from) == 0 || from.dli_fname == NULL)
        return "-";
    const char *name = strrchr(from.dli_fname, '/');
    return name != NULL ? name + 1 : from.dli_fname;
}

/* Returns 1, with errno set, if this allocation is to fail, else 0. */
static int fails(const char *call, const void *caller) {
    char line[128];
    if (in_libc && !from_environment("MEMORY_LIBC"))
        return 0;
    long which = atomic_fetch_add(&made, 1) + 1;
    long from = from_environment("MEMORY_FROM");
    long at = from_environment("MEMORY_AT");
    int failing = which == at || (from != 0 && which >= from);
    if (!failing && (at != 0 || from != 0))
        return 0;
    (void)snprintf(line, sizeof line, "%s %s %s\n",
                   failing ? "INJECTED" : "made", call, name_of(caller));
    log_line(line);
    if (!failing)
        return 0;
    errno = ENOMEM;
    return 1;
}

__attribute__((constructor)) static void stay_alone(void) {
    if (from_environment("MEMORY_ALONE"))
        (void)unsetenv("LD_PRELOAD");
}

void *malloc(size_t size) {
    if (fails("malloc", __builtin_return_address(0)))
        return NULL;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (fails("calloc", __builtin_return_address(0)))
        return NULL;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    if (fails("realloc", __builtin_return_address(0)))
        return NULL;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    if (fails("aligned_alloc", __builtin_return_address(0)))
        return NULL;
    return __libc_memalign(alignment, size);
}

/* This function returns its error, and does not change errno. */
int posix_memalign(void **memory, size_t alignment, size_t size) {
    int before = errno;
    void *got = NULL;
    if (!fails("posix_memalign", __builtin_return_address(0)))
        got = __libc_memalign(alignment, size);
    errno = before;
    if (got == NULL)
        return ENOMEM;
    *memory = got;
    return 0;
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
