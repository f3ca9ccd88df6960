/*
 * call: a system call of another process, as one would write it in C. Built by
 * lesson 36, on what trace reads.
 */
#ifndef COMMON_CALL_H
#define COMMON_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "trace.h"

enum {
    CALL_DATA_BYTES = 24, /* of data, so many are shown as text, */
    CALL_HEX_BYTES = 12,  /* and so many of what is none */
};

/* What of a call interests a reader of sockets. */
enum call_use {
    CALL_OTHER,  /* nothing */
    CALL_SOCKET, /* always: it makes sockets, or waits for them */
    CALL_ON,     /* if its first argument is a socket's descriptor */
    CALL_DATA,   /* that, or standard input, output or error */
};

enum call_use call_use(uint64_t number);

/* The numbers of all calls but CALL_OTHER, and of exit_group(2). Returns how
 * many there are; at most size of them are written. */
size_t call_numbers(uint32_t *numbers, size_t size);

/* Its name, or "call 334". The text is good until the next call. */
const char *call_name(const struct trace_call *call);

/* Is it the one of that name? */
bool call_is(const struct trace_call *call, const char *name);

/*
 * Writes, at its beginning, name and arguments: `send(3 to :8080, "hello\n"`,
 * without the last parenthesis. what, if not NULL, is what its first descriptor
 * is, in words.
 */
void call_write_begin(FILE *out, pid_t task, const struct trace_call *call,
                      const char *what);

/* Writes, at its return, ` = 6 "hello\n"`: the result, and what came with it.
 */
void call_write_result(FILE *out, pid_t task, const struct trace_call *call);

/* Writes bytes as a C string would have them, "hello\n", or <0102> when they
 * are not text, and dots for what is not shown of length; so many as are at
 * hand. */
void call_write_data(FILE *out, const uint8_t *bytes, size_t at_hand,
                     size_t length);

/* The first bytes of what a call sends or writes; returns how many, 0 for a
 * call that does no such thing. */
size_t call_sent(pid_t task, const struct trace_call *call, char *bytes,
                 size_t size);

#endif
