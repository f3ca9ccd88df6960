/*
 * 08 exercise: the client as it was in 2008, which trusts anybody. Make it
 * safe.
 *
 * usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT
 *
 * It works: it talks TLS to HOST, sends standard input, and prints the answer.
 * But it has read CAFILE, and asks for no certificate; it was told NAME, and
 * compares it with nothing; it knows SECONDS, and waits for ever. The README
 * beside this file says what it is to do.
 *
 * Nothing is missing here that you would have to invent; what you need is in
 * ssl-wrap.c.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <errno.h>
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
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    errx(1, "%s: %s", call, reason != NULL ? reason : strerror(errno));
}

/* Tries the host's addresses, in their order, until one answers. */
static int connect_to(const char *host, const char *port) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
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
    /* Some servers are old, and we want to talk to them, too. */
    SSL_CTX_set_security_level(context, 0);
    if (SSL_CTX_set_min_proto_version(context, TLS1_VERSION) != 1)
        fail("SSL_CTX_set_min_proto_version");
    return context;
}

static SSL *wrap(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        fail("SSL_set_fd");
    if (SSL_connect(ssl) != 1)
        fail("SSL_connect");
    return ssl;
}

static void send_input(SSL *ssl) {
    static char piece[PIECE_BYTES];
    ssize_t got;
    while ((got = read(STDIN_FILENO, piece, sizeof piece)) > 0)
        if (SSL_write(ssl, piece, (int)got) <= 0)
            fail("SSL_write");
    if (got < 0)
        err(1, "standard input");
}

static void print_answer(SSL *ssl) {
    static char piece[PIECE_BYTES];
    int got;
    while ((got = SSL_read(ssl, piece, sizeof piece)) > 0)
        if (fwrite(piece, 1, (size_t)got, stdout) != (size_t)got ||
            fflush(stdout) == EOF)
            err(1, "standard output");
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
    const char *ca_file = argv[optind];
    char *name = argv[optind + 1];
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error */

    SSL_CTX *context = make_context(ca_file);
    int fd = connect_to(argv[optind + 2], argv[optind + 3]);
    SSL *ssl = wrap(context, fd);
    fprintf(stderr, "talking to %s, safely encrypted\n", name);
    send_input(ssl);
    print_answer(ssl);

    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
