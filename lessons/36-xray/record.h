/*
 * record: what was seen of several processes and of the wire, put together:
 * whose call it was, whose segment, and on which connection. Built by
 * lesson 36.
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "call.h"
#include "endpoint.h"
#include "packet.h"
#include "picture.h"
#include "trace.h"

struct record_process {
    pid_t pid;
    int maker;         /* the process that made it, or -1 */
    const char *actor; /* the caller's, and longer-lived than the record */
    bool uses_sockets;
    int columns[2];  /* of its connecting and of its accepting end */
    int64_t leaving; /* when it called exit_group(2), or 0 */
};

/* Who used which socket when: whose segment was it? */
struct record_use {
    int64_t at;
    int process, descriptor;
    bool accepted; /* accept(2) made it */
    bool secret;   /* it speaks TLS */
    struct endpoint endpoint;
};

struct record_frame {
    int64_t at;
    int family;
    struct packet_end from, to;
    char *text;
};

/* Zero it, and give it to record_free in the end. All memory is its own. */
struct record {
    struct record_process *processes;
    int process_count;
    struct record_use *uses;
    size_t use_count;
    struct record_frame *frames;
    size_t frame_count;
    struct picture
        picture; /* its columns are not in use before record_finish */
    unsigned long left_out; /* calls and frames beyond what is kept */
    bool no_memory;         /* something else is missing, for want of that */
};

/* Adds a process; returns its number, or -1 and ENOMEM. */
int record_add(struct record *record, pid_t pid, int maker, const char *actor);

/* A call begins, at that time. Returns the number of its event, or -1 when it
 * is of no interest and all is false. */
int record_begin(struct record *record, int process, pid_t task, int64_t at,
                 const struct trace_call *call, bool all);

/* Event number event has returned. */
struct record_times {
    int64_t began; /* when it was let go on */
    int64_t ended;
    bool waited; /* others went on meanwhile */
};
void record_return(struct record *record, int event, pid_t task,
                   const struct record_times *times,
                   const struct trace_call *call);

/* Something else that happened to a process. */
void record_note(struct record *record, int process, int64_t at,
                 const char *text);

/* A frame that crossed the wire. */
void record_frame(struct record *record, int64_t at,
                  const struct packet *packet);

/* Puts all into record->picture: columns for those that use sockets, and the
 * segments between them. Nothing can be recorded after that. */
void record_finish(struct record *record);

/* What a picture does not show: of each connection, what the kernel knows of
 * it. And of one that ended before its time, at now: who waits in which call,
 * since when nothing has come for it; now is 0 for one that ended by itself. */
void record_write_foot(FILE *out, const struct record *record, int64_t now);

void record_free(struct record *record);

#endif
