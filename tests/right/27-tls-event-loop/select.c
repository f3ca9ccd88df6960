/*
 * A right answer with select, with small pieces and SSL_pending, with partial
 * writes, and without a call of its own for the handshake: the first SSL_read
 * makes it.
 */
#define _GNU_SOURCE
#include "addr.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static int need(SSL *s, int r, int *in, int *out) {
    int e = SSL_get_error(s, r);
    if (e == SSL_ERROR_WANT_READ)
        *in = 1;
    else if (e == SSL_ERROR_WANT_WRITE)
        *out = 1;
    else
        return e;
    return 0;
}

static void oops(SSL *s, const char *what) {
    char why[TLS_REASON_BYTES];
    errx(1, "%s: %s", what, tls_explain(s, why));
}

int main(int argc, char *argv[]) {
    if (argc != 5) {
        fputs("usage: 27-tls-event-loop CAFILE NAME HOST PORT\n", stderr);
        return 2;
    }
    in_port_t port;
    if (addr_parse_port(argv[4], strlen(argv[4]), 1, &port))
        errx(1, "%s: not a port", argv[4]);
    signal(SIGPIPE, SIG_IGN);
    struct addrinfo *list, *a;
    int e = addr_resolve(argv[3], argv[4], AF_UNSPEC, SOCK_STREAM, &list);
    if (e)
        errx(1, "%s: %s", argv[3], gai_strerror(e));
    int fd = -1;
    for (a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            warn("connect");
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0)
        return 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    SSL_CTX *c = tls_client_context(argv[1], NULL);
    SSL *s = c ? tls_client(c, fd, argv[2]) : NULL;
    if (!s)
        oops(NULL, "TLS");
    SSL_set_mode(s, SSL_MODE_ENABLE_PARTIAL_WRITE |
                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_connect_state(s);

    static char keep[8000];
    char piece[500];
    size_t kept = 0;
    int eof = 0, told = 0;
    for (;;) {
        int in = 0, out = 0, r;
        do {
            ERR_clear_error();
            r = SSL_read(s, piece, sizeof piece);
            if (r > 0 &&
                (fwrite(piece, 1, r, stdout) != (size_t)r || fflush(stdout)))
                err(1, "stdout");
        } while (r > 0);
        int bad = need(s, r, &in, &out);
        if (bad == SSL_ERROR_ZERO_RETURN)
            break;
        if (bad)
            oops(s, "SSL_read");
        int up = SSL_is_init_finished(s);
        while (up && kept) {
            ERR_clear_error();
            r = SSL_write(s, keep, kept);
            if (r <= 0) {
                if (need(s, r, &in, &out))
                    oops(s, "SSL_write");
                break;
            }
            memmove(keep, keep + r, kept - r);
            kept -= r;
        }
        if (up && eof && !kept && !told) {
            r = SSL_shutdown(s);
            if (r >= 0)
                told = 1;
            else if (need(s, r, &in, &out))
                oops(s, "SSL_shutdown");
        }
        fd_set reading, writing;
        FD_ZERO(&reading);
        FD_ZERO(&writing);
        if (in)
            FD_SET(fd, &reading);
        if (out)
            FD_SET(fd, &writing);
        if (!eof && !kept)
            FD_SET(0, &reading);
        if (select(fd + 1, &reading, &writing, NULL, NULL) < 0) {
            if (errno == EINTR)
                continue;
            err(1, "select");
        }
        if (FD_ISSET(0, &reading)) {
            ssize_t n = read(0, keep, sizeof keep);
            if (n < 0)
                err(1, "stdin");
            eof = n == 0;
            kept = n;
        }
    }
    if (!told)
        SSL_shutdown(s);
    SSL_free(s);
    SSL_CTX_free(c);
    close(fd);
    return 0;
}
