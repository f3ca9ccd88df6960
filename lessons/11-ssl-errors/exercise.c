/*
 * 11 exercise: read all that a server says through TLS, on a non-blocking
 * socket.
 *
 * usage: 11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST PORT
 *
 * It connects, and leaves the socket non-blocking: SSL_connect and SSL_read
 * never wait, and SSL_get_error says what they would have waited for, or what
 * else there is. The README beside this file says the rest.
 *
 * What is here compiles, connects, and then says nothing and hears nothing.
 * Your part begins at goes_on; the three functions there are yours.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1000 }; /* a record holds up to sixteen times as much */

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST PORT\n",
          out);
    exit(status);
}

static _Noreturn void fail(const char *call, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s: %s", call, tls_explain(ssl, reason));
}

/* Returns a connected socket, which is non-blocking. */
static int dial(const char *host, const char *port, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));
    for (const struct addrinfo *to = list; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (deadline_connect(deadline, fd, to->ai_addr, to->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect %s", addr_format(to->ai_addr, to->ai_addrlen, name));
        (void)close(fd);
    }
    exit(1);
}

/* Keeps the server's certificate, if a file can be had for it. */
static void keep_certificate(const SSL *ssl, const char *file) {
    BIO *out = BIO_new_file(file, "w");
    if (out == NULL ||
        PEM_write_bio_X509(out, SSL_get0_peer_certificate(ssl)) != 1)
        warnx("%s: the certificate is not kept", file);
    BIO_free(out);
}

/* 1. Right after a call returned 0 or less: what does SSL_get_error say is to
 * be done? Wait for the socket, and return 1; or return 0; or fail. */
static int goes_on(const char *call, SSL *ssl, int result,
                   struct deadline deadline) {
    (void)call, (void)ssl, (void)result, (void)deadline;
    return 0;
}

/* 2. SSL_connect, until it has returned 1. */
static void shake_hands(SSL *ssl, struct deadline deadline) {
    (void)goes_on("SSL_connect", ssl, -1, deadline);
}

/* 3. SSL_read, and out with it, until the server has said that this was all. */
static void read_all(SSL *ssl, struct deadline deadline) {
    char piece[PIECE_BYTES] = "";
    (void)ssl, (void)piece, (void)deadline;
}

int main(int argc, char **argv) {
    const char *file = NULL;
    int milliseconds = 10 * 1000;
    int option;
    while ((option = getopt(argc, argv, "+hk:t:")) != -1) {
        if (option == 'k')
            file = optarg;
        else if (option != 't')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        else if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    }
    argv += optind;
    if (argc - optind != 4)
        usage(stderr, 2);
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error */

    struct deadline deadline = deadline_after(milliseconds);
    SSL_CTX *context = tls_client_context(argv[0], NULL);
    if (context == NULL)
        fail(argv[0], NULL);
    int fd = dial(argv[2], argv[3], deadline);
    SSL *ssl = tls_client(context, fd, argv[1]);
    if (ssl == NULL)
        fail(argv[1], NULL);
    shake_hands(ssl, deadline);
    if (file != NULL)
        keep_certificate(ssl, file);
    read_all(ssl, deadline);

    (void)SSL_shutdown(ssl); /* our own close_notify */
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
