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
static BIO *from_net; /* OpenSSL reads from here */
static BIO *to_net;   /* and writes to here */
static int sock;

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT\n");
    exit(2);
}

/* Sends what OpenSSL has written into memory. */
static void flush(void) {
    char bytes[16384];
    for (;;) {
        int length = BIO_read(to_net, bytes, sizeof bytes);
        if (length <= 0)
            return;
        size_t sent;
        if (deadline_send(deadline, sock, bytes, (size_t)length, &sent) < 0)
            err(1, "send");
    }
}

/* Waits for bytes from the server, and gives them to OpenSSL. */
static void fill(void) {
    char bytes[16384];
    ssize_t received = deadline_recv(deadline, sock, bytes, sizeof bytes);
    if (received < 0)
        err(1, "recv");
    if (received == 0)
        BIO_set_mem_eof_return(from_net, 0); /* OpenSSL shall see the end */
    else
        BIO_write(from_net, bytes, (int)received);
}

/* Returns 1 if OpenSSL only wants more bytes, and 0 after close_notify. Ends
 * the program at any error. */
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

static void write_all(const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(STDOUT_FILENO, bytes + done, length - done);
        if (written < 0)
            err(1, "standard output");
        done += (size_t)written;
    }
}

/* Prints what OpenSSL has. Returns 1 if more may come, and 0 after
 * close_notify. */
static int print_some(void) {
    char bytes[16384];
    for (;;) {
        if (deadline_left(deadline) == 0)
            errx(1, "deadline passed");
        int got = SSL_read(ssl, bytes, sizeof bytes);
        if (got <= 0)
            return wants_more(got);
        write_all(bytes, (size_t)got);
    }
}

/* Reads a piece of standard input and sends it. Returns 0 at the end. */
static int send_some(void) {
    char bytes[4096];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got < 0)
        err(1, "standard input");
    if (got == 0)
        return 0;
    if (SSL_write(ssl, bytes, (int)got) <= 0)
        errx(1, "SSL_write");
    flush();
    return 1;
}

static void converse(void) {
    struct pollfd server = {.fd = sock, .events = POLLIN};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        int may_get_more = print_some();
        if (!may_get_more)
            return;
        int timeout = deadline_left(deadline);
        if (timeout == 0)
            errx(1, "deadline passed");
        struct pollfd both[2] = {server, input};
        if (poll(both, 2, timeout) < 0 && errno != EINTR)
            err(1, "poll");
        if (both[1].revents != 0) {
            int is_open = send_some();
            if (!is_open)
                input.fd = -1; /* poll ignores it from now on */
        }
        if (both[0].revents != 0)
            fill();
    }
}

static void shake_hands(void) {
    for (;;) {
        int result = SSL_connect(ssl);
        if (result == 1)
            break;
        if (!wants_more(result))
            errx(1, "closed in the handshake");
        fill();
    }
    flush();
}

/* Returns a socket that is connected to one of the host's addresses. */
static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM, 0);
        if (deadline_connect(deadline, fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect");
        close(fd);
    }
    exit(1);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "-t %s", text);
    return milliseconds;
}

int main(int argc, char **argv) {
    int milliseconds = 10000;
    for (;;) {
        int option = getopt(argc, argv, "+t:");
        if (option == -1)
            break;
        if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage();
    }
    if (argc - optind != 4)
        usage();
    const char *ca_file = argv[optind];
    const char *name = argv[optind + 1];
    const char *host = argv[optind + 2];
    const char *port = argv[optind + 3];
    signal(SIGPIPE, SIG_IGN);
    deadline = deadline_after(milliseconds);

    SSL_CTX *context = tls_client_context(ca_file, NULL);
    if (context == NULL)
        errx(1, "%s cannot be used", ca_file);
    ssl = tls_client(context, 0, name);
    if (ssl == NULL)
        errx(1, "%s is no name", name);
    from_net = BIO_new(BIO_s_mem());
    to_net = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(from_net, -1); /* empty: more bytes may come */
    SSL_set_bio(ssl, from_net, to_net);

    sock = connect_to(host, port);
    shake_hands();
    converse();
    SSL_shutdown(ssl);
    flush();
    close(sock);
    return 0;
}
