/* tls: sets up OpenSSL so that a client verifies its server always. */
#define _GNU_SOURCE

#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The longest host name, and a NUL; and the longest label: RFC 1035. */
enum { HOST_BYTES = 254, LABEL_BYTES = 63 };

/* Reasons of our own in OpenSSL's queue: own_words has the words. */
enum { KEY_FOR_OTHERS = 100, KEY_OF_ANOTHER };

static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* Both sides demand the same of each other. */
static SSL_CTX *make_context(const SSL_METHOD *side) {
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
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, ciphers) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static int load_roots(SSL_CTX *context, const char *ca_file) {
    int loaded;
    if (ca_file == NULL)
        loaded = SSL_CTX_set_default_verify_paths(context);
    else
        loaded = SSL_CTX_load_verify_file(context, ca_file);
    return loaded == 1 ? 0 : -1;
}

/* With a list, every authority in a chain must have one, not only the last. */
static int load_revocation_lists(SSL_CTX *context, const char *crl_file) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lists = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lists == NULL)
        return -1;
    if (X509_load_crl_file(lists, crl_file, X509_FILETYPE_PEM) < 1)
        return -1;
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
                                X509_V_FLAG_CRL_CHECK |
                                    X509_V_FLAG_CRL_CHECK_ALL);
    return 0;
}

