/*
 * connection: a connection to a server, by TCP or TLS, and the bytes that have
 * come over it and are not read yet. Built by lesson 31.
 */
#ifndef HTTP_CLIENT_CONNECTION_H
#define HTTP_CLIENT_CONNECTION_H

#include "deadline.h"
#include "http.h"
#include "resolve.h"
#include "socks.h"
#include "url.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How we reach a server, and whom we trust. */
struct connection_options {
    const char *ca_file;       /* or NULL: those whom this system trusts */
    struct resolve *resolve;   /* or NULL: getaddrinfo looks up names */
    struct socks_proxy *proxy; /* or NULL: we connect to the server itself */
};

/* The caller sets fd to -1, and the deadline, and leaves the rest 0. In the end
 * it closes the connection, and frees the context. */
struct connection {
    int fd; /* or -1 if there is none */
    SSL_CTX *context;
    SSL *ssl;        /* or NULL for HTTP without TLS */
    bool is_kept;    /* it has had a request before */
    bool has_failed; /* a call of OpenSSL for it */
    struct url server;
    struct deadline deadline;
    size_t begin; /* the unread bytes are those from begin to end */
    size_t end;
    char buffer[HTTP_HEAD_BYTES];
};

/*
 * Connects to the server of the URL, through the proxy if there is one
 * (connection_options), and makes the handshake if the URL begins with https.
 * No connection may be open. With https, the server must prove that it has the
 * host's name: lesson 08. The first connection with https makes the context.
 *
 * Returns 0. Otherwise it returns -1 after it has reported the error, and no
 * connection is open.
 */
int connection_open(struct connection *connection, const struct url *url,
                    const struct connection_options *options);

/* Closes the connection, if there is one. With TLS, the server is told that no
 * more will come, unless a call has failed. */
void connection_close(struct connection *connection);

/* Sends all bytes, of which there are length. Returns 0, or -1 with errno, or
 * with errors of OpenSSL: connection_warn_of_call can report them. If the
 * deadline has passed, errno is ETIMEDOUT, also with TLS. */
int connection_send(struct connection *connection, const char *bytes,
                    size_t length);

/* Receives more bytes into the buffer, in which there must be room for one.
 * Returns how many, 0 at the end, or -1 with errno, or with errors of OpenSSL:
 * connection_warn_of_receive can report them. If the deadline has passed, errno
 * is ETIMEDOUT, also with TLS. With TLS, an end without close_notify is an
 * error: lesson 08. */
ssize_t connection_fill(struct connection *connection);

/* Reports why a call has failed. call is its name without TLS, such as "send
 * to", and tls_call its name with TLS, such as "SSL_write". */
void connection_warn_of_call(const struct connection *connection,
                             const char *call, const char *tls_call);

/* Reports why connection_fill has failed. */
void connection_warn_of_receive(const struct connection *connection);

#endif
