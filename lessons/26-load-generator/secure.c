/* secure: the clients' side of TLS, if this program was built with OpenSSL. */
#define _GNU_SOURCE

#include "secure.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#if __has_include(<openssl/ssl.h>) && !defined(WITHOUT_OPENSSL)
#include <openssl/opensslv.h>
#ifdef OPENSSL_VERSION_MAJOR /* since version 3 */
#define HAS_TLS 1
#endif
#endif

#ifdef HAS_TLS
#include "tls.h"

#include <openssl/err.h>

/* A client of a crowd is silent most of the time, and there may be thousands of
 * them, so OpenSSL gives its buffers back when they are empty. secure_send is
 * told of each record that has left, as the reply to it may be here before the
 * next one has left. And OpenSSL reads as much as has come: otherwise it first
 * reads the five bytes before a record, and then the record. */
int secure_open(struct secure *secure, const char *ca_file, const char *name,
                char *reason) {
    secure->name = name;
    secure->context = tls_client_context(ca_file, NULL);
    if (secure->context == NULL) {
        (void)tls_explain(NULL, reason);
        return -1;
    }
    (void)SSL_CTX_set_mode(secure->context, SSL_MODE_RELEASE_BUFFERS |
                                                SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_read_ahead(secure->context, 1);
    return 0;
}

struct ssl_st *secure_connect(const struct secure *secure, int fd,
                              struct deadline deadline, char *reason) {
    SSL *ssl = tls_client(secure->context, fd, secure->name);
    if (ssl == NULL) {
        (void)tls_explain(NULL, reason);
        return NULL;
    }
    if (tls_handshake(ssl, deadline) < 0) {
        (void)tls_explain(ssl, reason);
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

/* Sets errno for a call that has returned 0 or less, or returns 0 if it was the
 * end. */
static ssize_t explain(const SSL *ssl, int result) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        return -1; /* errno is the reason */
    default:
        errno = EPROTO;
        return -1;
    }
}

static int limit(size_t length) {
    if (length > INT_MAX)
        return INT_MAX;
    return (int)length;
}

ssize_t secure_send(struct ssl_st *ssl, const char *bytes, size_t length) {
    ERR_clear_error();
    int result = SSL_write(ssl, bytes, limit(length));
    if (result > 0)
        return result;
    return explain(ssl, result);
}

ssize_t secure_recv(struct ssl_st *ssl, char *bytes, size_t length) {
    ERR_clear_error();
    int result = SSL_read(ssl, bytes, limit(length));
    if (result > 0)
        return result;
    return explain(ssl, result);
}

bool secure_has_more(const struct ssl_st *ssl) {
    return SSL_has_pending(ssl);
}

void secure_end(struct ssl_st *ssl, bool is_healthy) {
    if (ssl == NULL)
        return;
    /* We do not wait for the server's answer. After an error SSL_shutdown must
     * not be called: SSL_shutdown(3). */
    if (is_healthy)
        (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

void secure_close(struct secure *secure) {
    SSL_CTX_free(secure->context);
    secure->context = NULL;
}

#else

int secure_open(struct secure *secure, const char *ca_file, const char *name,
                char *reason) {
    (void)ca_file;
    secure->context = NULL;
    secure->name = name;
    (void)snprintf(reason, SECURE_REASON_BYTES,
                   "this program was built without OpenSSL 3");
    return -1;
}

struct ssl_st *secure_connect(const struct secure *secure, int fd,
                              struct deadline deadline, char *reason) {
    (void)secure;
    (void)fd;
    (void)deadline;
    (void)reason;
    return NULL;
}

ssize_t secure_send(struct ssl_st *ssl, const char *bytes, size_t length) {
    (void)ssl;
    (void)bytes;
    (void)length;
    errno = EPROTO;
    return -1;
}

ssize_t secure_recv(struct ssl_st *ssl, char *bytes, size_t length) {
    (void)ssl;
    (void)bytes;
    (void)length;
    errno = EPROTO;
    return -1;
}

bool secure_has_more(const struct ssl_st *ssl) {
    (void)ssl;
    return false;
}

void secure_end(struct ssl_st *ssl, bool is_healthy) {
    (void)is_healthy;
    (void)ssl;
}

void secure_close(struct secure *secure) {
    secure->context = NULL;
}

#endif
