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

/* What may be wrong with the file of our key. We put these reasons into
 * OpenSSL's queue, with ERR_LIB_USER and the file's name: key_words has the
 * words. A smaller number is an errno. */
enum {
    KEY_FOR_OTHERS = 1000,
    KEY_OF_ANOTHER,
    KEY_HAS_PASSPHRASE,
    KEY_NOT_PEM,
};

static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* Makes a context with the rules that a client and a server have in common. */
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

/* OpenSSL's functions return 1 when they succeed. Ours return 0 then, or -1. */
static int from_openssl(int result) {
    if (result == 1)
        return 0;
    return -1;
}

/* Returns true if the path leads to a folder. OpenSSL opens a folder as if it
 * were a file, finds no certificate in it, and says only that. */
static bool is_folder(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0)
        return false; /* OpenSSL will say why it cannot be opened */
    return S_ISDIR(status.st_mode);
}

static int load_roots(SSL_CTX *context, const char *ca_file) {
    if (ca_file == NULL)
        return from_openssl(SSL_CTX_set_default_verify_paths(context));
    if (is_folder(ca_file)) {
        ERR_raise(ERR_LIB_SYS, EISDIR);
        return -1;
    }
    return from_openssl(SSL_CTX_load_verify_file(context, ca_file));
}

/* CRL_CHECK asks only for the list of the authority that signed the server's
 * own certificate. With CRL_CHECK_ALL, every authority in the chain must have
 * one. */
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

static int load_trust(SSL_CTX *context, const char *ca_file,
                      const char *crl_file) {
    if (load_roots(context, ca_file) < 0)
        return -1;
    if (crl_file == NULL)
        return 0;
    return load_revocation_lists(context, crl_file);
}

