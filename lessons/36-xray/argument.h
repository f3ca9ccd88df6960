/*
 * argument: how an argument of a system call is written, before the call and
 * after it. Built by lesson 36.
 *
 * Some kinds stand for two or more arguments that belong together, such as the
 * address of a buffer and its length.
 */
#ifndef XRAY_ARGUMENT_H
#define XRAY_ARGUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { ARGUMENTS = 6 }; /* the most that a call has: syscall(2) */

/* FILLED means that the kernel fills this memory during the call. So we show
 * before the call how much room there is, and after it what has come. */
enum argument_kind {
    ARG_NONE,           /* there are no more arguments */
    ARG_HIDDEN,         /* one that would tell the reader nothing */
    ARG_FD,             /* a descriptor */
    ARG_NUMBER,         /* a decimal number */
    ARG_OFFSET,         /* address of an offset in a file; not shown if NULL */
    ARG_HEX,            /* a hexadecimal number */
    ARG_TEXT,           /* a C string */
    ARG_DOMAIN,         /* AF_INET */
    ARG_TYPE,           /* SOCK_STREAM and its flags */
    ARG_PROTOCOL,       /* not shown where it is 0, the usual one */
    ARG_ADDRESS,        /* address, length */
    ARG_ADDRESS_FILLED, /* address, address of its length */
    ARG_ACCEPT_FLAGS,   /* of accept4(2); not shown where 0 */
    ARG_BYTES,          /* address, length */
    ARG_BYTES_FILLED,   /* address, length */
    ARG_BUFFERS,        /* address of an array of iovec, how many */
    ARG_BUFFERS_FILLED, /* the same */
    ARG_MESSAGE,        /* address of a struct msghdr */
    ARG_MESSAGE_FILLED, /* the same */
    ARG_MESSAGE_FLAGS,  /* of send(2) and recv(2); not shown where 0 */
    ARG_SPLICE_FLAGS,   /* not shown where 0 */
    ARG_OPTION,         /* level, option, address of the value, length */
    ARG_OPTION_FILLED,  /* level, option, two addresses */
    ARG_SHUTDOWN,       /* SHUT_WR */
    ARG_FCNTL,          /* the command of fcntl(2), its argument */
    ARG_IOCTL,          /* the request of ioctl(2), its argument */
    ARG_POLLED,         /* address of an array of pollfd, how many */
    ARG_SELECTED,       /* how many descriptors, three sets of them */
    ARG_EPOLL_FLAGS,    /* EPOLL_CLOEXEC */
    ARG_EPOLL_COMMAND,  /* EPOLL_CTL_ADD */
    ARG_EPOLL_EVENT,    /* address of one event */
    ARG_EPOLL_FILLED,   /* address of an array of events, its room */
    ARG_PAIR_FILLED,    /* address of two descriptors */
    ARG_MILLISECONDS,   /* a time; negative: for ever */
    ARG_TIMESPEC,       /* address of seconds and nanoseconds */
    ARG_TIMEVAL,        /* address of seconds and microseconds */
};

struct argument {
    pid_t task; /* that makes the call */
    enum argument_kind kind;
    const uint64_t *values; /* as many as argument_width tells */
    int64_t result;         /* of the call, once it has returned */
};

/* How many arguments of a call this kind stands for. */
size_t argument_width(enum argument_kind kind);

/* Whether it is written before the call: some say nothing, or only the usual.
 */
bool argument_is_shown(const struct argument *argument);

/* Writes it as it is before the call. */
void argument_write(FILE *out, const struct argument *argument);

/* Writes a blank and what the kernel has filled in, after a call that did not
 * fail; nothing if this kind is not filled in. */
void argument_write_filled(FILE *out, const struct argument *argument);

#endif
