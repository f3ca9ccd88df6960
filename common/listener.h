/*
 * listener: a TCP socket that waits for clients. Built by lesson 17.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include <sys/socket.h>

/* What listener_open can be asked for, joined by |. */
enum listener_option {
    LISTENER_ONLY_IPV6 = 1,  /* no IPv4 clients on a socket of IPv6 */
    LISTENER_REUSE_PORT = 2, /* other sockets of ours may listen there too */
};

/*
 * Opens a socket that listens at address, an IPv4 or IPv6 address of length
 * bytes with its port. For port 0 the kernel chooses one. With the address
 * in6addr_any, and without LISTENER_ONLY_IPV6, clients of both families can
 * connect. backlog is the number of connections that may wait for accept(2);
 * the kernel's own limit is net.core.somaxconn, and one more always fits.
 * options is 0, or values of enum listener_option.
 *
 * A port whose last connections are in TIME_WAIT can be taken again at once
 * (SO_REUSEADDR, lesson 02). For LISTENER_REUSE_PORT every socket on the port
 * must have it, and all must belong to the same user: socket(7).
 *
 * Returns the descriptor. It is blocking and close-on-exec, and the caller
 * closes it. Otherwise it returns -1 with errno, and puts the name of the call
 * that failed into *failed: "socket", "setsockopt SO_REUSEADDR", "setsockopt
 * SO_REUSEPORT", "setsockopt IPV6_V6ONLY", "bind" or "listen". Nothing is left
 * open then. The name is a constant: do not free it.
 */
int listener_open(const struct sockaddr *address, socklen_t length, int backlog,
                  int options, const char **failed);

/*
 * Prints the line "listening on ADDRESS:PORT" on standard output, and flushes
 * it, so that a script or a test that waits for the line sees it at once. The
 * address and the port are those that the kernel has given to the socket
 * listener; addr_format says how they are written.
 *
 * Returns 0. Otherwise it returns -1 with errno, and puts into *failed what has
 * failed: "getsockname" or "standard output".
 */
int listener_announce(int listener, const char **failed);

#endif
