/*
 * 11 solution: read all that a server says through TLS, on a non-blocking
 * socket; one good answer of many.
 *
 * usage: 11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <fcntl.h>
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

/* Right after a call returned 0 or less: waits for what it asks for, and
 * returns 1, when it is to be made again; 0, when the server has said that this
 * was all. Ends the program where neither is so. */
static int goes_on(const char *call, SSL *ssl, int result,
                   struct deadline deadline) {
    short event;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
        event = POLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        event = POLLOUT;
        break;
    default: /* SSL_ERROR_SYSCALL is told in errno, SSL_ERROR_SSL in a queue */
        fail(call, ssl);
    }
    if (deadline_wait(deadline, SSL_get_fd(ssl), event) < 0)
        fail(call, NULL);
    return 1;
}

static void shake_hands(SSL *ssl, struct deadline deadline) {
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(ssl);
        if (result == 1)
            return;
        if (!goes_on("SSL_connect", ssl, result, deadline))
            errx(1, "SSL_connect: closed");
    }
}

static void read_all(SSL *ssl, struct deadline deadline) {
    char piece[PIECE_BYTES];
    while (deadline_left(deadline) > 0) {
        ERR_clear_error();
        int got = SSL_read(ssl, piece, sizeof piece);
        if (got <= 0 && !goes_on("SSL_read", ssl, got, deadline))
            return;
        if (got > 0 && (fwrite(piece, 1, (size_t)got, stdout) != (size_t)got ||
                        fflush(stdout) == EOF))
            err(1, "standard output");
    }
    errx(1, "SSL_read: deadline passed");
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
    if (fcntl(STDOUT_FILENO, F_GETFD) == -1) /* or the socket would be it */
        err(1, "standard output");
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
