/* tls: OpenSSL, set up so that it believes nobody without proof. */
#define _GNU_SOURCE

#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* What both sides demand of each other. */
static SSL_CTX *strict_context(const SSL_METHOD *side) {
    SSL_CTX *context = SSL_CTX_new(side);
    if (context == NULL)
        return NULL;
    X509_VERIFY_PARAM *demands = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(demands, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_hostflags(demands,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(context, ciphers) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static int trust(SSL_CTX *context, const char *ca_file, const char *crl_file) {
    if (ca_file != NULL ? SSL_CTX_load_verify_file(context, ca_file) != 1
                        : SSL_CTX_set_default_verify_paths(context) != 1)
        return -1;
    if (crl_file == NULL)
        return 0;
    X509_LOOKUP *lists = X509_STORE_add_lookup(SSL_CTX_get_cert_store(context),
                                               X509_LOOKUP_file());
    if (lists == NULL ||
        X509_load_crl_file(lists, crl_file, X509_FILETYPE_PEM) < 1)
        return -1;
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
                                X509_V_FLAG_CRL_CHECK);
    return 0;
}

SSL_CTX *tls_client_context(const char *ca_file, const char *crl_file) {
    ERR_clear_error();
    SSL_CTX *context = strict_context(TLS_client_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (trust(context, ca_file, crl_file) == 0)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

int tls_use_certificate(SSL_CTX *context, const char *chain_file,
                        const char *key_file) {
    ERR_clear_error();
    return SSL_CTX_use_certificate_chain_file(context, chain_file) == 1 &&
                   SSL_CTX_use_PrivateKey_file(context, key_file,
                                               SSL_FILETYPE_PEM) == 1 &&
                   SSL_CTX_check_private_key(context) == 1 /* any kind */
               ? 0
               : -1;
}

SSL_CTX *tls_server_context(const char *chain_file, const char *key_file) {
    char groups[] = "X25519:P-256:P-384"; /* no const: it is a macro's */
    ERR_clear_error();
    SSL_CTX *context = strict_context(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(context, 0) == 1 &&
        SSL_CTX_set1_groups_list(context, groups) == 1 &&
        tls_use_certificate(context, chain_file, key_file) == 0)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

SSL *tls_client(SSL_CTX *context, int fd, const char *name) {
    ERR_clear_error();
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    /* An address is not asked for: RFC 6066, section 3. */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return ssl;
    /* OpenSSL takes no name for "any", and a dot in front for all below it. */
    if (*name != '\0' && *name != '.' && SSL_set1_host(ssl, name) == 1 &&
        SSL_set_tlsext_host_name(
            ssl, X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0)) == 1)
        return ssl;
    SSL_free(ssl);
    errno = EINVAL;
    return NULL;
}

int tls_wait(SSL *ssl, int result, struct deadline deadline) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return deadline_wait(deadline, SSL_get_fd(ssl), POLLIN) == 0 ? 1 : -1;
    case SSL_ERROR_WANT_WRITE:
        return deadline_wait(deadline, SSL_get_fd(ssl), POLLOUT) == 0 ? 1 : -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -1;
    }
}

int tls_handshake(SSL *ssl, struct deadline deadline) {
    ERR_clear_error();
    for (;;) {
        int result = SSL_is_server(ssl) ? SSL_accept(ssl) : SSL_connect(ssl);
        if (result == 1)
            return 0;
        int again = tls_wait(ssl, result, deadline);
        if (again == 0)
            errno = ECONNABORTED; /* by close_notify, which leaves no error */
        if (again != 1)
            return -1;
    }
}

const char *tls_subject(const SSL *ssl, char *text) {
    const X509 *shown = SSL_get0_peer_certificate(ssl);
    BIO *memory = BIO_new(BIO_s_mem());
    int length = 0;
    if (shown != NULL && memory != NULL &&
        X509_NAME_print_ex(memory, X509_get_subject_name(shown), 0,
                           XN_FLAG_RFC2253) >= 0)
        length = BIO_read(memory, text, TLS_SUBJECT_BYTES - 1);
    text[length > 0 ? length : 0] = '\0';
    BIO_free(memory);
    return text;
}

/* It came from the other side. Reasons that all of OpenSSL has in common, such
 * as want of memory, are numbers above those of alerts. */
static int is_alert(unsigned long code) {
    int reason = ERR_GET_REASON(code);
    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
           reason <= SSL_AD_REASON_OFFSET + UINT8_MAX;
}

/* Returns NULL when there is nothing in the queue. */
static const char *queued_reason(unsigned long code) {
    if (code == 0)
        return NULL;
    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
        int reason = ERR_GET_REASON(code);
        if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return "cut short: it ended without close_notify";
        if (reason == SSL_R_WRONG_VERSION_NUMBER)
            return "it does not speak TLS";
        if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
            return "certificate required"; /* OpenSSL 3.0 has no word for it */
        if (is_alert(code))
            return SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
    }
    return ERR_reason_error_string(code);
}

const char *tls_explain(const SSL *ssl, char *text) {
    int error = errno;
    unsigned long code = ERR_peek_error();
    long verdict = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    const char *reason = queued_reason(code);
    const char *who = "";
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
        reason = strerror(ENOMEM); /* whatever came of it */
    } else if (verdict != X509_V_OK) {
        who = "not believed: ";
        reason = X509_verify_cert_error_string(verdict);
    } else if (is_alert(code)) {
        who = "refused by the other side: ";
    } else if (reason == NULL) {
        reason = error == ETIMEDOUT ? "deadline passed" : strerror(error);
    }
    (void)snprintf(text, TLS_REASON_BYTES, "%s%s", who, reason);
    ERR_clear_error();
    return text;
}
