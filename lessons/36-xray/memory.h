/*
 * memory: what lies in the memory of a process that we trace, in words. Built
 * by lesson 36, on trace_read.
 *
 * The address comes from a program, and may be wrong. Where the memory cannot
 * be read, each function writes as much as it can, or nothing.
 */
#ifndef XRAY_MEMORY_H
#define XRAY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "control.h"

/* What lies at an address of the process that task belongs to. */
struct memory {
    pid_t task;
    uint64_t address;
};

/* Writes length bytes of data, as bytes_write does. */
void memory_write_bytes(FILE *out, struct memory memory, size_t length);

/* Writes a C string in quotation marks, up to 96 bytes of it. */
void memory_write_text(FILE *out, struct memory memory);

/* Writes a socket address of length bytes: 127.0.0.1:80, [::1]:80, the path of
 * a UNIX socket (unix(7); @ stands for the NUL of an abstract one), or for
 * other families the name of the family. */
void memory_write_address(FILE *out, struct memory memory, uint64_t length);

/* Writes the bytes of count buffers of type iovec as one piece of data, up to
 * `most` bytes (readv(2)). */
void memory_write_buffers(FILE *out, struct memory memory, uint64_t count,
                          size_t most);

/* Writes the bytes of a struct msghdr, up to `most`, its address, and its
 * control data (sendmsg(2)). */
void memory_write_message(FILE *out, struct memory memory, size_t most);

/* Writes what recvmsg(2) says of a message in the flags of its struct msghdr:
 * " MSG_CTRUNC", or nothing. */
void memory_write_message_flags(FILE *out, struct memory memory);

/* Reads the control data of a struct msghdr. */
void memory_read_control(struct memory memory, struct control *control);

/* Writes how long two numbers are in milliseconds, or "for ever" for NULL: the
 * first counts seconds, and of the second there are `per_millisecond` in a
 * millisecond (struct timeval: 1000, struct timespec: 1000000). */
void memory_write_time(FILE *out, struct memory memory, long per_millisecond);

/* Which events of a struct pollfd are meant. */
enum memory_events {
    MEMORY_EVENTS_WANTED,   /* events: what poll(2) shall wait for */
    MEMORY_EVENTS_RETURNED, /* revents: what has happened */
};

/* Writes `[3 POLLIN, 4 POLLIN]`: of count structs pollfd, up to 16. */
void memory_write_polled(FILE *out, struct memory memory, uint64_t count,
                         enum memory_events events);

/* Writes `[EPOLLIN, EPOLLOUT]`: of count structs epoll_event, up to 16. */
void memory_write_epoll(FILE *out, struct memory memory, uint64_t count);

/* Writes `, read 3 4`: separator, name, and which of the first count
 * descriptors are in a set of select(2). Returns whether there is a set; if
 * there is none, writes nothing. */
bool memory_write_set(FILE *out, struct memory memory, const char *separator,
                      const char *name, uint64_t count);

#endif