SSL_CTX *tls_client_context(const char *ca_file, const char *crl_file) {
    ERR_clear_error();
    SSL_CTX *context = make_context(TLS_client_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (load_roots(context, ca_file) < 0 ||
        (crl_file != NULL && load_revocation_lists(context, crl_file) < 0)) {
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

/* OpenSSL calls this when a key is protected by a passphrase. Without it,
 * OpenSSL would ask at the terminal. Its type is given: pem_password_cb(3).
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int refuse_passphrase(char *buffer, int size, int writing,
                             void *was_asked) {
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)was_asked = true;
    return -1;
}

static int use_key(SSL_CTX *context, const char *key_file) {
    bool was_asked = false;
    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &was_asked);
    int used = SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (was_asked) {
        ERR_clear_error();
        ERR_raise(ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ);
    }
    return used == 1 ? 0 : -1;
}

/* OpenSSL opens a folder like a file, and finds nothing in it. */
static int refuse_folder(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
        return 0;
    ERR_raise(ERR_LIB_SYS, EISDIR);
    return -1;
}

/* Whoever has a copy of our key can pretend to be us, so no other user may use
 * its file. The file's owner always can, so the owner must be us, or root, who
 * can read every file anyway. Returns 0, or -1. */
static int check_key_is_private(const char *key_file) {
    struct stat key;
    if (stat(key_file, &key) < 0)
        return -1;
    if ((key.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        ERR_raise(ERR_LIB_USER, KEY_FOR_OTHERS);
        return -1;
    }
    if (key.st_uid != geteuid() && key.st_uid != 0) {
        ERR_raise(ERR_LIB_USER, KEY_OF_ANOTHER);
        return -1;
    }
    return 0;
}

int tls_use_certificate(SSL_CTX *context, const char *chain_file,
                        const char *key_file) {
    ERR_clear_error();
    if (refuse_folder(chain_file) < 0 || refuse_folder(key_file) < 0)
        return -1;
    if (SSL_CTX_use_certificate_chain_file(context, chain_file) != 1)
        return -1;
    if (use_key(context, key_file) < 0)
        return -1;
    /* Do the two belong together? This asks for any kind of key. */
    if (SSL_CTX_check_private_key(context) != 1)
        return -1;
    if (check_key_is_private(key_file) < 0)
        return -1;
    ERR_clear_error();
    return 0;
}

SSL_CTX *tls_server_context(const char *chain_file, const char *key_file) {
    char groups[] = "X25519:P-256:P-384"; /* not const: a macro casts it */
    ERR_clear_error();
    SSL_CTX *context = make_context(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(context, 0) != 1 ||
        SSL_CTX_set1_groups_list(context, groups) != 1 ||
        tls_use_certificate(context, chain_file, key_file) < 0) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

/* What a label of a host name may consist of, and the name of a zone. */
static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_";

/* Copies the name as it stands in certificates: without a dot at its end.
 * Returns 0, or -1 if it is not a host name. A host name consists of labels
 * with dots between them, each of 1 to 63 bytes: RFC 1035, section 2.3.1,
 * allows letters, digits and hyphens; an underscore is common. The last one is
 * never a number, so that no name looks like an address: RFC 1123, section 2.1.
 * To OpenSSL an empty name means any host, and a name with a dot in front any
 * host below that name. We want one host. */
static int copy_host_name(const char *name, char host[HOST_BYTES]) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length >= HOST_BYTES)
        return -1;
    memcpy(host, name, length);
    host[length] = '\0';

    const char *label = host;
    for (;;) {
        size_t bytes = strspn(label, name_characters);
        if (bytes < 1 || bytes > LABEL_BYTES)
            return -1;
        if (label[bytes] == '\0')
            break;
        if (label[bytes] != '.')
            return -1;
        label += bytes + 1;
    }
    /* label is now the last one. */
    size_t digits = strspn(label, "0123456789");
    if (label[digits] == '\0')
        return -1;
    return 0;
}

/* Copies an IPv4 or IPv6 address without its zone: fe80::1%lo becomes fe80::1,
 * because a zone means something on this machine only. Returns 0, or -1 if the
 * name is not an address. */
static int copy_address(const char *name, char address[HOST_BYTES]) {
    struct in6_addr number; /* there is room for either */
    size_t length = strcspn(name, "%");
    if (length >= HOST_BYTES)
        return -1;
    memcpy(address, name, length);
    address[length] = '\0';
    if (name[length] == '\0' && inet_pton(AF_INET, address, &number) == 1)
        return 0;
    if (inet_pton(AF_INET6, address, &number) != 1)
        return -1;
    if (name[length] == '\0')
        return 0;
    const char *zone = name + length + 1;
    size_t bytes = strspn(zone, name_characters);
    if (bytes == 0 || zone[bytes] != '\0')
        return -1;
    return 0;
}

/* Says whose certificate we want, and asks the server for it by that name. */
static int set_peer_name(SSL *ssl, const char *name) {
    char host[HOST_BYTES];
    /* The server is never asked for an address: RFC 6066, section 3. */
    if (copy_address(name, host) == 0) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1)
            return -1;
        return 0;
    }
    if (copy_host_name(name, host) < 0)
        return -1;
    if (SSL_set1_host(ssl, host) != 1)
        return -1;
    if (SSL_set_tlsext_host_name(ssl, host) != 1)
        return -1;
    return 0;
}

SSL *tls_client(SSL_CTX *context, int fd, const char *name) {
    ERR_clear_error();
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        return NULL;
    if (SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (set_peer_name(ssl, name) < 0) {
        SSL_free(ssl);
        ERR_raise(ERR_LIB_SSL, SSL_R_SSL3_EXT_INVALID_SERVERNAME);
        errno = EINVAL;
        return NULL;
    }
    ERR_clear_error();
    return ssl;
}

static enum tls_result wait_for(SSL *ssl, short events,
                                struct deadline deadline) {
    if (deadline_wait(deadline, SSL_get_fd(ssl), events) < 0)
        return TLS_FAILED;
    return TLS_RETRY;
}

enum tls_result tls_wait(SSL *ssl, int result, struct deadline deadline) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(ssl, POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(ssl, POLLOUT, deadline);
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        return TLS_FAILED;
    }
}

int tls_handshake(SSL *ssl, struct deadline deadline) {
    ERR_clear_error();
    for (;;) {
        int result;
        if (SSL_is_server(ssl) != 0)
            result = SSL_accept(ssl);
        else
            result = SSL_connect(ssl);
        if (result == 1)
            return 0;
        switch (tls_wait(ssl, result, deadline)) {
        case TLS_RETRY:
            break;
        case TLS_CLOSED: /* OpenSSL sees no error in that, and leaves none */
            errno = ECONNABORTED;
            return -1;
        case TLS_FAILED:
            return -1;
        }
    }
}

const char *tls_subject(const SSL *ssl, char *subject) {
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    int length = 0;
    (void)ERR_set_mark(); /* 0 means that the queue is empty: no error */
    BIO *memory = BIO_new(BIO_s_mem());
    if (certificate != NULL && memory != NULL &&
        X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0,
                           XN_FLAG_RFC2253) >= 0)
        length = BIO_read(memory, subject, TLS_SUBJECT_BYTES - 1);
    if (length < 0) /* the memory is empty */
        length = 0;
    subject[length] = '\0';
    BIO_free(memory);
    (void)ERR_pop_to_mark(); /* what went wrong here concerns no other call */
    return subject;
}

