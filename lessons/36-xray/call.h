/*
 * call: a system call of another process, as one would write it in C. Built by
 * lesson 36, on what trace reads.
 */
#ifndef XRAY_CALL_H
#define XRAY_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "control.h"
#include "group.h"
#include "trace.h"

enum { CALL_DESCRIPTORS = 2 }; /* of a call, that are described in words */

/* What stands behind the result of a call that call_is_inside tells of. */
#define CALL_INSIDE " (in the kernel)"

/* When a call belongs into a picture of sockets. */
enum call_use {
    CALL_OTHER,     /* never: it has nothing to do with sockets */
    CALL_ALWAYS,    /* it makes sockets, or waits for them */
    CALL_ON_SOCKET, /* if its first argument is the descriptor of a socket */
    CALL_ON_PIPE, /* always, and its first or its second descriptor may be of a
                     socket: splice(2) */
    CALL_ON_STREAM, /* also if that is standard input, output or error */
};

/* CALL_OTHER for a call that we do not know. */
enum call_use call_use(const struct trace_call *call);

/*
 * Writes the numbers of all calls that may belong into a picture, and of
 * exit_group(2), to numbers, which has room for size of them. Returns how many
 * there are, which may be more than size.
 */
size_t call_numbers(uint32_t *numbers, size_t size);

/* The call's name, "connect", or "call 334" for one that we do not know. That
 * text is good until the next call of this function. */
const char *call_name(const struct trace_call *call);

/* Whether it has that name. */
bool call_is(const struct trace_call *call, const char *name);

/* Whether it is accept(2) or accept4(2). */
bool call_is_accept(const struct trace_call *call);

/* Whether a call moves bytes from one descriptor to another inside the kernel,
 * so that they never are in the program's memory. Then its first descriptor is
 * argument 0, and the other one is argument *second. *second is written only
 * then. */
bool call_is_inside(const struct trace_call *call, size_t *second);

/* Which way the bytes of a call go that is made on a socket. */
enum call_direction {
    CALL_NEITHER,
    CALL_SENDS,
    CALL_RECEIVES,
};

/* fd is the socket's descriptor. */
enum call_direction call_direction(const struct trace_call *call, int fd);

/* Reads the control data of sendmsg(2) before it, and of recvmsg(2) after it;
 * those of any other call are empty. */
void call_read_control(pid_t task, const struct trace_call *call,
                       struct control *control);

/* Reads the address that a call sends to, and its length; it is 0 if the call
 * names none. */
size_t call_read_target(pid_t task, const struct trace_call *call,
                        struct sockaddr_storage *target);

/* Whether a call joins a multicast group or leaves it. *change is written only
 * then. */
bool call_read_group(pid_t task, const struct trace_call *call,
                     struct group_change *change);

/*
 * Writes a call that task begins: `send(3 to :8080, "hello\n"`, without the
 * last parenthesis. words[0] and words[1] say what its first and second
 * descriptors are, "to :8080"; they are "" if that is not known.
 */
void call_write_begin(FILE *out, pid_t task, const struct trace_call *call,
                      const char *const words[CALL_DESCRIPTORS]);

/* Writes the result of a call that has returned, and what it brought:
 * ` = 6 "hello\n"`, ` = -1 EAGAIN`. */
void call_write_result(FILE *out, pid_t task, const struct trace_call *call);

/* Copies the first bytes of what a call sends or writes, at most size. Returns
 * how many were copied: 0 for a call that sends nothing, or nothing from the
 * program's memory. */
size_t call_sent(pid_t task, const struct trace_call *call, char *bytes,
                 size_t size);

#endif
