/*
 * control: the control data of a message: what goes over a UNIX socket beside
 * the bytes (cmsg(3), unix(7)). Built by lesson 36.
 */
#ifndef XRAY_CONTROL_H
#define XRAY_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    CONTROL_MOST = 8,     /* descriptors that are kept of a message */
    CONTROL_BYTES = 1088, /* room for all that a message may have (253) */
};

/* Of one message. Set it to zero, or give it to control_parse. */
struct control {
    size_t count;                  /* how many descriptors it has */
    int descriptors[CONTROL_MOST]; /* the first of them */
    bool has_process;
    pid_t process; /* the process whose credentials it has (SCM_CREDENTIALS) */
    size_t other;  /* bytes of parts of another kind */
};

/* Reads length bytes of control data, as this machine's C library lays them
 * out, up to the first part that is not whole. */
void control_parse(struct control *control, const uint8_t *bytes,
                   size_t length);

/* Writes " + descriptor 7", " + descriptors 7, 8", " + process 123", " and 24
 * bytes of control", or nothing. */
void control_write(FILE *out, const struct control *control);

/* Writes "7, 8" of the descriptors, and three dots for those that are not
 * kept. */
void control_write_numbers(FILE *out, const struct control *control);

#endif