/* An alert is an error that the peer found and told us of. OpenSSL adds its
 * number to SSL_AD_REASON_OFFSET. Above those are the reasons that all parts of
 * OpenSSL share, such as a lack of memory. */
static bool is_alert(unsigned long code) {
    int reason = ERR_GET_REASON(code);
    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
           reason <= SSL_AD_REASON_OFFSET + UINT8_MAX;
}

/* What check_key_is_private has found. */
static const char *key_words(int reason) {
    switch (reason) {
    case KEY_FOR_OTHERS:
        return "other users may use the key's file";
    case KEY_OF_ANOTHER:
        return "the key's file belongs to another user";
    default:
        return NULL;
    }
}

/* Where OpenSSL's own words help nobody, these are ours. Returns NULL for all
 * other errors. */
static const char *own_words(unsigned long code) {
    if (ERR_GET_LIB(code) == ERR_LIB_PEM &&
        ERR_GET_REASON(code) == PEM_R_BAD_PASSWORD_READ)
        return "the key has a passphrase"; /* tls_use_certificate reports it */
    if (ERR_GET_LIB(code) == ERR_LIB_USER)
        return key_words(ERR_GET_REASON(code));
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return NULL;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return "cut short: it ended without close_notify";
    case SSL_R_SSL3_EXT_INVALID_SERVERNAME: /* tls_client reports it */
        return "not a host name or an address";
    case SSL_R_WRONG_VERSION_NUMBER:
        return "it does not speak TLS";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "certificate required"; /* OpenSSL 3.0 has no word for it */
    default:
        return NULL;
    }
}

/* What an error from the queue means, in words. */
static const char *queued_reason(unsigned long code) {
    const char *words = own_words(code);
    if (words != NULL)
        return words;
    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    if (is_alert(code))
        return SSL_alert_desc_string_long(ERR_GET_REASON(code) -
                                          SSL_AD_REASON_OFFSET);
    return ERR_reason_error_string(code);
}

/* When the queue is empty, errno has the reason. */
static const char *system_reason(int error) {
    if (error == ETIMEDOUT)
        return "deadline passed";
    return strerror(error);
}

const char *tls_explain(const SSL *ssl, char *reason) {
    int error = errno; /* before anything here can change it */
    unsigned long code = ERR_peek_error();
    long verdict = X509_V_OK;
    const char *prefix = "";
    const char *words = NULL;

    if (ssl != NULL)
        verdict = SSL_get_verify_result(ssl);
    /* A lack of memory comes first, as it can cause all of the others. */
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
        words = strerror(ENOMEM);
    } else if (verdict != X509_V_OK) {
        prefix = "not believed: ";
        words = X509_verify_cert_error_string(verdict);
    } else if (is_alert(code)) {
        prefix = "refused by the other side: ";
        words = queued_reason(code);
    } else if (code != 0) {
        words = queued_reason(code);
    }
    if (words == NULL)
        words = system_reason(error);
    (void)snprintf(reason, TLS_REASON_BYTES, "%s%s", prefix, words);
    ERR_clear_error();
    return reason;
}
