/*
 * tell-tls: what the functions of common/tls make of what they are given.
 *
 *     tell-tls client CAFILE CRLFILE NAME PORT    shakes hands, and reads a
 * line tell-tls server CHAIN KEY PORT              does so with a client of it
 *
 * As a server it connects, too, so that a test needs only one that listens. "-"
 * for a file is NULL. Prints what came of it, or why not, in tell-tls's words.
 */
#define _GNU_SOURCE

#include "tls.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
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
    int result;
    while ((result = SSL_do_handshake(ssl)) != 1)
        if (tls_wait(ssl, result, deadline) != 1)
            tell(ssl);
    printf("%s\n", SSL_get_version(ssl));
    for (;;) {
        result = SSL_read(ssl, piece, sizeof piece);
        int answer = result > 0 ? 1 : tls_wait(ssl, result, deadline);
        if (answer < 0)
            tell(ssl);
        if (answer == 0)
            break;
        if (result > 0)
            (void)fwrite(piece, 1, (size_t)result, stdout);
    }
    puts("the end");
}

int main(int argc, char **argv) {
    int serves = argc == 5 && strcmp(argv[1], "server") == 0;
    if (!serves && (argc != 6 || strcmp(argv[1], "client") != 0))
        usage();
    (void)signal(SIGPIPE, SIG_IGN);
    struct deadline deadline = deadline_after(MILLISECONDS);
    SSL_CTX *context = serves ? tls_server_context(argv[2], argv[3])
                              : tls_client_context(file_or_null(argv[2]),
                                                   file_or_null(argv[3]));
    if (context == NULL)
        tell(NULL);
    int fd = connected(argv[argc - 1], deadline);
    SSL *ssl = serves ? SSL_new(context) : tls_client(context, fd, argv[4]);
    if (ssl == NULL)
        tell(NULL);
    if (serves && SSL_set_fd(ssl, fd) != 1)
        tell(NULL);
    if (serves)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    converse(ssl, deadline);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fd);
    return fflush(stdout) == EOF;
}
