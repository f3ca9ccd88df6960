/*
 * A right answer in which OpenSSL reads and writes memory, and the program
 * moves the bytes between this memory and the socket, with poll.
 */
#define _GNU_SOURCE
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUCH 100000

static SSL *ssl;
static BIO *from_net;
static BIO *to_net;
static int sock = -1;

static void die(const char *what) {
    char why[TLS_REASON_BYTES];
    errx(1, "%s: %s", what, tls_explain(ssl, why));
}

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
    int e = getaddrinfo(host, port, &hints, &all);
    if (e)
        errx(1, "%s: %s", host, gai_strerror(e));
    for (a = all; a; a = a->ai_next) {
        int s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s >= 0 && connect(s, a->ai_addr, a->ai_addrlen) == 0)
            return s;
        warn("%s", host);
        if (s >= 0)
            close(s);
    }
    exit(1);
}

/* 1: there may be more; 0: nothing now */
static int net_in(void) {
    char b[32768];
    ssize_t n = recv(sock, b, sizeof b, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        err(1, "recv");
    if (n == 0)
        errx(1, "the server has left without close_notify");
    BIO_write(from_net, b, (int)n);
    return 1;
}

static void net_out(void) {
    char *b;
    long n = BIO_get_mem_data(to_net, &b);
    if (n <= 0)
        return;
    ssize_t did = send(sock, b, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (did < 0 && errno == EAGAIN)
        return;
    if (did < 0)
        err(1, "send");
    while (did > 0) {
        char waste[4096];
        int k = BIO_read(to_net, waste,
                         did < (ssize_t)sizeof waste ? (int)did
                                                     : (int)sizeof waste);
        did -= k;
    }
}

int main(int argc, char **argv) {
    int input = 1, i;
    char b[10000];
    if (argc != 5) {
        fprintf(stderr, "usage: %s CAFILE NAME HOST PORT\n", argv[0]);
        return 2;
    }
    for (i = 0; argv[4][i]; i++)
        if (argv[4][i] < '0' || argv[4][i] > '9' || i > 4)
            errx(1, "no port: %s", argv[4]);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = tls_client_context(argv[1], NULL);
    if (!ctx)
        die(argv[1]);
    sock = dial(argv[3], argv[4]);
    ssl = tls_client(ctx, sock, argv[2]);
    if (!ssl)
        die(argv[2]);
    from_net = BIO_new(BIO_s_mem());
    to_net = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(from_net, -1);
    SSL_set_bio(ssl, from_net, to_net);
    SSL_set_connect_state(ssl);
    int up = 0, told = 0;
    for (;;) {
        if (!up) {
            int r = SSL_do_handshake(ssl);
            if (r == 1)
                up = 1;
            else if (SSL_get_error(ssl, r) != SSL_ERROR_WANT_READ) {
                net_out();
                die("handshake");
            }
        }
        if (up) {
            int n;
            while ((n = SSL_read(ssl, b, sizeof b)) > 0)
                if (write(1, b, (size_t)n) != n)
                    err(1, "standard output");
            int e = SSL_get_error(ssl, n);
            if (e == SSL_ERROR_ZERO_RETURN)
                break;
            if (e != SSL_ERROR_WANT_READ)
                die("SSL_read");
            if (!input && !told) {
                SSL_shutdown(ssl);
                told = 1;
            }
        }
        net_out();
        struct pollfd p[2] = {{sock, POLLIN, 0}, {-1, POLLIN, 0}};
        if (BIO_ctrl_pending(to_net) > 0)
            p[0].events |= POLLOUT;
        if (up && input && BIO_ctrl_pending(to_net) < MUCH)
            p[1].fd = 0;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            err(1, "poll");
        if (p[0].revents & ~POLLOUT)
            net_in();
        if (p[1].revents) {
            ssize_t n = read(0, b, sizeof b);
            if (n < 0)
                err(1, "standard input");
            if (n == 0)
                input = 0;
            else if (SSL_write(ssl, b, (int)n) != n)
                die("SSL_write");
        }
    }
    SSL_shutdown(ssl);
    net_out();
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(sock);
    return 0;
}
