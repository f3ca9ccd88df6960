/*
 * listener: a TCP socket that waits for clients. Built by lesson 17.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include <sys/socket.h>

/* What listener_open can be asked for, joined by |. */
enum listener_option {
    LISTENER_ONLY_IPV6 = 1,  /* no IPv4 client on a socket of IPv6 */
    LISTENER_REUSE_PORT = 2, /* other sockets may listen on the port too */
};

/*
 * Opens a socket that listens at address, an IPv4 or IPv6 address of length
 * bytes with its port. Port 0 lets the kernel choose one. The address
 * in6addr_any, without LISTENER_ONLY_IPV6, takes clients of both families.
 * backlog is how many clients may wait to be accepted. options is 0, or values
 * of enum listener_option. A port that an ended server of ours has just left
 * may be taken again (SO_REUSEADDR).
 *
 * Returns the descriptor, which is close-on-exec and which the caller closes.
 * Otherwise it returns -1 with the reason in errno, and *failed is the name of
 * the call that failed, for example "bind". The name is a constant: don't free
 * it.
 */
int listener_open(const struct sockaddr *address, socklen_t length, int backlog,
                  int options, const char **failed);

/*
 * Prints the line "listening on ADDRESS:PORT" on standard output, where scripts
 * look for it, and flushes it. listener is a socket that listens.
 *
 * Returns 0, or -1 with the reason in errno, and *failed as above: "getsockname"
 * or "standard output".
 */
int listener_announce(int listener, const char **failed);

#endif
