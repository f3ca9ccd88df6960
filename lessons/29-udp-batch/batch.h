/*
 * batch: what the client and the server share. Built by lesson 29.
 *
 * These are the modes, the header of a packet, clocks, options of a socket, and
 * what both report about their speed.
 */
#ifndef UDP_BATCH_BATCH_H
#define UDP_BATCH_BATCH_H

#include <netinet/udp.h>
#include <stdint.h>
#include <time.h>

/* Linux has UDP_SEGMENT since 4.18 and UDP_GRO since 5.0, but some C libraries
 * do not name them yet. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    LARGEST_DATAGRAM = 65507, /* lesson 03 */
    BATCH = 64,               /* messages in one call */
    HEADER_BYTES = 5, /* the number of a packet (4 bytes in network order), and
                         its kind */
};

/* How many packets a system call sends or receives. */
enum mode {
    ONE,     /* one packet */
    MANY,    /* up to BATCH packets, each a message of its own */
    SEGMENT, /* messages that the kernel cuts up, or has joined */
};

/* The kind of a packet stands in the byte behind its number. */
enum kind {
    DATA,
    END, /* the last packet of a client */
};

/* Returns the nanoseconds of a clock: CLOCK_MONOTONIC (lesson 07), or
 * CLOCK_PROCESS_CPUTIME_ID, the processor time that we have used. Neither call
 * can fail, because both clocks exist: clock_gettime(2). */
int64_t batch_read_clock(clockid_t clock);

/* Sets an option of a socket whose value is a number: setsockopt(2). `name` is
 * for the error message: if this fails, it ends the program with status 1. */
void batch_set_option(int fd, int level, int option, int value,
                      const char *name);

/* Prints one line of a report: what was counted, and how many. The caller looks
 * for errors when it flushes the whole report. */
void batch_print_count(const char *name, long long count);

/* Prints the last three lines of both reports: how many calls there were, how
 * many packets in a second, and how many nanoseconds of processor time each
 * packet has cost. `elapsed` and `processor` are in nanoseconds. Without a
 * packet, or when no time has passed, there is only the first line. Errors are
 * the caller's, as above. */
void batch_print_speed(long long packets, long long calls, int64_t elapsed,
                       int64_t processor);

#endif
