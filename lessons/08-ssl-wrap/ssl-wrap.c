/*
 * 08-ssl-wrap: talk to a server through TLS, once it has proved who it is.
 *
 * Shows what wraps a connected socket, and what is demanded before its peer is
 * believed: a certificate that leads to a trusted root, is in force, and is
 * made out to the name that we want to talk to. There is no way to demand less.
 *
 * usage: 08-ssl-wrap [-C CAFILE] [-R CRLFILE] [-n NAME] [-t SECONDS] HOST PORT
 *
 * Left out: a peer that answers while it is still being sent to (27); what each
 * SSL_ERROR_ asks us to do (11); a certificate of our own (10).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 14 }; /* as much as one record of TLS holds */

struct options {
    const char *ca_file;  /* NULL: what this system trusts */
    const char *crl_file; /* NULL: nothing is known to be revoked */
    char *name;           /* whom we want to talk to */
    int milliseconds;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 08-ssl-wrap [-C CAFILE] [-R CRLFILE] [-n NAME] [-t SECONDS] "
          "HOST PORT\n",
          out);
    exit(status);
}

/* Returns a connected socket, which is non-blocking then. */
static int dial(const char *host, const char *port, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    for (const struct addrinfo *to = list; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 &&
            deadline_connect(deadline, fd, to->ai_addr, to->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("%s %s", fd < 0 ? "socket" : "connect",
             addr_format(to->ai_addr, to->ai_addrlen, name));
        if (fd >= 0)
            (void)close(fd); /* nothing was sent on it that could be lost */
    }
    exit(1);
}

/* Ends the program: why is in the connection, OpenSSL's queue, or errno. */
static _Noreturn void fail(const char *call, const char *what, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, what, tls_explain(ssl, reason));
}

/* For a client that believes nobody but whom the roots vouch for. */
static SSL_CTX *make_context(const struct options *options) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new", "client", NULL);
    X509_VERIFY_PARAM *demands = SSL_CTX_get0_param(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (options->ca_file == NULL)
        (void)SSL_CTX_set_default_verify_paths(context); /* if there are any */
    else if (SSL_CTX_load_verify_file(context, options->ca_file) != 1)
        fail("trust", options->ca_file, NULL);
    if (options->crl_file != NULL) {
        X509_LOOKUP *lists = X509_STORE_add_lookup(
            SSL_CTX_get_cert_store(context), X509_LOOKUP_file());
        if (X509_load_crl_file(lists, options->crl_file, X509_FILETYPE_PEM) < 1)
            fail("revoked", options->crl_file, NULL);
        X509_VERIFY_PARAM_set_flags(demands, X509_V_FLAG_CRL_CHECK);
    }
    /* What certificates may not do since RFC 5280, and OpenSSL lets pass. */
    X509_VERIFY_PARAM_set_flags(demands, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_hostflags(demands,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* No key, no digest and no protocol that is within somebody's reach. */
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        fail("SSL_CTX_set_cipher_list", "ECDHE", NULL);
    return context;
}

/* Puts TLS over the socket, and says whose certificate is wanted. */
static SSL *wrap(SSL_CTX *context, int fd, char *name) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        fail("SSL_set_fd", name, NULL);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return ssl; /* an address, for which RFC 6066 has no name to ask for */
    /* OpenSSL takes no name for "any", and a dot in front for all below it. */
    if (*name == '\0' || *name == '.' || SSL_set1_host(ssl, name) != 1 ||
        SSL_set_tlsext_host_name(ssl, name) != 1)
        errx(1, "'%s' is not a name", name);
    return ssl;
}

/* Returns 1 when the same call is to be made again, 0 when the peer has said
 * that this was all; else ends the program. */
static int retries(const char *call, const char *name, SSL *ssl, int result,
                   struct deadline deadline) {
    int answer = tls_wait(ssl, result, deadline);
    if (answer < 0)
        fail(call, name, ssl);
    return answer;
}

/* Says whom we are talking to, and who vouches for that. */
static void report(const SSL *ssl) {
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    X509 *root = sk_X509_value(chain, sk_X509_num(chain) - 1);
    X509_NAME *own = X509_get_subject_name(sk_X509_value(chain, 0));
    fputs("it is ", stderr);
    X509_NAME_print_ex_fp(stderr, own, 0, XN_FLAG_RFC2253);
    fputs("\nsays  ", stderr);
    X509_NAME_print_ex_fp(stderr, X509_get_subject_name(root), 0,
                          XN_FLAG_RFC2253);
    fprintf(stderr, "\n%s %s\n", SSL_get_version(ssl),
            SSL_get_cipher_name(ssl));
}

static void send_input(SSL *ssl, const char *name, struct deadline deadline) {
    static char piece[PIECE_BYTES];
    ssize_t got = 1;
    while (got > 0) {
        int result;
        if (deadline_wait(deadline, STDIN_FILENO, POLLIN) < 0 ||
            (got = read(STDIN_FILENO, piece, sizeof piece)) < 0)
            err(1, "standard input");
        while (got > 0 && (result = SSL_write(ssl, piece, (int)got)) <= 0)
            if (!retries("SSL_write", name, ssl, result, deadline))
                return; /* it wants no more of us, and may have answered */
    }
}

static void print_answer(SSL *ssl, const char *name, struct deadline deadline) {
    static char piece[PIECE_BYTES];
    while (deadline_left(deadline) > 0) { /* also when there is always more */
        int got = SSL_read(ssl, piece, sizeof piece);
        if (got <= 0 && !retries("SSL_read", name, ssl, got, deadline))
            return;
        if (got > 0 && (fwrite(piece, 1, (size_t)got, stdout) != (size_t)got ||
                        fflush(stdout) == EOF))
            err(1, "standard output");
    }
    errx(1, "SSL_read %s: deadline passed", name);
}

static void set_option(struct options *options, int option) {
    if (option == 'C')
        options->ca_file = optarg;
    else if (option == 'R')
        options->crl_file = optarg;
    else if (option == 'n')
        options->name = optarg;
    else if (option != 't')
        usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    else if (deadline_parse(optarg, strlen(optarg), &options->milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", optarg);
}

int main(int argc, char **argv) {
    struct options options = {.milliseconds = 10 * 1000};
    in_port_t port;
    int option;
    while ((option = getopt(argc, argv, "+hC:R:n:t:")) != -1)
        set_option(&options, option);
    if (argc - optind != 2)
        usage(stderr, 2);
    argv += optind;
    if (addr_parse_port(argv[1], strlen(argv[1]), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", argv[1]);
    if (options.name == NULL)
        options.name = argv[0];
    /* Were one of these free, our socket would get its number: lesson 01. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    (void)setvbuf(stderr, NULL, _IOLBF, 0); /* a name is written in pieces */
    struct deadline deadline = deadline_after(options.milliseconds);
    SSL_CTX *context = make_context(&options);
    int fd = dial(argv[0], argv[1], deadline);
    SSL *ssl = wrap(context, fd, options.name);
    int result;
    while ((result = SSL_connect(ssl)) != 1)
        if (!retries("SSL_connect", options.name, ssl, result, deadline))
            errx(1, "SSL_connect %s: it has closed", options.name);
    report(ssl);
    send_input(ssl, options.name, deadline);
    print_answer(ssl, options.name, deadline);
    (void)SSL_shutdown(ssl); /* our close_notify; it may have gone already */
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
