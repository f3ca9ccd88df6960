/*
 * target: connects to the server that a client asks for, if it is allowed.
 * Built by lesson 33.
 */
#ifndef SOCKS_PROXY_TARGET_H
#define SOCKS_PROXY_TARGET_H

#include "tunnel.h"

enum {
    SHORT_TEXT_BYTES = 256, /* a text of up to 255 bytes, and a NUL */
};

/* What the reply to a request says: RFC 1928, section 6. */
enum reply {
    REPLY_SUCCEEDED = 0,
    REPLY_GENERAL_FAILURE = 1,
    REPLY_NOT_ALLOWED = 2,
    REPLY_NETWORK_UNREACHABLE = 3,
    REPLY_HOST_UNREACHABLE = 4,
    REPLY_CONNECTION_REFUSED = 5,
    REPLY_TIME_IS_UP = 6,
    REPLY_UNKNOWN_COMMAND = 7,
    REPLY_UNKNOWN_ADDRESS = 8,
};

/* What a client asks for. */
struct request {
    char host[SHORT_TEXT_BYTES]; /* a name, or an address in numbers */
    char port[sizeof "65535"];
};

/*
 * Looks up the host of a request, and connects to it. This takes ten seconds at
 * most, unless the lookup takes longer: nothing can end getaddrinfo(3). An
 * address that leads into this machine or into a private network is refused,
 * unless it belongs to one of the networks of the proxy's options.
 *
 * With REPLY_SUCCEEDED, tunnel->server is the connection, a non-blocking
 * socket, which is the tunnel's. With all other results, which are for the
 * client, it is -1, and a line on standard error says why. Threads may call
 * this at the same time, each with a tunnel of its own.
 */
enum reply target_connect(struct tunnel *tunnel, const struct request *request);

#endif
