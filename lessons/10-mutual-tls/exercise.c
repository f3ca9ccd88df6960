/*
 * 10 exercise: a server that takes everybody for the first on its list. Have it
 * let in nobody but those on the list, and know which of them it is.
 *
 * usage: 10-mutual-tls PORT CERT KEY CLIENT_CA NAME...
 *
 * It works: it shows its certificate, shakes hands, and says welcome, to one
 * client after another. But it asks for no certificate, and has not looked into
 * CLIENT_CA. The README beside this file says what it is to do.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000, BACKLOG = 128, LINE_BYTES = 512 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 10-mutual-tls PORT CERT KEY CLIENT_CA NAME...\n", out);
    exit(status);
}

static _Noreturn void fail(const char *call, const char *what) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, what, tls_explain(NULL, reason));
}

static SSL_CTX *make_context(const char *cert, const char *key,
                             const char *ca) {
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL)
        fail("show", cert);
    (void)ca;
    return context;
}

/* To the client, and to whoever reads what this server prints. */
static void say_welcome(SSL *ssl, const char *name) {
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "welcome %s\n", name);
    if (length >= LINE_BYTES || SSL_write(ssl, line, length) <= 0)
        warnx("SSL_write: %s has not heard it", name);
    if (printf("welcome %s\n", name) < 0)
        warn("standard output");
    (void)SSL_shutdown(ssl);
}

static void attend(SSL *ssl, char **names) {
    if (tls_handshake(ssl, deadline_after(PATIENCE_MS)) < 0) {
        char reason[TLS_REASON_BYTES];
        warnx("SSL_accept: %s", tls_explain(ssl, reason));
        return;
    }
    say_welcome(ssl, names[0]);
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    char name[ADDR_TEXT_BYTES];
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, address, length) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, address, &length) < 0)
        err(1, "listen 127.0.0.1:%d", port);
    if (printf("listening on %s\n", addr_format(address, length, name)) < 0)
        err(1, "standard output");
    return fd;
}

int main(int argc, char **argv) {
    char reason[TLS_REASON_BYTES];
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 6)
        usage(stderr, 2);
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    char **names = argv + 5;
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    SSL_CTX *context = make_context(argv[2], argv[3], argv[4]);
    int listener = listen_on(port);
    for (;;) { /* until a signal ends it */
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            warn("accept");
            (void)deadline_wait(deadline_after(PATIENCE_MS / 10), -1, 0);
            continue;
        }
        SSL *ssl = SSL_new(context);
        if (ssl != NULL && SSL_set_fd(ssl, fd) == 1)
            attend(ssl, names);
        else
            warnx("SSL_new: %s", tls_explain(NULL, reason));
        SSL_free(ssl);
        (void)close(fd);
    }
}
