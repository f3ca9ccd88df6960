/*
 * 14-import-cycle: two modules that need each other, and when they do.
 *
 * Five files in one: cut at the lines with dashes they are five again. ssl
 * needs socket to be compiled; how socket gets at ssl, `cc -DSTATE=N` says:
 *     1  socket.h includes ssl.h, which includes socket.h, and so on
 *     2  the same, with guards: it ends, and the order decides
 *     3  socket.h declares what it needs a pointer to; the linker does the rest
 *     4  and socket asks for ssl when ssl() is called: Python's way
 *
 * usage: 14-import-cycle
 * Left out: this ssl encrypts nothing (08 does).
 */
#define _GNU_SOURCE

/* NOLINTBEGIN(readability-duplicate-include): each of the five has its own */
#ifndef STATE
#define STATE 4
#endif

/* ---- socket.h ---- */
#ifndef SOCKET_H
#if STATE >= 2
#define SOCKET_H /* from now on an #include of this file is empty */
#endif
#if STATE >= 3
struct ssl_socket; /* there is one; what is in it, ssl.h says */
#else
#include "ssl.h"
#endif

struct socket {
    int fd;
};

/* SOCK_STREAM or SOCK_DGRAM; -1 and errno when fd is no socket. */
int socket_type(const struct socket *plain);

/* A wrapped copy for the caller to free; fd stays the caller's, too. NULL and
 * errno: ENOSYS when there is no ssl in this program. */
struct ssl_socket *socket_ssl(const struct socket *plain);

/* The place where a module that can wrap leaves word how to get at that. With
 * NULL nothing changes; returns what is there. */
typedef struct ssl_socket *ssl_wrap_function(const struct socket *plain);
typedef ssl_wrap_function *ssl_import_function(void);
ssl_import_function *socket_importer(ssl_import_function *offered);
#endif

/* ---- ssl.h ---- */
#ifndef SSL_H
#if STATE >= 2
#define SSL_H
#endif
#ifndef SOCKET_H /* in one file with it there is nothing to include */
#include "socket.h"
#endif

struct ssl_socket {
    struct socket plain; /* no pointer: without its size this has none */
};

/* As socket_ssl, which calls it; EPROTOTYPE unless plain is a stream. */
struct ssl_socket *ssl_wrap(const struct socket *plain);

/* Runs the module's body if nobody has yet; returns ssl_wrap. */
ssl_wrap_function *ssl_import(void);
#endif

/* ---- socket.c ---- */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#ifndef SOCKET_H
#include "socket.h"
#endif
#if STATE <= 3 && !defined SSL_H
#include "ssl.h"
#endif

int socket_type(const struct socket *plain) {
    int type = -1;
    socklen_t length = sizeof type;
    (void)getsockopt(plain->fd, SOL_SOCKET, SO_TYPE, &type, &length);
    return type; /* still -1 where that failed, and errno says why */
}

ssl_import_function *socket_importer(ssl_import_function *offered) {
    static _Atomic(ssl_import_function *) kept;
    if (offered != NULL)
        atomic_store(&kept, offered);
    return atomic_load(&kept);
}

struct ssl_socket *socket_ssl(const struct socket *plain) {
#if STATE >= 4
    ssl_import_function *import = socket_importer(NULL);
    if (import == NULL) {
        errno = ENOSYS;
        return NULL;
    }
    return import()(plain);
#else
    return ssl_wrap(plain);
#endif
}

/* ---- ssl.c ---- */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#ifndef SSL_H
#include "ssl.h"
#endif

/* What Python would run at the first import. Others come while it does. */
static void ssl_body(void) {
    puts("ssl: my body runs");
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* For the first who comes pthread_once calls ssl_body; all others wait until
 * that has returned. It fails for a wrong argument only. */
ssl_wrap_function *ssl_import(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, ssl_body);
    return ssl_wrap;
}

struct ssl_socket *ssl_wrap(const struct socket *plain) {
    int type = socket_type(plain);
    if (type != SOCK_STREAM) {
        errno = type < 0 ? errno : EPROTOTYPE;
        return NULL;
    }
    struct ssl_socket *wrapped = malloc(sizeof *wrapped);
    if (wrapped != NULL)
        wrapped->plain = *plain;
    return wrapped;
}

/* Runs before main, but perhaps before other constructors: it leaves word. */
__attribute__((constructor)) static void ssl_offer(void) {
    (void)socket_importer(ssl_import);
#if STATE <= 3
    (void)ssl_import(); /* as an import at the top would */
#endif
}

/* ---- main.c ---- */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef SOCKET_H
#include "socket.h"
#endif

enum { THREADS = 8 };

static void *call_ssl(void *plain) {
    struct ssl_socket *wrapped = socket_ssl(plain);
    if (wrapped == NULL) {
        flockfile(stderr); /* what warn writes, it writes in pieces */
        warn("socket_ssl");
        funlockfile(stderr);
    }
    return wrapped;
}

/* Threads (23) are functions that run at once. Returns how many succeeded. */
static int call_at_once(struct socket *plain) {
    pthread_t threads[THREADS];
    void *wrapped;
    int count = 0;
    for (int i = 0; i < THREADS; i++) {
        errno = pthread_create(&threads[i], NULL, call_ssl, plain);
        if (errno != 0)
            err(1, "pthread_create");
    }
    for (int i = 0; i < THREADS; i++) {
        errno = pthread_join(threads[i], &wrapped);
        if (errno != 0)
            err(1, "pthread_join");
        count += wrapped != NULL;
        free(wrapped);
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc != 1) {
        int asked = argc == 2 && strcmp(argv[1], "-h") == 0;
        fputs("usage: 14-import-cycle\n", asked ? stdout : stderr);
        return asked ? 0 : 2;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    struct socket plain = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (plain.fd < 0)
        err(1, "socket");
    printf("main: a socket; %d threads call socket_ssl\n", THREADS);
    int wrapped = call_at_once(&plain);
    printf("main: %d have it wrapped\n", wrapped);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    if (close(plain.fd) < 0)
        err(1, "close");
    return wrapped == THREADS ? 0 : 1;
}
/* NOLINTEND(readability-duplicate-include) */
