/*
 * tell-tls: what the functions of common/tls make of what they are given.
 *
 *     tell-tls client CAFILE CRLFILE NAME PORT
 *     tell-tls server CHAIN KEY PORT
 *
 * Makes a handshake as the client of a server at PORT, and prints what it
 * sends; or makes it as a server. That connects, too, so that a test needs only
 * a peer that listens. "-" for a file is NULL. Prints what came of it, or the
 * words of tls_explain.
 *
 * Before each function of common/tls, there is an old error in OpenSSL's queue:
 * it must not be taken for one of the calls that follow.
 */
#define _GNU_SOURCE

#include "tls.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MILLISECONDS = 2000, PIECE_BYTES = 100 };

static _Noreturn void usage(void) {
    fputs("usage: tell-tls client CAFILE CRLFILE NAME PORT\n"
          "       tell-tls server CHAIN KEY PORT\n",
          stderr);
    exit(2);
}

static _Noreturn void tell(const SSL *ssl) {
    char text[TLS_REASON_BYTES];
    puts(tls_explain(ssl, text));
    exit(fflush(stdout) == EOF);
}

static void leave_old_error(void) {
    ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
}

static const char *file_or_null(const char *name) {
    return strcmp(name, "-") == 0 ? NULL : name;
}

static int connected(const char *port, struct deadline deadline) {
    struct sockaddr_in peer = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)strtol(port, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || deadline_connect(deadline, fd, (struct sockaddr *)&peer,
                                   sizeof peer) < 0)
        err(1, "connect");
    return fd;
}

static void converse(SSL *ssl, struct deadline deadline) {
    char piece[PIECE_BYTES];
    enum tls_result state = TLS_RETRY;
    leave_old_error();
    if (tls_handshake(ssl, deadline) < 0)
        tell(ssl);
    printf("%s\n", SSL_get_version(ssl));
    while (state == TLS_RETRY) {
        int got = SSL_read(ssl, piece, sizeof piece);
        if (got > 0)
            (void)fwrite(piece, 1, (size_t)got, stdout);
        else
            state = tls_wait(ssl, got, deadline);
    }
    if (state == TLS_FAILED)
        tell(ssl);
    puts("the end");
}

static SSL_CTX *make_context(int serves, char **files) {
    leave_old_error();
    if (serves)
        return tls_server_context(files[0], files[1]);
    return tls_client_context(file_or_null(files[0]), file_or_null(files[1]));
}

/* NAME is NULL for a server. */
static SSL *make_connection(SSL_CTX *context, int fd, const char *name) {
    if (name != NULL) {
        leave_old_error();
        return tls_client(context, fd, name);
    }
    SSL *ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) != 1)
        tell(NULL);
    return ssl;
}

int main(int argc, char **argv) {
    int serves = argc == 5 && strcmp(argv[1], "server") == 0;
    if (!serves && (argc != 6 || strcmp(argv[1], "client") != 0))
        usage();
    (void)signal(SIGPIPE, SIG_IGN);
    struct deadline deadline = deadline_after(MILLISECONDS);
    SSL_CTX *context = make_context(serves, argv + 2);
    if (context == NULL)
        tell(NULL);
    int fd = connected(argv[argc - 1], deadline);
    SSL *ssl = make_connection(context, fd, serves ? NULL : argv[4]);
    if (ssl == NULL)
        tell(NULL);
    converse(ssl, deadline);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fd);
    return fflush(stdout) == EOF;
}
