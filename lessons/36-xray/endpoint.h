/*
 * endpoint: what another process's socket is, and what state its kernel side is
 * in. Built by lesson 36, on pidfd_getfd(2) and TCP_INFO.
 */
#ifndef XRAY_ENDPOINT_H
#define XRAY_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "packet.h"

enum {
    ENDPOINT_TEXT_BYTES = 64,
    ENDPOINT_NAME_BYTES = 112, /* of a UNIX socket, with its final NUL */
};

struct endpoint {
    uint64_t inode; /* the number of its file: one for each socket, however
                       many descriptors it has */
    int family;     /* AF_INET and so on */
    int type;       /* SOCK_STREAM and so on */
    bool listening;
    bool connected;
    struct packet_end local; /* AF_INET and AF_INET6 only */
    struct packet_end peer;  /* likewise */
    bool hears_own_groups;   /* only the multicast groups that it has joined;
                                see IP_MULTICAST_ALL in ip(7) */
    /* AF_UNIX only: */
    uint64_t peer_inode;                 /* 0: see peer_find */
    bool hides_peer;                     /* the kernel does not tell us it */
    char name[ENDPOINT_NAME_BYTES];      /* the name it is bound to, or "" */
    char peer_name[ENDPOINT_NAME_BYTES]; /* the name its peer is bound to */
    /* Of TCP only, as TCP_INFO has it (tcp(7)): */
    unsigned state;          /* TCP_ESTABLISHED and so on; 0: not TCP */
    unsigned window;         /* congestion window, in segments */
    unsigned round_trip;     /* in microseconds */
    unsigned unacknowledged; /* in bytes */
};

/*
 * Reads what descriptor fd of a process that we trace is. Returns 0, or -1 if
 * it is not a socket. For that we borrow the descriptor; no copy of it stays
 * open, so the process's own close(2) is still the last one. Where we are not
 * allowed to borrow it, less is known: see proc_read.
 */
int endpoint_read(pid_t process, int fd, struct endpoint *endpoint);

/* Tries whether we are allowed to borrow descriptors of a process. Returns 0,
 * or -1 and errno: EPERM, or ENOSYS where the kernel is older than Linux 5.6.
 */
int endpoint_try(pid_t process);

/* "ESTABLISHED" and so on (RFC 9293, section 3.3.2); "" for 0. */
const char *endpoint_state_name(unsigned state);

/*
 * Writes in few words what it is: "listener", "to :8080", "udp". accepted says
 * that accept(2) has made it: then "from :8080". text has ENDPOINT_TEXT_BYTES.
 * Returns text.
 */
const char *endpoint_describe(const struct endpoint *endpoint, bool accepted,
                              char *text);

/* How much of an address is written. */
enum endpoint_form {
    ENDPOINT_WHOLE, /* "127.0.0.1:80", "[::1]:80" */
    ENDPOINT_BRIEF, /* ":80" on the loopback, all of it elsewhere */
};

/* Writes one end of a socket of family AF_INET or AF_INET6 to text, which has
 * ENDPOINT_TEXT_BYTES. Returns text. */
const char *endpoint_format(int family, const struct packet_end *end,
                            enum endpoint_form form, char *text);

/* Copies an address of AF_INET or AF_INET6 to *end. Any other address leaves
 * *end as it is. */
void endpoint_copy(const struct sockaddr_storage *from, struct packet_end *end);

/* Copies the address of a UNIX socket, which has length bytes, to name, which
 * has ENDPOINT_NAME_BYTES, as /proc/net/unix shows it: each NUL of an abstract
 * one is @. Any other address leaves name as it is. */
void endpoint_copy_name(const struct sockaddr_storage *from, size_t length,
                        char *name);

/* Whether both are the same address and port. */
bool endpoint_same(const struct packet_end *one,
                   const struct packet_end *other);

#endif
