/*
 * 08 solution: the client of 2008, made safe; one good answer of many.
 *
 * usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 14 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT\n", out);
    exit(status);
}

static _Noreturn void fail(const char *call) {
    int error = errno;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    errx(1, "%s: %s", call, reason != NULL ? reason : strerror(error));
}

/* Tries the host's addresses, in their order, until one answers. */
static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (deadline_connect(deadline, fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect %s", addr_format(at->ai_addr, at->ai_addrlen, name));
        (void)close(fd);
    }
    exit(1);
}

static SSL_CTX *make_context(const char *ca_file) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    if (SSL_CTX_load_verify_file(context, ca_file) != 1)
        fail(ca_file);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(context, 2);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        fail("SSL_CTX_set_min_proto_version");
    return context;
}

/* The certificate must be made out to name, which may be an address. */
static void demand_name(SSL *ssl, char *name) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (*name == '\0' || *name == '.' || SSL_set1_host(ssl, name) != 1 ||
        SSL_set_tlsext_host_name(ssl, name) != 1)
        errx(1, "'%s' is no name", name);
}

/* Returns 1 when the call that returned result is to be made again; 0 at the
 * end that the peer has announced. */
static int retries(const char *call, SSL *ssl, int result,
                   struct deadline deadline) {
    int problem = SSL_get_error(ssl, result);
    if (problem == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (problem != SSL_ERROR_WANT_READ && problem != SSL_ERROR_WANT_WRITE)
        fail(call);
    short event = problem == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    if (deadline_wait(deadline, SSL_get_fd(ssl), event) < 0)
        err(1, "%s", call);
    return 1;
}

static SSL *wrap(SSL_CTX *context, int fd, char *name,
                 struct deadline deadline) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        fail("SSL_set_fd");
    demand_name(ssl, name);
    int result;
    while ((result = SSL_connect(ssl)) != 1) {
        long verdict = SSL_get_verify_result(ssl);
        if (verdict != X509_V_OK)
            errx(1, "certificate of %s: %s", name,
                 X509_verify_cert_error_string(verdict));
        if (!retries("SSL_connect", ssl, result, deadline))
            errx(1, "SSL_connect: closed");
    }
    return ssl;
}

static void send_input(SSL *ssl, struct deadline deadline) {
    static char piece[PIECE_BYTES];
    ssize_t got;
    while ((got = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
        int result;
        while ((result = SSL_write(ssl, piece, (int)got)) <= 0)
            if (!retries("SSL_write", ssl, result, deadline))
                return;
    }
    if (got < 0)
        err(1, "standard input");
}

static void print_answer(SSL *ssl, struct deadline deadline) {
    static char piece[PIECE_BYTES];
    while (deadline_left(deadline) > 0) {
        int got = SSL_read(ssl, piece, sizeof piece);
        if (got <= 0 && !retries("SSL_read", ssl, got, deadline))
            return;
        if (got > 0 && (fwrite(piece, 1, (size_t)got, stdout) != (size_t)got ||
                        fflush(stdout) == EOF))
            err(1, "standard output");
    }
    errx(1, "SSL_read: deadline passed");
}

int main(int argc, char **argv) {
    int milliseconds = 10 * 1000;
    int option;
    while ((option = getopt(argc, argv, "+ht:")) != -1) {
        if (option != 't')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    }
    if (argc - optind != 4)
        usage(stderr, 2);
    if (fcntl(STDOUT_FILENO, F_GETFD) == -1) /* or the socket would be it */
        err(1, "standard output");
    const char *ca_file = argv[optind];
    char *name = argv[optind + 1];
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error */

    struct deadline deadline = deadline_after(milliseconds);
    SSL_CTX *context = make_context(ca_file);
    int fd = connect_to(argv[optind + 2], argv[optind + 3], deadline);
    SSL *ssl = wrap(context, fd, name, deadline);
    fprintf(stderr, "talking to %s, safely encrypted\n", name);
    send_input(ssl, deadline);
    print_answer(ssl, deadline);

    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
