/*
 * endpoint: what another process's socket is, and what state its kernel side is
 * in. Built by lesson 36, on pidfd_getfd(2) and TCP_INFO.
 */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "packet.h"

enum { ENDPOINT_TEXT_BYTES = 64 };

struct endpoint {
    uint64_t inode; /* the same for all descriptors of one socket */
    int family, type;
    bool listening, connected;
    struct packet_end local, peer; /* AF_INET and AF_INET6 only */
    /* TCP only, as TCP_INFO has it: */
    unsigned state;      /* TCP_ESTABLISHED and so on; 0 for what is no TCP */
    unsigned window;     /* congestion window, in segments */
    unsigned round_trip; /* in microseconds */
    unsigned unacknowledged; /* in bytes */
};

/*
 * Reads what descriptor fd of a process that we trace is. Returns 0, or -1 when
 * it is no socket, or when we may not look. Leaves no copy of it open: the next
 * close of it is its last.
 */
int endpoint_read(pid_t process, int fd, struct endpoint *endpoint);

/* The state of a TCP socket of this network that has no descriptor any more,
 * from /proc/net/tcp: 0 when there is none between these two. */
unsigned endpoint_state_after(const struct endpoint *endpoint);

/* "ESTABLISHED" and so on (RFC 9293, section 3.3.2). */
const char *endpoint_state_name(unsigned state);

/* What it is, in few words: "listener", "to :8080", "udp". accepted says that
 * it came from accept(2). Writes ENDPOINT_TEXT_BYTES at most; returns text. */
const char *endpoint_describe(const struct endpoint *endpoint, bool accepted,
                              char *text);

/* "127.0.0.1:80", "[::1]:80"; on the loopback ":80" when brief. */
const char *endpoint_format(int family, const struct packet_end *end,
                            bool brief, char *text);

/* Writes an AF_INET or AF_INET6 address to *end; another leaves it as it is. */
void endpoint_keep(const struct sockaddr_storage *from, struct packet_end *end);

/* Whether both are the same address and port. */
bool endpoint_same(const struct packet_end *one,
                   const struct packet_end *other);

#endif
