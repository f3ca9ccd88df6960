/*
 * 14-import-cycle: two modules that need each other, and when they do.
 *
 * The module ssl needs the module socket, because a struct socket is a part of
 * its struct. The module socket needs ssl, because socket_ssl calls it. Here
 * socket imports ssl at the first call of socket_ssl, as Python does. Eight
 * threads make that first call, all at nearly the same moment.
 *
 * The folders beside this file have three earlier states of the two modules:
 *     cycle   each header includes the other one: this does not compile
 *     guards  the same with guards: it depends on which header comes first
 *     linked  a forward declaration, and a call that the linker resolves
 * and one mistake:
 *     copied  an old copy of a declaration: it compiles, and fails when it runs
 *
 * usage: 14-import-cycle
 * Left out: this ssl encrypts nothing (08 does).
 */
#define _GNU_SOURCE

#include "socket.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 8 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 14-import-cycle\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* What each thread does. Returns the wrapped socket, or NULL. */
static void *call_socket_ssl(void *plain) {
    struct ssl_socket *wrapped = socket_ssl(plain);
    if (wrapped == NULL) {
        /* warn writes its line in pieces. The lock keeps the pieces of this
         * thread together. */
        flockfile(stderr);
        warn("socket_ssl");
        funlockfile(stderr);
    }
    return wrapped;
}

static void start_threads(pthread_t *threads, struct socket *plain) {
    for (int i = 0; i < THREADS; i++) {
        errno = pthread_create(&threads[i], NULL, call_socket_ssl, plain);
        if (errno != 0)
            err(1, "pthread_create");
    }
}

/* Waits until all threads have ended. Returns how many got a wrapped socket. */
static int join_threads(const pthread_t *threads) {
    int count = 0;
    for (int i = 0; i < THREADS; i++) {
        void *wrapped;
        errno = pthread_join(threads[i], &wrapped);
        if (errno != 0)
            err(1, "pthread_join");
        if (wrapped != NULL)
            count++;
        free(wrapped);
    }
    return count;
}

/* If descriptor 1 or 2 were closed, a socket would get that number: see lesson
 * 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 1)
        usage(stderr, 2);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    struct socket plain;
    plain.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (plain.fd < 0)
        err(1, "socket");
    printf("main: a socket; %d threads call socket_ssl\n", THREADS);

    pthread_t threads[THREADS];
    start_threads(threads, &plain);
    int wrapped = join_threads(threads);
    printf("main: %d have it wrapped\n", wrapped);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    if (close(plain.fd) < 0)
        err(1, "close");
    return wrapped == THREADS ? 0 : 1;
}
