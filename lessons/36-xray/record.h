/*
 * record: what was seen of several processes and of the wire, as it happened.
 * Built by lesson 36. The module layout makes a picture of it.
 */
#ifndef XRAY_RECORD_H
#define XRAY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "control.h"
#include "endpoint.h"
#include "group.h"
#include "packet.h"
#include "picture.h"
#include "socks.h"
#include "trace.h"

enum {
    RECORD_NOBODY = -1, /* a process that we do not watch */
    RECORD_NO_CONNECTION = -1,
};

/* A program that talks to itself has two columns, one for each end of its
 * connection. Each other program has the same column for both sides. On which
 * side a socket is, is known only at the end: when the socket is made, it may
 * still become a listener or connect. */
enum record_side {
    RECORD_CLIENT, /* what connects, and all that has no socket */
    RECORD_SERVER, /* a listener, and what accept(2) makes */
    RECORD_SIDES,
};

struct record_place {
    int process;    /* its number in the record, or RECORD_NOBODY */
    uint64_t inode; /* of the process's socket, or 0 */
};

struct record_process {
    pid_t pid;
    int maker;         /* the process that made it, or RECORD_NOBODY */
    const char *actor; /* the caller's; it must live longer than the record */
    bool uses_sockets; /* also true where we cannot know */
    bool is_foreign;   /* it has made calls of another architecture */
    bool is_hidden;    /* the kernel does not tell us its sockets */
    int columns[RECORD_SIDES]; /* of the picture, or PICTURE_NOBODY */
    bool is_chosen;            /* to have columns of its own */
    bool shares_column;        /* its columns are those of another process */
    int64_t leaving;           /* when it called exit_group(2), or 0 */
};

/* At that time this process had this socket, by this descriptor. */
struct record_use {
    int64_t at;
    int process;
    int descriptor;
    bool accepted;  /* accept(2) made it */
    bool sends;     /* a call that began then sends by it */
    bool received;  /* a call that returned then has received by it */
    bool encrypted; /* it speaks TLS */
    bool closes;    /* a call that began then closes this descriptor */
    struct endpoint endpoint;
};

struct record_event {
    struct record_place place;
    struct record_place to;     /* the receiver of a segment or a message. Until
                                   message_find_receivers has found that of a
                                   message, it is a process that had a
                                   descriptor for the peer's socket */
    struct control control;     /* of a message, and of a call that received */
    bool is_matched;            /* of a call that received descriptors: it is
                                   known which message has brought them */
    uint64_t made;              /* the socket that accept(2) has made, or 0 */
    int connection;             /* found at the end; see layout.c */
    bool is_death;              /* of a note: a signal killed the process */
    struct picture_event drawn; /* its columns are found at the end */
};

/* At that time a socket joined a multicast group, or left it. */
struct record_membership {
    int64_t at;
    int process;
    uint64_t inode;
    struct group_change change;
    bool is_awaited; /* the kernel will tell routers of it, and has not yet */
};

struct record_frame {
    int64_t at;
    int family;
    bool is_datagram;
    struct packet_end from;
    struct packet_end to;
    enum socks_step step; /* what it is in a talk with a proxy */
    char *text;           /* malloc(3)ed */
};

/* Set it to zero, and give it to record_free in the end. It owns all memory
 * that it points to, but for the actors. All times are nanoseconds on
 * CLOCK_REALTIME. */
struct record {
    struct record_process *processes;
    size_t process_count;
    struct record_use *uses;
    size_t use_count;
    struct record_event *events;
    size_t event_count;
    struct record_frame *frames;
    size_t frame_count;
    struct record_membership *memberships;
    size_t membership_count;
    unsigned long left_out; /* calls and frames beyond the 4000 that are kept */
    bool no_memory;         /* something is missing, because memory ran out */
    bool no_peers;          /* messages are missing: see peer_find */
};

/* Adds a process that `maker` has made. Returns its number, or -1 and ENOMEM.
 */
int record_add(struct record *record, pid_t pid, int maker, const char *actor);

/* Which calls are kept. */
enum record_choice {
    RECORD_SOCKET_CALLS,
    RECORD_ALL_CALLS,
};

/* Which process and which task make a call, and when. */
struct record_caller {
    int process;
    pid_t task; /* the process, or a thread of it */
    int64_t at;
};

/* Records that a call begins. Returns the number of its event; or -1 if the
 * call is not kept, which is no error. Of calls of another architecture only a
 * note is kept, one for each process. */
int record_begin(struct record *record, const struct record_caller *caller,
                 const struct trace_call *call, enum record_choice choice);

/* When a call that has returned began and ended. */
struct record_times {
    int64_t began;
    int64_t ended;
    bool waited; /* other processes went on meanwhile */
};

/* Records that the call of an event has returned. */
void record_return(struct record *record, int event, pid_t task,
                   const struct record_times *times,
                   const struct trace_call *call);

/* What becomes of a process. */
enum record_fate {
    RECORD_GOES_ON,
    RECORD_ENDS,
    RECORD_IS_KILLED, /* by a signal */
};

/* Records something else that happened to a process, in words. */
void record_note(struct record *record, int process, int64_t at,
                 enum record_fate fate, const char *text);

/* Records a frame that crossed the wire. Frames that are not TCP, UDP, ICMP or
 * IGMP are left out. */
void record_frame(struct record *record, int64_t at,
                  const struct packet *packet);

/* Adds a membership. Returns it, good until the next one; or NULL and
 * no_memory. */
struct record_membership *
record_add_membership(struct record *record,
                      const struct record_membership *membership);

/* Opens a stream that writes into new memory, or returns NULL and no_memory. */
FILE *record_open_text(struct record *record, char **text, size_t *length);

/* Closes it: then *text is the caller's. Returns 0; or -1 and no_memory if not
 * all of it could be written, and then *text is NULL. */
int record_close_text(struct record *record, FILE *out, char **text);

/* Adds an event, which the record owns from then on. Returns its number; or -1
 * and no_memory, and then it is the caller's. */
int record_add_event(struct record *record, const struct record_event *event);

void record_free(struct record *record);

#endif
