/*
 * tls: sets up OpenSSL so that a client verifies its server always, waits for
 * its calls within a deadline, and says in one sentence why a call failed.
 * Built by lesson 08.
 *
 * OpenSSL puts its errors into a queue, one for each thread. SSL_get_error(3)
 * looks into that queue, so it mistakes an old error there for one of this
 * call. Therefore the queue must be empty before each call of SSL_read(3) and
 * its like. The functions here see to that: each that makes such a call empties
 * the queue first, and when it succeeds it leaves an empty queue. When it
 * fails, the reason is in the queue, in errno, or in the connection:
 * tls_explain reads all three, and empties the queue.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include "deadline.h"

#include <openssl/ssl.h>

enum {
    TLS_REASON_BYTES = 512,  /* room for a sentence of tls_explain, and a NUL */
    TLS_SUBJECT_BYTES = 256, /* room for a name of tls_subject, and a NUL */
};

/*
 * Makes what all connections of a client share: at least TLS 1.2, only ciphers
 * with forward secrecy that also authenticate (AEAD), certificates that follow
 * RFC 5280 strictly, and a server that must have a valid one.
 *
 * ca_file is the path of a file with the certificates of those whom we trust,
 * as PEM. NULL means those whom this system trusts. crl_file is the path of a
 * file, as PEM, with a list of revoked certificates (CRL) by every authority in
 * a server's chain, the root among them: where one is missing, the server is
 * refused. NULL means that no list is looked at.
 *
 * Returns a context, which the caller frees with SSL_CTX_free(3), or NULL: see
 * tls_explain.
 */
SSL_CTX *tls_client_context(const char *ca_file, const char *crl_file);

/*
 * Makes what all connections of a server share. The rules are those of
 * tls_client_context. The two files are those of tls_use_certificate. Clients
 * are not asked for a certificate: lesson 10 does that. The server gives out no
 * session tickets, so each connection makes a whole handshake, and shows anew
 * who it is.
 *
 * Returns a context, which the caller frees with SSL_CTX_free(3), or NULL: see
 * tls_explain.
 */
SSL_CTX *tls_server_context(const char *chain_file, const char *key_file);

/*
 * Gives a context our own certificate. chain_file is the path of a PEM file
 * with that certificate first, then those between it and the root. key_file is
 * the path of a PEM file with the private key that belongs to the certificate.
 * A key with a passphrase is refused: nobody is asked for it. Only the owner of
 * the key's file may have rights to it, and the owner must be us, or root:
 * lesson 09.
 *
 * Returns 0, or -1 when a file cannot be read or used, when other users may use
 * the key's file, or when key and certificate don't belong together: see
 * tls_explain. When the key's file is the cause, tls_explain names it.
 */
int tls_use_certificate(SSL_CTX *context, const char *chain_file,
                        const char *key_file);

/*
 * Makes a client's connection over fd, a connected socket. name is the server
 * that we want to talk to, and no other: a host name, or an IPv4 or IPv6
 * address in numbers. A host name consists of letters, digits, hyphens,
 * underscores and dots, and has at most 253 bytes. A dot at its end, and the
 * zone of an address such as fe80::1%lo, count for nothing. A host name is also
 * sent to the server (SNI, RFC 6066 section 3). The handshake has yet to be
 * made: see tls_handshake.
 *
 * Returns the connection, which the caller frees with SSL_free(3). The socket
 * stays the caller's, who closes it after that. Returns NULL when it fails: see
 * tls_explain. errno is EINVAL when name is neither a host name nor an address.
 */
SSL *tls_client(SSL_CTX *context, int fd, const char *name);

/* What to do after a call such as SSL_read(3) has returned 0 or less. */
enum tls_result {
    TLS_FAILED = -1, /* give up: tls_explain says why */
    TLS_CLOSED = 0,  /* the peer said that it sends no more: close_notify */
    TLS_RETRY = 1,   /* make the same call again, with the same arguments */
};

/*
 * Call this right after SSL_connect, SSL_accept, SSL_read or SSL_write on a
 * non-blocking socket returned 0 or less; result is what it returned. If the
 * call failed only because OpenSSL has to wait for its peer, tls_wait waits
 * until the socket is ready to receive or to send, but not longer than the
 * deadline, and returns TLS_RETRY. errno is ETIMEDOUT when it returns
 * TLS_FAILED because the deadline has passed. SSL_get_error(3) explains this;
 * lesson 11 shows all ways in which a call can end.
 */
enum tls_result tls_wait(SSL *ssl, int result, struct deadline deadline);

/*
 * Makes the handshake, by the deadline: SSL_accept(3) on a server's connection,
 * SSL_connect(3) on a client's. The socket must be non-blocking. Returns 0, or
 * -1: see tls_explain. A peer that sends close_notify instead is the error
 * ECONNABORTED.
 */
int tls_handshake(SSL *ssl, struct deadline deadline);

/*
 * Writes the subject of the peer's certificate into subject, which has
 * TLS_SUBJECT_BYTES, in the form of RFC 2253: "CN=alice,O=us". Control
 * characters are escaped, so it is safe to print. Returns subject. It is empty
 * when the peer showed no certificate, and what does not fit is cut off. It
 * does not say whether the certificate is valid: the handshake does.
 */
const char *tls_subject(const SSL *ssl, char *subject);

/*
 * Writes the reason why the last call failed into reason, which has
 * TLS_REASON_BYTES, as a sentence without a full stop; what does not fit is cut
 * off. ssl is the connection that the call was for, or NULL if there was none.
 * Returns reason. Call it before anything else that could change errno. It
 * never fails.
 */
const char *tls_explain(const SSL *ssl, char *reason);

#endif
