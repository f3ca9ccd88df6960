/*
 * 08 solution: the client of 2008, made safe; one good answer of many.
 *
 * usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
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

/* What to do after a call that has returned 0 or less. */
enum next_step { CALL_AGAIN, PEER_HAS_CLOSED };

/* One connection over TLS. */
struct connection {
    SSL *ssl;
    struct deadline deadline;
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
 * failed, and returns -1. The socket is non-blocking: lesson 07. */
static int try_address(const struct addrinfo *where, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (deadline_connect(deadline, fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", name);
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

static SSL_CTX *make_context(const char *ca_file) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    if (SSL_CTX_load_verify_file(context, ca_file) != 1)
        fail(ca_file);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(context, 2); /* no short keys, no SHA-1 */
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        fail("SSL_CTX_set_min_proto_version");
    return context;
}

/* Removes the dot at the end of a name, if there is one. The name is the same
 * without it, and certificates have none. */
static void remove_final_dot(char *name) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        name[length - 1] = '\0';
}

/* Returns 1 if the text is an IPv4 or IPv6 address. */
static int is_address(const char *text) {
    struct in6_addr bytes; /* an IPv4 address fits into it too */
    return inet_pton(AF_INET, text, &bytes) == 1 ||
           inet_pton(AF_INET6, text, &bytes) == 1;
}

/* Returns 1 if all bytes of the text may stand in a host's name. */
static int is_host_name(const char *text) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t length = strspn(text, allowed);
    return text[length] == '\0';
}

/* Says for which name the certificate must be. Ends the program if the text is
 * neither an address nor a host name. */
static void demand_name(SSL *ssl, char *name) {
    if (is_address(name)) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1)
            fail("X509_VERIFY_PARAM_set1_ip_asc");
        return;
    }
    if (!is_host_name(name))
        errx(1, "'%s' is not a name", name);
    /* OpenSSL takes an empty name for any name, and one with a dot in front for
     * all names that end so. */
    if (name[0] == '\0' || name[0] == '.')
        errx(1, "'%s' is not a name", name);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl, name) != 1)
        errx(1, "'%s' is not a name", name);
    if (SSL_set_tlsext_host_name(ssl, name) != 1)
        errx(1, "'%s' is not a name", name);
}

/* Call this when a call has returned 0 or less. It waits for the peer, and
 * returns CALL_AGAIN when the same call is to be made again. It returns
 * PEER_HAS_CLOSED when the peer has sent close_notify. It ends the program at
 * any error. */
static enum next_step wait_for_peer(const struct connection *connection,
                                    const char *call, int result) {
    short event;
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        event = POLLIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        event = POLLOUT;
        break;
    case SSL_ERROR_ZERO_RETURN:
        return PEER_HAS_CLOSED;
    default:
        fail(call);
    }
    if (deadline_wait(connection->deadline, SSL_get_fd(connection->ssl),
                      event) < 0)
        err(1, "%s", call);
    return CALL_AGAIN;
}

/* Makes the handshake, in which the server proves that it is `name`. */
static void shake_hands(const struct connection *connection, const char *name) {
    for (;;) {
        int result = SSL_connect(connection->ssl);
        if (result == 1)
            return;
        long verdict = SSL_get_verify_result(connection->ssl);
        if (verdict != X509_V_OK)
            errx(1, "certificate of %s: %s", name,
                 X509_verify_cert_error_string(verdict));
        enum next_step next = wait_for_peer(connection, "SSL_connect", result);
        if (next == PEER_HAS_CLOSED)
            errx(1, "SSL_connect: closed");
    }
}

/* Sends all the bytes. Returns 0, or -1 if the peer has closed. */
static int write_all(const struct connection *connection, const char *bytes,
                     int length) {
    for (;;) {
        int result = SSL_write(connection->ssl, bytes, length);
        if (result > 0)
            return 0; /* SSL_write sends all of them, or has to wait */
        enum next_step next = wait_for_peer(connection, "SSL_write", result);
        if (next == PEER_HAS_CLOSED)
            return -1;
    }
}

static void send_input(const struct connection *connection) {
    static char piece[PIECE_BYTES];
    for (;;) {
        if (deadline_wait(connection->deadline, STDIN_FILENO, POLLIN) < 0)
            err(1, "standard input");
        ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
        if (got < 0)
            err(1, "standard input");
        if (got == 0)
            return;
        if (write_all(connection, piece, (int)got) < 0)
            return; /* the peer wants no more input, but its answer may wait */
    }
}

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Prints the answer until the server says that it is complete. */
static void print_answer(const struct connection *connection) {
    static char piece[PIECE_BYTES];
    for (;;) {
        /* While there is always something to read, wait_for_peer is not called.
         * So we look at the clock here too. */
        if (deadline_left(connection->deadline) == 0)
            errx(1, "SSL_read: deadline passed");
        int got = SSL_read(connection->ssl, piece, sizeof piece);
        if (got > 0) {
            print_bytes(piece, (size_t)got);
            continue;
        }
        enum next_step next = wait_for_peer(connection, "SSL_read", got);
        if (next == PEER_HAS_CLOSED)
            return;
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
    char *name = argv[optind + 1];
    const char *host = argv[optind + 2];
    const char *port = argv[optind + 3];
    /* If standard output were closed, our socket would get its number. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    struct connection connection = {.deadline = deadline_after(milliseconds)};
    SSL_CTX *context = make_context(ca_file);
    connection.ssl = SSL_new(context);
    if (connection.ssl == NULL)
        fail("SSL_new");
    remove_final_dot(name);
    demand_name(connection.ssl, name);
    int fd = connect_to(host, port, connection.deadline);
    if (SSL_set_fd(connection.ssl, fd) != 1)
        fail("SSL_set_fd");
    shake_hands(&connection, name);
    fprintf(stderr, "talking to %s, safely encrypted\n", name);
    send_input(&connection);
    print_answer(&connection);

    (void)SSL_shutdown(connection.ssl); /* our close_notify */
    SSL_free(connection.ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
