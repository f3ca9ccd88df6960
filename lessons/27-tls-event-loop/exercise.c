/*
 * 27 exercise: talk to a TLS server in both directions at once.
 *
 * What is here compiles and connects. Your part is two functions: shake_hands
 * and converse.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 10 * 1000 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 27-tls-event-loop CAFILE NAME HOST PORT\n", out);
    exit(status);
}

/* Ends the program, and says why: ssl is the connection, or NULL. */
static _Noreturn void fail(const char *call, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s: %s", call, tls_explain(ssl, reason));
}

/* If one of 0, 1 and 2 were closed, a socket would get that number. */
static void require_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
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
        warn("connect %s", name);
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port) {
    struct deadline deadline = deadline_after(CONNECT_MS);
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        fd = try_address(where, deadline);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* 1. Call SSL_connect until it has returned 1. What does SSL_get_error say when
 * it has returned something else? Wait for that with poll. */
static void shake_hands(SSL *ssl) {
    (void)ssl; /* delete this line when you use it */
}

/* 2. Send what comes from standard input, and print what comes from the server,
 * whichever comes first, until the server has sent close_notify. When may you
 * wait, and for what? */
static void converse(SSL *ssl) {
    (void)ssl; /* delete this line when you use it */
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 5)
        usage(stderr, 2);
    const char *ca_file = argv[1];
    const char *name = argv[2];
    in_port_t number;
    if (addr_parse_port(argv[4], strlen(argv[4]), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", argv[4]);
    require_standard_streams();
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has left is an error */

    SSL_CTX *context = tls_client_context(ca_file, NULL);
    if (context == NULL)
        fail(ca_file, NULL);
    int fd = connect_to(argv[3], argv[4]);
    SSL *ssl = tls_client(context, fd, name);
    if (ssl == NULL)
        fail(name, NULL);
    shake_hands(ssl);
    converse(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
