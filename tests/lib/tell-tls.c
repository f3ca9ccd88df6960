/*
 * tell-tls: what the functions of common/tls make of what they are given.
 *
 *     tell-tls client CAFILE CRLFILE NAME PORT
 *     tell-tls server CHAIN KEY PORT
 *
 * It does the handshake, and prints what it reads until the end. The server
 * connects to PORT, too, so a test needs only a peer that listens. A file "-"
 * stands for NULL. If something fails, it prints the reason as tls_explain
 * gives it.
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

static _Noreturn void explain(const SSL *ssl) {
    char text[TLS_REASON_BYTES];
    puts(tls_explain(ssl, text));
    exit(fflush(stdout) == EOF ? 1 : 0);
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
    if (fd < 0)
        err(1, "socket");
    if (deadline_connect(deadline, fd, (struct sockaddr *)&peer, sizeof peer) <
        0)
        err(1, "connect");
    return fd;
}

static void do_handshake(SSL *ssl, struct deadline deadline) {
    for (;;) {
        int result = SSL_do_handshake(ssl);
        if (result == 1)
            break;
        if (tls_wait(ssl, result, deadline) != 1)
            explain(ssl);
    }
    printf("%s\n", SSL_get_version(ssl));
}

static void print_all(SSL *ssl, struct deadline deadline) {
    char piece[PIECE_BYTES];
    for (;;) {
        int got = SSL_read(ssl, piece, sizeof piece);
        if (got > 0) {
            (void)fwrite(piece, 1, (size_t)got, stdout);
            continue;
        }
        int answer = tls_wait(ssl, got, deadline);
        if (answer < 0)
            explain(ssl);
        if (answer == 0)
            break;
    }
    puts("the end");
}

static void converse(SSL *ssl, struct deadline deadline) {
    do_handshake(ssl, deadline);
    print_all(ssl, deadline);
    SSL_free(ssl);
}

static void be_client(char **files, const char *name, const char *port) {
    struct deadline deadline = deadline_after(MILLISECONDS);
    SSL_CTX *context =
        tls_client_context(file_or_null(files[0]), file_or_null(files[1]));
    if (context == NULL)
        explain(NULL);
    int fd = connected(port, deadline);
    SSL *ssl = tls_client(context, fd, name);
    if (ssl == NULL)
        explain(NULL);
    SSL_set_connect_state(ssl);
    converse(ssl, deadline);
    SSL_CTX_free(context);
    (void)close(fd);
}

static void be_server(char **files, const char *port) {
    struct deadline deadline = deadline_after(MILLISECONDS);
    SSL_CTX *context = tls_server_context(files[0], files[1]);
    if (context == NULL)
        explain(NULL);
    int fd = connected(port, deadline);
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        explain(NULL);
    SSL_set_accept_state(ssl);
    converse(ssl, deadline);
    SSL_CTX_free(context);
    (void)close(fd);
}

int main(int argc, char **argv) {
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 6 && strcmp(argv[1], "client") == 0)
        be_client(argv + 2, argv[4], argv[5]);
    else if (argc == 5 && strcmp(argv[1], "server") == 0)
        be_server(argv + 2, argv[4]);
    else
        usage();
    return fflush(stdout) == EOF ? 1 : 0;
}
