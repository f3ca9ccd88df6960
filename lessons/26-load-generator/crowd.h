/*
 * crowd: many clients of one server, in one thread. The server is an echo
 * server: then they send requests, and compare what they receive with what they
 * have sent. Or it is a web server: then they all send the same request, and
 * read its replies. Built by lesson 26.
 */
#ifndef CROWD_H
#define CROWD_H

#include "response.h"
#include "secure.h"

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

enum {
    CROWD_SOURCES = 8,    /* addresses of ours that the clients come from */
    CROWD_SLICES = 65536, /* how many requests in a row are all different,
                             unless they are very short */
    CROWD_EVENTS = 256,   /* the most that one epoll_wait(2) reports */
    CROWD_WHY_BYTES = SECURE_REASON_BYTES,
};

enum crowd_state {
    CROWD_FREE,     /* has nothing to do */
    CROWD_SENDING,  /* the kernel has not taken the whole request yet */
    CROWD_AWAITING, /* waits for its reply, or for more of it */
    CROWD_FAILED,   /* a call has failed, but we have not reported it yet */
    CROWD_LOST,     /* has no connection any more */
};

struct crowd_client {
    int fd;             /* open, unless the client is lost */
    struct ssl_st *ssl; /* its connection of TLS, or NULL: plain TCP */
    enum crowd_state state;
    const char *request; /* the bytes of the request */
    size_t sent;         /* how many of them the kernel has taken */
    size_t received;     /* how many of them have come back: an echo only */
    struct response *response; /* what has come of the reply; NULL: an echo */
    const char *failed;        /* the call that failed, in CROWD_FAILED */
    int error;                 /* its errno */
    /* These two times belong to the caller. This module never reads them. */
    int64_t due;
    int64_t begun;
};

struct crowd {
    int epoll; /* the caller may watch more descriptors: see CROWD_OTHER */
    struct crowd_client *clients;
    size_t count; /* of clients, the lost ones included */
    size_t alive; /* how many clients are not lost */
    size_t busy;  /* how many of them have a request without a whole reply */
    /* The free clients, in a ring of count places. */
    struct crowd_client **free;
    size_t first_free;
    size_t free_count;
    /* A request is size bytes of this text, and begins at next_slice. Of a web
     * server, the request is the whole text. */
    char *text;
    size_t size;
    size_t next_slice;
    struct response *responses; /* one a client; NULL: it is an echo server */
    struct secure secure;       /* the crowd's copy; it does not close it */
    /* What epoll_wait reported last. */
    struct epoll_event events[CROWD_EVENTS];
    int event_count;
    int handled; /* how many of these events we have handled */
    /* The reason, if there is one, after CROWD_LOSS or CROWD_REFUSAL, or when
     * crowd_open has failed. */
    char why[CROWD_WHY_BYTES];
};

/*
 * Connects count clients to an address of addr_resolve's list. If request is
 * NULL, that is an echo server, and requests have size bytes. Otherwise it is a
 * web server, and request is what each client sends: size bytes, a GET of
 * HTTP/1.1 with its empty line. We copy it.
 *
 * Each client sends one byte, or the request, and receives the reply, so the
 * server has accepted it: it does not wait in the server's queue. If the
 * address is in 127.0.0.0/8, the clients come in turn from CROWD_SOURCES
 * addresses of ours, because each address has ports for some 28,000 clients
 * only. Each client has so many milliseconds to connect. If secure has a
 * context, the clients speak TLS. Then there is no first exchange: a handshake
 * says as much. The caller closes secure when it has closed the crowd.
 *
 * Returns 0, and then the caller gives the crowd to crowd_close in the end.
 * Otherwise it returns -1 and sets errno, *call is the name of the call that
 * failed, and everything is closed and freed again. If crowd->why is not empty,
 * the reason is there, and not in errno.
 */
int crowd_open(struct crowd *crowd, const struct addrinfo *list, size_t count,
               const char *request, size_t size, int milliseconds,
               const struct secure *secure, const char **call);

/*
 * Lets a free client send the next request, which has other bytes each time.
 * Of all free clients it is the one that has been free for longest.
 *
 * Returns the client, which stays the crowd's, or NULL when no client is free.
 * If the client fails, crowd_wait reports it.
 */
struct crowd_client *crowd_begin(struct crowd *crowd);

enum crowd_news {
    CROWD_NOTHING, /* the time is over, a signal came, or only parts of replies
                      have come */
    CROWD_REPLY,   /* a client has its whole reply, and is free */
    CROWD_REFUSAL, /* the same, but its status is not one of success (2xx). The
                      member why has the status. */
    CROWD_LOSS,    /* a client is lost: it failed, or received other bytes than
                      it had sent, or a reply that it could not read. The member
                      why has the reason. */
    CROWD_OTHER,   /* a descriptor is ready that the caller has added to epoll,
                      with data.ptr NULL */
    CROWD_ERROR,   /* epoll_wait failed: see errno */
};

/* Waits until something happens, for so many milliseconds at most. Returns what
 * has happened. For CROWD_REPLY, CROWD_REFUSAL and CROWD_LOSS, *client is the
 * client. */
enum crowd_news crowd_wait(struct crowd *crowd, int milliseconds,
                           struct crowd_client **client);

/* Says whether a client has a request without a whole reply. */
int crowd_is_busy(const struct crowd_client *client);

/* Closes all connections, and frees what crowd_open has allocated. */
void crowd_close(struct crowd *crowd);

#endif
