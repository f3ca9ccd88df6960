/*
 * ring: says whether a program can use io_uring here, as lesson 28 does.
 *
 *     ring
 *
 * Ends with status 0 if it can. If not, prints why, and ends with status 77.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A C library older than the kernel doesn't know its number. */
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

enum {
    NOT_HERE = 77,
    /* From linux/io_uring.h: SINGLE_ISSUER and DEFER_TASKRUN, of Linux 6.1. */
    FLAGS = 1 << 12 | 1 << 13,
    FLAGS_AT = 2, /* in struct io_uring_params, which has */
    NUMBERS = 30  /* so many numbers */
};

int main(void) {
    uint32_t parameters[NUMBERS] = {[FLAGS_AT] = FLAGS};
    if (syscall(SYS_io_uring_setup, 1, parameters) >= 0)
        return 0;
    if (errno == EINVAL)
        printf("io_uring needs Linux 6.1\n");
    else
        printf("no io_uring: %s\n", strerror(errno));
    return NOT_HERE;
}
