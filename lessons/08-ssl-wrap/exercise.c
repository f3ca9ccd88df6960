/*
 * 08 exercise: the client as it was in 2008, which trusts anybody. Make it
 * safe.
 *
 * You have met the client from 2008. It works, and many programs of that time
 * were like it. It has faults of four kinds: it does not tell the server whom
 * it wants, it believes every certificate (weak ones, and those for another
 * name, too), it believes every end, and it may wait for ever. You get it as
 * your starter. Make it safe.
 *
 * It is called as `08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT`. It sends
 * standard input, and prints the answer. You may keep the way in which it does
 * that: first everything out, then everything in.
 *
 * 1. It talks to a server that is who it should be, in both directions.
 * 2. It refuses a certificate that has no chain to a root in CAFILE.
 * 3. It refuses a certificate that is out of date.
 * 4. It refuses a certificate that is for another name.
 * 5. It looks for NAME only in the alternative names of the certificate. A
 *    name in CN does not count. An empty NAME, or one with a dot in front, is
 *    refused too.
 * 6. It compares an address with the addresses in the certificate.
 * 7. It tells the server in the ClientHello that it wants NAME, unless NAME is
 *    an address.
 * 8. It refuses what is too weak to prove anything. That is TLS before 1.2, an
 *    RSA key under 2048 bits, or a signature with SHA-1. You need not care for
 *    ciphers.
 * 9. It reports an end without close_notify as an error. What came before it
 *    is printed.
 * 10. It ends when SECONDS are over, whatever the server or standard input
 *    does. The server may also send without end. SECONDS is counted from the
 *    start of your program, and is 10 unless given.
 * 11. It waits for a slow server while there is time.
 * 12. It reports output that cannot be written, and input that cannot be read.
 *    Examples are a full disk, and a folder as standard input.
 * 13. It refuses wrong arguments. A wrong number of them gets a line that
 *    begins with `usage:` on standard error, and status 2. A CAFILE that
 *    cannot be read gets status 1.
 *
 * What is here compiles and works. It reads CAFILE, and asks for no
 * certificate. It is given NAME, and compares it with nothing. It is given
 * SECONDS, and waits for ever. Nothing that you need has to be invented: it
 * is in ssl-wrap.c.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16384, /* as much as one record of TLS holds */
    DEFAULT_MILLISECONDS = 10000,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT\n", out);
    exit(status);
}

/* Ends the program. The reason is in OpenSSL's queue of errors, or in errno. */
static _Noreturn void fail(const char *call) {
    int error = errno;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    if (reason == NULL)
        reason = strerror(error);
    errx(1, "%s: %s", call, reason);
}

/* Returns a socket that is connected to this address. Or it says why that
 * failed, and returns -1. */
static int try_address(const struct addrinfo *where) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (connect(fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", name);
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        fd = try_address(where);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

static SSL_CTX *make_context(const char *ca_file) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    if (SSL_CTX_load_verify_file(context, ca_file) != 1)
        fail(ca_file);
    /* Some servers are old, and we want to talk to them too. */
    SSL_CTX_set_security_level(context, 0);
    if (SSL_CTX_set_min_proto_version(context, TLS1_VERSION) != 1)
        fail("SSL_CTX_set_min_proto_version");
    return context;
}

static SSL *wrap(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        fail("SSL_new");
    if (SSL_set_fd(ssl, fd) != 1)
        fail("SSL_set_fd");
    if (SSL_connect(ssl) != 1)
        fail("SSL_connect");
    return ssl;
}

static void send_input(SSL *ssl) {
    static char piece[PIECE_BYTES];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
        if (got < 0)
            err(1, "standard input");
        if (got == 0)
            return;
        if (SSL_write(ssl, piece, (int)got) <= 0)
            fail("SSL_write");
    }
}

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

static void print_answer(SSL *ssl) {
    static char piece[PIECE_BYTES];
    for (;;) {
        int got = SSL_read(ssl, piece, sizeof piece);
        if (got <= 0)
            return; /* the end of the answer, as this program believes */
        print_bytes(piece, (size_t)got);
    }
}

/* Returns the seconds in the text as milliseconds, or ends the program. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

int main(int argc, char **argv) {
    int milliseconds = DEFAULT_MILLISECONDS;
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
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
    (void)milliseconds;             /* delete this line when you use the time */
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    SSL_CTX *context = make_context(ca_file);
    int fd = connect_to(host, port);
    SSL *ssl = wrap(context, fd);
    fprintf(stderr, "talking to %s, safely encrypted\n", name);
    send_input(ssl);
    print_answer(ssl);

    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