SSL_CTX *tls_client_context(const char *ca_file, const char *crl_file) {
    ERR_clear_error();
    SSL_CTX *context = make_context(TLS_client_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (load_trust(context, ca_file, crl_file) < 0) {
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

/* Returns true if OpenSSL has read a file, and has not found in it what it was
 * looking for. The reason is named differently for each kind of file. */
static bool is_not_pem(unsigned long code) {
    int reason = ERR_GET_REASON(code);
    switch (ERR_GET_LIB(code)) {
    case ERR_LIB_PEM: /* a certificate, or a list of revoked ones */
        return reason == PEM_R_NO_START_LINE || reason == PEM_R_BAD_END_LINE;
    case ERR_LIB_X509: /* the roots that we trust */
        return reason == X509_R_NO_CERTIFICATE_OR_CRL_FOUND;
    case ERR_LIB_OSSL_DECODER: /* a key */
        return reason == ERR_R_UNSUPPORTED;
    default:
        return false;
    }
}

/* OpenSSL calls this when a key is protected by a passphrase. Without it,
 * OpenSSL would ask at the terminal. Its type is given: pem_password_cb(3). The
 * last argument is the one that use_key has set: a pointer to a bool.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int refuse_passphrase(char *buffer, int size, int writing,
                             void *userdata) {
    bool *was_asked = userdata;
    (void)buffer;
    (void)size;
    (void)writing;
    *was_asked = true;
    return -1;
}

/* Makes this the reason for tls_explain, whatever OpenSSL has reported. Returns
 * -1. */
static int refuse_key(const char *key_file, int reason) {
    ERR_clear_error();
    ERR_raise_data(ERR_LIB_USER, reason, "%s", key_file);
    return -1;
}

static int use_key(SSL_CTX *context, const char *key_file) {
    if (is_folder(key_file))
        return refuse_key(key_file, EISDIR);

    bool was_asked = false;
    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &was_asked);
    int used = SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (was_asked)
        return refuse_key(key_file, KEY_HAS_PASSPHRASE);
    unsigned long code = ERR_peek_error();
    if (used != 1 && ERR_SYSTEM_ERROR(code))
        return refuse_key(key_file, ERR_GET_REASON(code));
    if (used != 1 && is_not_pem(code))
        return refuse_key(key_file, KEY_NOT_PEM);
    return from_openssl(used);
}

/* Whoever has a copy of our key can pretend to be us, so no other user may use
 * its file. The file's owner always can, so the owner must be us, or root, who
 * can read every file anyway. Returns 0, or -1. */
static int check_key_is_private(const char *key_file) {
    struct stat key;
    if (stat(key_file, &key) < 0)
        return refuse_key(key_file, errno);
    if ((key.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return refuse_key(key_file, KEY_FOR_OTHERS);
    if (key.st_uid != geteuid() && key.st_uid != 0)
        return refuse_key(key_file, KEY_OF_ANOTHER);
    return 0;
}

int tls_use_certificate(SSL_CTX *context, const char *chain_file,
                        const char *key_file) {
    ERR_clear_error();
    if (is_folder(chain_file)) {
        ERR_raise(ERR_LIB_SYS, EISDIR);
        return -1;
    }
    if (SSL_CTX_use_certificate_chain_file(context, chain_file) != 1)
        return -1;
    if (use_key(context, key_file) < 0)
        return -1;
    /* Do certificate and key belong together? */
    if (SSL_CTX_check_private_key(context) != 1)
        return -1;
    if (check_key_is_private(key_file) < 0)
        return -1;
    ERR_clear_error();
    return 0;
}

/* A server neither gives out sessions nor remembers them, so every connection
 * makes a whole handshake. SSL_OP_NO_TICKET is enough for TLS 1.2 only, so for
 * TLS 1.3 we also set the number of tickets to 0. */
static int set_server_rules(SSL_CTX *context) {
    char groups[] = "X25519:P-256:P-384"; /* not const: a macro casts it */
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(context, 0) != 1)
        return -1;
    if (SSL_CTX_set1_groups_list(context, groups) != 1)
        return -1;
    return 0;
}

SSL_CTX *tls_server_context(const char *chain_file, const char *key_file) {
    ERR_clear_error();
    SSL_CTX *context = make_context(TLS_server_method());
    if (context == NULL)
        return NULL;
    if (set_server_rules(context) < 0 ||
        tls_use_certificate(context, chain_file, key_file) < 0) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

/* The characters of a host name's labels, and of the name of a zone. */
#define NAME_CHARACTERS          \
    "abcdefghijklmnopqrstuvwxyz" \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
    "0123456789-_"

/* Returns the length of the label at the start of text, which ends at a dot or
 * at the end of text. Returns 0 if there is no valid label. RFC 1035, section
 * 2.3.1, allows 1 to 63 letters, digits and hyphens; an underscore is common.
 */
static size_t label_length(const char *text) {
    size_t length = strspn(text, NAME_CHARACTERS);
    if (length > LABEL_BYTES)
        return 0;
    if (text[length] != '.' && text[length] != '\0')
        return 0;
    return length;
}

/* A host name consists of labels with dots between them. The last label is
 * never a number, so that no name looks like an address: RFC 1123, section 2.1.
 * Why do we check this? To OpenSSL an empty name means any host, and a name
 * with a dot in front means any host below that name. We want one host. */
static bool is_host_name(const char *text) {
    const char *label = text;
    size_t length = label_length(label);
    while (length > 0 && label[length] == '.') {
        label += length + 1; /* the label behind the dot */
        length = label_length(label);
    }
    if (length == 0)
        return false;
    /* label is now the last label. It must not be a number. */
    size_t digits = strspn(label, "0123456789");
    return label[digits] != '\0';
}

/* Copies the name as it stands in certificates: without a dot at its end.
 * Returns 0, or -1 if it is not a host name. */
static int copy_host_name(const char *name, char host[HOST_BYTES]) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length >= HOST_BYTES)
        return -1;
    memcpy(host, name, length);
    host[length] = '\0';
    if (!is_host_name(host))
        return -1;
    return 0;
}

/* The name of an interface, such as "lo" or "eth0.100". */
static bool is_zone(const char *text) {
    size_t length = strspn(text, NAME_CHARACTERS ".");
    return length > 0 && text[length] == '\0';
}

/* Copies an IPv4 or IPv6 address without its zone: fe80::1%lo becomes fe80::1,
 * because a zone means something on this machine only. Returns 0, or -1 if the
 * name is not an address. */
static int copy_address(const char *name, char address[HOST_BYTES]) {
    struct in6_addr number; /* has room for an IPv4 address too */
    size_t length = strcspn(name, "%");
    if (length >= HOST_BYTES)
        return -1;
    memcpy(address, name, length);
    address[length] = '\0';

    bool has_zone = name[length] == '%';
    if (has_zone && !is_zone(name + length + 1))
        return -1;
    if (inet_pton(AF_INET6, address, &number) == 1)
        return 0;
    /* Only an IPv6 address may have a zone. */
    if (!has_zone && inet_pton(AF_INET, address, &number) == 1)
        return 0;
    return -1;
}

/* Tells OpenSSL whose certificate the server must show. If that is a host name,
 * the server is also asked for it by that name (SNI). */
static int set_peer_name(SSL *ssl, const char *name) {
    char host[HOST_BYTES];
    /* An address is not sent to the server: RFC 6066, section 3. */
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

/* Writes the subject into text, without a NUL, by way of a BIO, a buffer of
 * OpenSSL. Returns its length, or 0 if there is none or a call fails. */
static int copy_subject(const X509 *certificate, char *text) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL)
        return 0;
    int length = 0;
    if (X509_NAME_print_ex(memory, subject, 0, XN_FLAG_RFC2253) >= 0)
        length = BIO_read(memory, text, TLS_SUBJECT_BYTES - 1);
    BIO_free(memory);
    if (length < 0) /* the subject is empty, so there was nothing to read */
        return 0;
    return length;
}

const char *tls_subject(const SSL *ssl, char *subject) {
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    int length = 0;
    (void)ERR_set_mark(); /* returns 0 when the queue is empty: no error */
    if (certificate != NULL)
        length = copy_subject(certificate, subject);
    subject[length] = '\0';
    (void)ERR_pop_to_mark(); /* what went wrong here concerns no other call */
    return subject;
}

/* An alert is an error that the peer has found and reported to us. Its number
 * is one byte. OpenSSL adds SSL_AD_REASON_OFFSET to that number to make a
 * reason. The reasons above those are common to all parts of OpenSSL, such as a
 * lack of memory. */
static bool is_alert(unsigned long code) {
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return false;
    int number = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;
    return number > 0 && number <= UINT8_MAX;
}

static const char not_pem[] = "it holds nothing useful in PEM form";

/* The words for what refuse_key has reported. */
static const char *key_words(int reason) {
    switch (reason) {
    case KEY_FOR_OTHERS:
        return "other users may use it";
    case KEY_OF_ANOTHER:
        return "it belongs to another user";
    case KEY_HAS_PASSPHRASE:
        return "it has a passphrase";
    case KEY_NOT_PEM:
        return not_pem;
    default:
        return strerror(reason);
    }
}

/* Returns our own words for the errors that OpenSSL does not explain well, and
 * NULL for all other errors. */
static const char *own_words(unsigned long code) {
    if (is_not_pem(code))
        return not_pem;
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

/* Returns the words for an error from the queue, or NULL if there are none. */
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
    if (error == ECONNABORTED) /* tls_handshake sets it */
        return "it has closed";
    if (error == ETIMEDOUT)
        return "deadline passed";
    return strerror(error);
}

const char *tls_explain(const SSL *ssl, char *reason) {
    int error = errno;     /* before anything here can change it */
    const char *data = ""; /* what the error is about: refuse_key sets it */
    unsigned long code = ERR_peek_error_all(NULL, NULL, NULL, &data, NULL);
    long verdict = X509_V_OK;
    const char *prefix = "";
    const char *words = NULL;

    if (ssl != NULL)
        verdict = SSL_get_verify_result(ssl);
    /* We ask for a lack of memory first, because it can cause all other errors.
     */
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
        words = strerror(ENOMEM);
    } else if (verdict != X509_V_OK) {
        prefix = "not believed: ";
        words = X509_verify_cert_error_string(verdict);
    } else if (is_alert(code)) {
        prefix = "refused by the other side: ";
        words = queued_reason(code);
    } else if (ERR_GET_LIB(code) == ERR_LIB_ASN1) {
        /* What is wrong stands within a certificate or a key. */
        prefix = "damaged: ";
        words = queued_reason(code);
    } else if (code != 0) {
        words = queued_reason(code);
    }
    if (words == NULL)
        words = system_reason(error);
    if (ERR_GET_LIB(code) == ERR_LIB_USER)
        (void)snprintf(reason, TLS_REASON_BYTES, "key %s: %s", data, words);
    else
        (void)snprintf(reason, TLS_REASON_BYTES, "%s%s", prefix, words);
    ERR_clear_error();
    return reason;
}
