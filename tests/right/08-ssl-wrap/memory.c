/*
 * A right answer in which OpenSSL never sees the socket: it reads from memory
 * and writes to memory, and this program moves the bytes, with recv, send and
 * poll. Input and answer go at the same time.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct deadline deadline;
static SSL *ssl;
static BIO *from_net;
static BIO *to_net;
static int net;

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT\n");
    exit(2);
}

/* Sends what OpenSSL has written into memory. */
static void flush(void) {
    char bytes[16384];
    int length;
    while ((length = BIO_read(to_net, bytes, sizeof bytes)) > 0) {
        for (int sent = 0; sent < length;) {
            ssize_t now = send(net, bytes + sent, (size_t)(length - sent), 0);
            int is_full = now < 0 && (errno == EAGAIN || errno == EINTR);
            if (now > 0)
                sent += (int)now;
            else if (!is_full || deadline_wait(deadline, net, POLLOUT) < 0)
                err(1, "send");
        }
    }
}

/* Gives OpenSSL what has come. */
static void fill(void) {
    char bytes[16384];
    if (deadline_wait(deadline, net, POLLIN) < 0)
        err(1, "recv");
    ssize_t got = recv(net, bytes, sizeof bytes, 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        err(1, "recv");
    if (got == 0)
        BIO_set_mem_eof_return(from_net, 0);
    if (got > 0)
        BIO_write(from_net, bytes, (int)got);
}

/* Whether OpenSSL only wants more bytes. Else it is the end, or an error. */
static int wants_more(int result) {
    int error = SSL_get_error(ssl, result);
    flush();
    if (error == SSL_ERROR_WANT_READ)
        return 1;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    char reason[TLS_REASON_BYTES];
    errx(1, "TLS: %s", tls_explain(ssl, reason));
}

/* Prints what there is. Returns 0 at the end. */
static int print_some(void) {
    char bytes[16384];
    for (;;) {
        if (deadline_left(deadline) == 0)
            errx(1, "deadline passed");
        int got = SSL_read(ssl, bytes, sizeof bytes);
        if (got <= 0)
            return wants_more(got);
        for (int done = 0; done < got;) {
            ssize_t now = write(1, bytes + done, (size_t)(got - done));
            if (now < 0)
                err(1, "standard output");
            done += (int)now;
        }
    }
}

static void talk(void) {
    char bytes[4096];
    struct pollfd both[2] = {{net, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    while (print_some()) {
        int left = deadline_left(deadline);
        if (left == 0)
            errx(1, "deadline passed");
        if (poll(both, 2, left) < 0 && errno != EINTR)
            err(1, "poll");
        if (both[1].revents != 0) {
            ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
            if (got < 0)
                err(1, "standard input");
            if (got == 0)
                both[1].fd = -1;
            if (got > 0 && SSL_write(ssl, bytes, (int)got) <= 0)
                errx(1, "SSL_write");
            flush();
        }
        if (both[0].revents != 0)
            fill();
    }
}

int main(int argc, char **argv) {
    int milliseconds = 10000;
    int option = getopt(argc, argv, "+t:");
    if (option == 't') {
        if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "-t %s", optarg);
        option = getopt(argc, argv, "+t:");
    }
    if (option != -1 || argc - optind != 4)
        usage();
    signal(SIGPIPE, SIG_IGN);
    deadline = deadline_after(milliseconds);
    const char *name = argv[optind + 1];

    SSL_CTX *context = tls_client_context(argv[optind], NULL);
    if (context == NULL)
        errx(1, "%s cannot be used", argv[optind]);
    ssl = tls_client(context, 0, name);
    if (ssl == NULL)
        errx(1, "%s is no name", name);
    from_net = BIO_new(BIO_s_mem());
    to_net = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(from_net, -1);
    SSL_set_bio(ssl, from_net, to_net);

    struct addrinfo *list;
    int error = addr_resolve(argv[optind + 2], argv[optind + 3], AF_UNSPEC,
                             SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    for (net = -1; list != NULL; list = list->ai_next) {
        net = socket(list->ai_family, SOCK_STREAM, 0);
        if (deadline_connect(deadline, net, list->ai_addr, list->ai_addrlen) ==
            0)
            break;
        warn("connect");
        close(net);
    }
    if (list == NULL)
        return 1;

    for (int done = 0; done != 1;) {
        done = SSL_connect(ssl);
        if (done != 1) {
            if (!wants_more(done))
                errx(1, "closed in the handshake");
            fill();
        }
    }
    flush();
    talk();
    SSL_shutdown(ssl);
    flush();
    close(net);
    return 0;
}
