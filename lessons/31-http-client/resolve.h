/*
 * resolve: asks one name server for the addresses of a host. It does what
 * getaddrinfo(3) does, but it asks the server that we choose, and it keeps our
 * deadline. Built by lesson 31, with the query of lesson 30.
 */
#ifndef HTTP_CLIENT_RESOLVE_H
#define HTTP_CLIENT_RESOLVE_H

#include "deadline.h"
#include "query.h"

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    RESOLVE_ADDRESSES = 64, /* and at most half of them IPv6 */
};

/* There is nothing to free. It may be used again. */
struct resolve {
    /* The caller fills these in. */
    struct query_server server;
    struct deadline deadline; /* for both questions together */

    /* resolve_host fills these in. */
    size_t count;
    struct addrinfo list[RESOLVE_ADDRESSES]; /* each leads to the next */
    struct sockaddr_storage addresses[RESOLVE_ADDRESSES];
    char reason[QUERY_TEXT_BYTES];
};

/* Reads the name server from the C string text: an address in numbers, with a
 * port or without, such as "192.0.2.53", "192.0.2.53:5300",
 * "::1" or "[::1]:5300".
 * Returns 0, or -1 with errno EINVAL. */
int resolve_set_server(struct resolve *resolve, const char *text);

/*
 * Asks for the IPv6 addresses of the host, and then for its IPv4 addresses. An
 * address in numbers needs no question. The port is a number, as a C string.
 *
 * Returns 0, and then there is at least one address, and resolve->list is a
 * list as getaddrinfo(3) makes one. Otherwise it returns -1, and
 * resolve->reason says why, such as "there is no name a.example.".
 */
int resolve_host(struct resolve *resolve, const char *host, const char *port);

#endif
