/*
 * socks: asks a proxy for a connection to a server, by SOCKS 5: RFC 1928.
 * Built by lesson 31. Lesson 33 builds such a proxy.
 */
#ifndef HTTP_CLIENT_SOCKS_H
#define HTTP_CLIENT_SOCKS_H

#include "deadline.h"

enum {
    SOCKS_HOST_BYTES = 256, /* a name has at most 255 */
    SOCKS_PORT_BYTES = sizeof "65535",
};

struct socks_proxy {
    char host[SOCKS_HOST_BYTES]; /* a name, or an address in numbers */
    char port[SOCKS_PORT_BYTES];
};

/* Reads HOST:PORT or [IPv6]:PORT from a C string. Returns 0, or -1 with errno
 * EINVAL. */
int socks_parse(struct socks_proxy *proxy, const char *text);

/*
 * Asks the proxy, to which fd is connected, for the host and the port. The host
 * is a name or an address in numbers, of at most 255 bytes; the proxy looks up
 * a name. The port is a number. Both are C strings.
 *
 * Returns 0, and then all bytes on fd go to the server and back. Not one byte
 * of the server has been received. Otherwise it returns -1, and *flaw is a text
 * such as "it does not allow this server", which is good until the next call
 * of strerror(3). fd is then of no more use. Its owner closes it.
 */
int socks_connect(int fd, struct deadline deadline, const char *host,
                  const char *port, const char **flaw);

#endif
