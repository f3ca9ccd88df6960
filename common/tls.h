/*
 * tls: OpenSSL, set up so that it believes nobody without proof, and its errors
 * as one sentence. Built by lesson 08.
 *
 * There is no way to ask it for less: a client's peer is verified, always.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include "deadline.h"

#include <openssl/ssl.h>

enum {
    TLS_REASON_BYTES = 256,  /* the longest sentence of tls_explain */
    TLS_SUBJECT_BYTES = 256, /* the longest name of tls_subject */
};

/*
 * What all clients of these roots share: TLS 1.2 at least, ciphers with forward
 * secrecy and AEAD, certificates held to RFC 5280. ca_file has the roots, as
 * PEM, or is NULL for those that this system trusts; crl_file has a revocation
 * list of each authority that may have signed a server's certificate, or is
 * NULL, when nothing is known to be revoked. The caller frees it, with
 * SSL_CTX_free(3). NULL when it cannot be made: see tls_explain.
 */
SSL_CTX *tls_client_context(const char *ca_file, const char *crl_file);

/*
 * The same for a server: who it is says tls_use_certificate's pair of files. It
 * asks its clients for no certificate (lesson 10 does), and gives out no
 * tickets, with which one who was asked once need not be asked again.
 */
SSL_CTX *tls_server_context(const char *chain_file, const char *key_file);

/*
 * Our own certificate, with those between it and the root behind it, and the
 * private key that belongs to it: both PEM. Returns 0; or -1 when one of them
 * is no such thing, or they don't belong together: see tls_explain.
 */
int tls_use_certificate(SSL_CTX *context, const char *chain_file,
                        const char *key_file);

/*
 * TLS over fd, a connected socket that stays the caller's, for a client that
 * wants to talk to name and to nobody else: a name, or an address in numbers.
 * Its handshake, SSL_connect(3), has yet to be made. The caller frees it, with
 * SSL_free(3). NULL and errno EINVAL when name is neither, else see
 * tls_explain.
 */
SSL *tls_client(SSL_CTX *context, int fd, const char *name);

/*
 * Right after a call on a non-blocking socket returned result, 0 or less: waits
 * until it is of use to make the same call again, with the same arguments.
 * Returns 1 then; 0 when the peer has said that this was all (close_notify), or
 * -1: see tls_explain. (Lesson 11 has the other ways in which a call can end.)
 */
int tls_wait(SSL *ssl, int result, struct deadline deadline);

/*
 * Shakes hands, by the deadline: SSL_accept(3) on a server's side, on a
 * client's SSL_connect(3). Returns 0; or -1: see tls_explain.
 */
int tls_handshake(SSL *ssl, struct deadline deadline);

/*
 * Whose certificate the other side has shown, its subject as RFC 2253 writes
 * it, "CN=alice,O=us", with all that could upset a terminal escaped. Returns
 * text, which has TLS_SUBJECT_BYTES: what is longer is cut off, and nothing is
 * written for one who has shown none.
 */
const char *tls_subject(const SSL *ssl, char *text);

/*
 * Why the last call failed, from OpenSSL's queue of errors, which is empty
 * then, from errno, and, unless ssl is NULL, from what was thought of the
 * peer's certificate. Returns text, which has TLS_REASON_BYTES.
 */
const char *tls_explain(const SSL *ssl, char *text);

#endif
