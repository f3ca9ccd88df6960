/*
 * dial: connects to a name that may have many addresses. It does not wait for
 * one address before it tries the next: RFC 8305, known as Happy Eyeballs.
 * Built by lesson 16.
 */
#ifndef COMMON_DIAL_H
#define COMMON_DIAL_H

#include "addr.h"
#include "deadline.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    DIAL_DELAY_MS = 250,         /* between two attempts: RFC 8305, section 8 */
    DIAL_SHORTEST_DELAY_MS = 10, /* it must not be less: the same section */
    DIAL_ADDRESSES = 64,         /* of a name with more, the first are tried */
};

enum dial_state {
    DIAL_UNTRIED,    /* the attempt has not begun */
    DIAL_CONNECTING, /* the attempt has begun */
    DIAL_FAILED,     /* the members call and error say why */
    DIAL_CONNECTED,  /* it was connected first, before all others */
    DIAL_ABANDONED,  /* another was connected first, so we closed its socket */
};

/* One address, and what has become of it so far. */
struct dial_attempt {
    enum dial_state state;
    char name[ADDR_TEXT_BYTES]; /* the address, as addr_format writes it */
    const char *call; /* DIAL_FAILED: the name of the call that failed */
    int error;        /* DIAL_FAILED: its error, as in errno */
    struct sockaddr_storage address;
    socklen_t length; /* of address, in bytes */
    int fd;           /* -1 if it has no open socket */
};

/* A function of the caller, which is called after each change of an attempt's
 * state. The context is the one in struct dial. The function may read the
 * attempt until it returns, and may not change it. */
typedef void dial_observer(void *context, const struct dial_attempt *attempt);

/* Says whether an address may be tried. The context is what the caller of
 * dial_connect has given. */
typedef bool dial_filter(void *context, const struct sockaddr *address);

struct dial {
    /* The caller fills these in. */
    const char *host; /* a name, or an address in numbers */
    const char *port; /* decimal digits */
    int family;       /* AF_INET, AF_INET6, or AF_UNSPEC for both */
    /* NULL: dial_connect looks up the host. Otherwise these are its addresses,
     * with the port, as a list of getaddrinfo(3), and nothing is looked up. */
    const struct addrinfo *addresses;
    int delay_ms; /* between two attempts. Less than 10 counts as 10. */
    struct deadline deadline; /* for all of them together */
    dial_observer *observer;  /* reports each step; NULL if nobody asks */
    dial_filter *filter;      /* NULL: all addresses may be tried */
    void *context;            /* for the observer and the filter */

    /* dial_connect fills these in. */
    int lookup_error; /* an EAI_ error of addr_resolve, or 0 */
    size_t count;     /* how many of the attempts are used */
    struct dial_attempt attempts[DIAL_ADDRESSES]; /* in the order of trying */
};

/*
 * Connects to the host. It looks up all addresses, or takes those that the
 * caller has looked up, and puts them in order: the families alternate,
 * beginning with that of the first address. The first attempt begins at once.
 * Each further one begins delay_ms after the one before it, or as soon as the
 * one before it has failed. The attempts that have begun go on meanwhile. The
 * first that is connected wins, and the sockets of all others are closed.
 *
 * Returns a socket that is connected, non-blocking and close-on-exec. The
 * caller closes it. Otherwise it returns -1, and has closed every socket.
 * Then *dial says what failed:
 *
 * - lookup_error is not 0: the host could not be looked up, for the reason that
 *   gai_strerror(3) gives. There are no attempts. errno has a meaning only with
 *   EAI_SYSTEM.
 * - Otherwise, each attempt that has failed has its call and its error. When
 *   the deadline has passed, the error of those that were still connecting is
 *   ETIMEDOUT, and the others remain untried. An attempt that the filter has
 *   forbidden has the call "connect" and the error EACCES.
 *
 * If dial_connect has made attempts, errno is ETIMEDOUT when the deadline has
 * passed. Otherwise it is the last error of an attempt that the filter has
 * allowed, or EACCES if it has allowed none.
 *
 * The lookup is part of the time, but no deadline can interrupt it: see
 * addr_resolve. *dial has nothing to free, and may be used again.
 */
int dial_connect(struct dial *dial);

#endif
