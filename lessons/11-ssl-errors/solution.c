/*
 * 11 solution: read everything that a server sends through TLS, on a
 * non-blocking socket; one good answer of many.
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

enum {
    PIECE_BYTES = 1000,      /* a record holds up to sixteen times as much */
    PATIENCE_MS = 10 * 1000, /* unless -t says something else */
};

/* What to do after a call that has returned 0 or less. */
enum next_step { CALL_AGAIN, END };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST PORT\n",
          out);
    exit(status);
}

/* Ends the program, and says why: ssl is the connection, or NULL. */
static _Noreturn void fail(const char *call, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s: %s", call, tls_explain(ssl, reason));
}

/* Returns a socket that is connected to this address, and is non-blocking. Or
 * it says why that failed, and returns -1. */
static int try_address(const struct addrinfo *where, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    (void)addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (deadline_connect(deadline, fd, where->ai_addr, where->ai_addrlen) < 0) {
        char reason[TLS_REASON_BYTES];
        warnx("connect %s: %s", name, tls_explain(NULL, reason));
        (void)close(fd); /* fd was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        /* Each address that is left gets an equal part of the time. */
        struct deadline share = deadline_share(deadline, addr_count(where));
        fd = try_address(where, share);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* Writes the server's certificate into the file. If that fails, it says so, and
 * the program goes on. OpenSSL's error then stays in the queue. */
static void save_certificate(const SSL *ssl, const char *file) {
    BIO *out = BIO_new_file(file, "w");
    if (out == NULL ||
        PEM_write_bio_X509(out, SSL_get0_peer_certificate(ssl)) != 1 ||
        BIO_flush(out) != 1)
        warnx("%s: the certificate is not saved", file);
    BIO_free(out);
}

/* Call this right after a call has returned 0 or less. It asks SSL_get_error
 * what that means, and waits if it has to. If the call has failed, or the
 * deadline has passed, it ends the program. */
static enum next_step follow_error(const char *call, SSL *ssl, int result,
                                   struct deadline deadline) {
    short event;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        event = POLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        event = POLLOUT;
        break;
    case SSL_ERROR_ZERO_RETURN:
        return END;
    default:
        /* tls_explain looks into the queue for SSL_ERROR_SSL, and at errno for
         * SSL_ERROR_SYSCALL. */
        fail(call, ssl);
    }
    if (deadline_wait(deadline, SSL_get_fd(ssl), event) < 0)
        fail(call, NULL); /* the reason is in errno */
    return CALL_AGAIN;
}

static void shake_hands(SSL *ssl, struct deadline deadline) {
    for (;;) {
        ERR_clear_error(); /* or SSL_get_error would find an old error */
        int result = SSL_connect(ssl);
        if (result == 1)
            return;
        enum next_step next =
            follow_error("SSL_connect", ssl, result, deadline);
        if (next == END)
            errx(1, "SSL_connect: the server has closed");
    }
}

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Prints what the server sends, until it sends close_notify. */
static void read_all(SSL *ssl, struct deadline deadline) {
    char piece[PIECE_BYTES];
    for (;;) {
        /* A server that never stops never makes us wait, so we look at the
         * clock here too. */
        if (deadline_left(deadline) == 0)
            errx(1, "SSL_read: deadline passed");
        ERR_clear_error();
        int received = SSL_read(ssl, piece, sizeof piece);
        if (received > 0) {
            print_bytes(piece, (size_t)received);
            continue;
        }
        enum next_step next = follow_error("SSL_read", ssl, received, deadline);
        if (next == END)
            return;
    }
}

/* Returns the seconds in the text as milliseconds, or ends the program. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

int main(int argc, char **argv) {
    const char *file = NULL;
    int milliseconds = PATIENCE_MS;
    for (;;) {
        int option = getopt(argc, argv, "+hk:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'k')
            file = optarg;
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 4)
        usage(stderr, 2);
    const char *ca_file = argv[optind];
    const char *name = argv[optind + 1];
    const char *host = argv[optind + 2];
    const char *port = argv[optind + 3];
    /* If standard output were closed, our socket would get its number. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    struct deadline deadline = deadline_after(milliseconds);
    SSL_CTX *context = tls_client_context(ca_file, NULL);
    if (context == NULL)
        fail(ca_file, NULL);
    int fd = connect_to(host, port, deadline);
    SSL *ssl = tls_client(context, fd, name);
    if (ssl == NULL)
        fail(name, NULL);
    shake_hands(ssl, deadline);
    if (file != NULL)
        save_certificate(ssl, file);
    read_all(ssl, deadline);

    (void)SSL_shutdown(ssl); /* our own close_notify; we have everything */
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
