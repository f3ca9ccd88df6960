/*
 * crowd: many clients of one echo server, in one thread: they send requests,
 * and compare what comes back with them. Built by lesson 26.
 */
#ifndef COMMON_CROWD_H
#define COMMON_CROWD_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

enum {
    CROWD_SOURCES = 8,      /* addresses of ours that they come from */
    CROWD_SLICES = 1 << 16, /* requests that are all different */
    CROWD_EVENTS = 256,     /* told by one epoll_wait(2) */
    CROWD_WHY_BYTES = 128,
};

struct crowd_client {
    int fd;              /* -1: it is lost */
    bool waits;          /* for its reply, or a part of it */
    bool blocked;        /* not all of its request could be sent */
    const char *request; /* the bytes, of which so many: */
    size_t sent, received;
    const char *failed; /* a call, with this error; or NULL */
    int error;
    int64_t due, begun; /* the caller's, who may put any time here */
};

/* Zero it, and give it to crowd_close in the end. */
struct crowd {
    struct crowd_client *clients;
    size_t count;          /* of clients; of them */
    size_t alive, waiting; /* not lost; with a request on its way */
    size_t size;           /* of a request, which is a slice of bytes: */
    char *bytes;
    size_t slice;
    struct crowd_client **free; /* a ring of those with nothing to do */
    size_t first_free, free_count;
    int epoll; /* may watch for more: see CROWD_OTHER */
    struct epoll_event events[CROWD_EVENTS];
    int ready, told;           /* how many of these; and were given out */
    char why[CROWD_WHY_BYTES]; /* the last one that was lost was lost so */
};

/*
 * Connects count clients to an address of addr_resolve's list, for requests of
 * size bytes. Each is known to be served, and not to wait in the server's
 * queue: it has had a byte sent back. To 127.0.0.0/8 they come in turn from
 * CROWD_SOURCES addresses of ours, each with ports for some 28,000. One that
 * takes longer than milliseconds is a failure. Returns 0; or -1 and errno, and
 * in *call the call that failed: then none is connected.
 */
int crowd_open(struct crowd *crowd, const struct addrinfo *list, size_t count,
               size_t size, int milliseconds, const char **call);

/* Lets a client that is free send the next request, other bytes each time. Who
 * has been free longest comes first. Returns it, or NULL when none is free. A
 * failure is told by crowd_wait. */
struct crowd_client *crowd_begin(struct crowd *crowd);

enum crowd_news {
    CROWD_NOTHING, /* milliseconds have passed, or a signal came */
    CROWD_REPLY,   /* a client has its whole reply, and is free */
    CROWD_LOST,    /* a client has no connection any more, for a failure, or has
                      got something else than it sent: see why */
    CROWD_OTHER,   /* what somebody else has added to epoll is ready */
    CROWD_ERROR,   /* epoll_wait failed: see errno */
};

/* What happens next, and to whom. Waits for so long, or with -1 for ever. */
enum crowd_news crowd_wait(struct crowd *crowd, int milliseconds,
                           struct crowd_client **client);

void crowd_close(struct crowd *crowd);

#endif
