/*
 * secure: the clients' side of TLS, if this program was built with OpenSSL 3.
 * Without it, secure_open says so; of the rest, only secure_end and
 * secure_close are called then, and they do nothing. Built by lesson 26, for
 * the load on lesson 27's server.
 */
#ifndef SECURE_H
#define SECURE_H

#include "deadline.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SECURE_REASON_BYTES = 256 };

/* What OpenSSL's header calls SSL_CTX and SSL. With these names, whoever
 * includes this header does not need OpenSSL's. */
struct ssl_ctx_st;
struct ssl_st;

/* What all clients have in common. */
struct secure {
    struct ssl_ctx_st *context; /* NULL: no TLS, but plain TCP */
    const char *name;           /* who the server must be */
};

/*
 * Prepares TLS to a server that must show a certificate for name, a host name
 * or an address, signed by an authority in the PEM file ca_file. name must live
 * as long as secure does. Returns 0, and then the caller gives secure to
 * secure_close in the end. Otherwise it returns -1, and reason, which has
 * SECURE_REASON_BYTES, says why in words.
 */
int secure_open(struct secure *secure, const char *ca_file, const char *name,
                char *reason);

/*
 * Makes the handshake over fd, a connected non-blocking socket, by the
 * deadline. Returns the connection, which the caller gives to secure_end; or
 * NULL, and reason, which has SECURE_REASON_BYTES, says why. The socket stays
 * the caller's.
 */
struct ssl_st *secure_connect(const struct secure *secure, int fd,
                              struct deadline deadline, char *reason);

/*
 * Sends length bytes, or a part of them, as send(2) does. Returns how many it
 * has sent. Otherwise it returns -1 with errno: EAGAIN when there is no room
 * now (then the next call must be for the same bytes), EPROTO when TLS has
 * failed, or an error of the socket.
 */
ssize_t secure_send(struct ssl_st *ssl, const char *bytes, size_t length);

/*
 * Receives at most length bytes, as recv(2) does. Returns how many it has
 * received, or 0 when the server has sent close_notify. Otherwise it returns -1
 * with errno: EAGAIN when nothing has come, EPROTO when TLS has failed or the
 * server has closed without close_notify, or an error of the socket.
 */
ssize_t secure_recv(struct ssl_st *ssl, char *bytes, size_t length);

/*
 * Returns whether OpenSSL has bytes which it has read from the socket, and
 * which secure_recv has not returned yet. epoll(7) does not see them. They may
 * also be a part of a record: then the next secure_recv fails with EAGAIN.
 */
bool secure_has_more(const struct ssl_st *ssl);

/* Frees a connection. If it is healthy, which means that no call for it has
 * failed, the server is first told that no more bytes will come. NULL is no
 * connection. */
void secure_end(struct ssl_st *ssl, bool is_healthy);

void secure_close(struct secure *secure);

#endif
