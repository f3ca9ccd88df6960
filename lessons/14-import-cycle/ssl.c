#define _GNU_SOURCE

#include "ssl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { BODY_NANOSECONDS = 20 * 1000 * 1000 };

/* The body of the module: what Python runs at the first import. It pauses, so
 * that other threads call ssl_import while the body is still running. */
static void run_body(void) {
    const struct timespec pause = {.tv_nsec = BODY_NANOSECONDS};
    puts("ssl: my body runs");
    (void)nanosleep(&pause, NULL); /* a signal may end this pause early */
}

struct ssl_socket *ssl_wrap(const struct socket *plain) {
    int type = socket_type(plain);
    if (type < 0)
        return NULL;
    if (type != SOCK_STREAM) {
        errno = EPROTOTYPE;
        return NULL;
    }
    struct ssl_socket *wrapped = malloc(sizeof *wrapped);
    if (wrapped == NULL)
        return NULL;
    wrapped->plain = *plain;
    return wrapped;
}

const struct ssl_module *ssl_import(void) {
    static const struct ssl_module module = {.wrap = ssl_wrap};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, run_body); /* this call cannot fail */
    return &module;
}

/* A constructor runs before main. Other constructors may run after this one, so
 * this one does not run the body. It only tells the module socket how to import
 * this module. */
__attribute__((constructor)) static void register_module(void) {
    socket_register_ssl(ssl_import);
}
