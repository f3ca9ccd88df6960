/*
 * 11 exercise: read everything that a server sends through TLS, on a
 * non-blocking socket.
 *
 * In lessons 09 and 10, `tls_wait` did the waiting for you. Now you write it
 * yourself: a client that reads everything that a server sends, through a
 * socket that never blocks. Its exit status must say whether the answer was
 * complete, or was cut on its way.
 *
 * It is called as `11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST
 * PORT`. It connects to HOST, but demands a certificate for NAME, as lesson 08
 * does. With `-k`, it saves the server's certificate in FILE. If that fails,
 * it prints a warning and goes on. All this is given. The handshake and the
 * reading are yours. Ask `SSL_read` for PIECE_BYTES bytes at a time.
 *
 * 1. It prints everything that the server sends, byte for byte. When
 *    close_notify comes, it ends with status 0. An answer may also be empty:
 *    close_notify is then the first thing after the handshake.
 * 2. It accepts only a server with a valid certificate for NAME. Otherwise,
 *    and when the handshake ends in any other way than with success, it prints
 *    nothing on standard output, says why on standard error, and ends with
 *    status 1.
 * 3. It prints what has arrived before it waits for more.
 * 4. It sleeps while it waits. It does not use the processor to wait.
 * 5. It waits until it can send, if that is what a call wants.
 * 6. It accepts only close_notify as the end. If the connection ends without
 *    it, the program prints what arrived, says "cut short" on standard error,
 *    and ends with status 1.
 * 7. It says which error broke the connection. It prints what arrived before
 *    the error, then the reason on standard error, and ends with status 1. The
 *    reason of a reset is in `errno`: "Connection reset by peer". The reason
 *    for a damaged record is in OpenSSL's queue, and contains "bad record
 *    mac".
 * 8. It ends at the deadline. That is SECONDS after its start, or 10 seconds
 *    without `-t`. The part that is given does this for `connect`. The server
 *    may be silent, send a byte now and then, or send without end. The program
 *    then says "deadline passed" on standard error, and the status is 1.
 * 9. It does not take an old error for a new one. If FILE cannot be written,
 *    that changes nothing about what follows. If FILE can be written, it
 *    contains the certificate when the program ends.
 * 10. It reports output that cannot be written. It says so on standard error,
 *    and the status is 1. An example is a full disk.
 * 11. It refuses wrong arguments. If their number is wrong, or an option is,
 *    it prints a line that begins with `usage:` on standard error, and ends
 *    with status 2. If SECONDS is not a number above 0 and up to a day, the
 *    status is 1. The part that is given does this.
 *
 * What is here compiles, connects, and then sends and reads nothing. Your part
 * is three functions: follow_error, shake_hands and read_all.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
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

/* 1. Call this right after a call has returned 0 or less. What does
 * SSL_get_error say? Wait if you have to, and return CALL_AGAIN. Or return END.
 * Or the call has failed: then say why, and end the program. */
static enum next_step follow_error(const char *call, SSL *ssl, int result,
                                   struct deadline deadline) {
    (void)call; /* delete these lines when you use the arguments */
    (void)ssl;
    (void)result;
    (void)deadline;
    return END;
}

/* 2. Call SSL_connect until it has returned 1. */
static void shake_hands(SSL *ssl, struct deadline deadline) {
    (void)follow_error("SSL_connect", ssl, -1, deadline);
}

/* 3. Call SSL_read, and print what it returns, until close_notify has come. */
static void read_all(SSL *ssl, struct deadline deadline) {
    char piece[PIECE_BYTES] = "";
    (void)ssl; /* delete these lines when you use the variables */
    (void)piece;
    (void)deadline;
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
