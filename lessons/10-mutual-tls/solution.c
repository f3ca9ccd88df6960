/*
 * 10 solution: a server with a list of guests; one good answer of many.
 *
 * usage: 10-mutual-tls PORT CERT KEY CLIENT_CA NAME...
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 1000, /* for each client */
    PAUSE_MS = 100,     /* after an accept that failed */
    BACKLOG = 128,
    PIECE_BYTES = 4096,
    LONGEST_NAME = 253, /* bytes of a DNS name: RFC 1035, section 2.3.4 */
    LINE_BYTES = LONGEST_NAME + sizeof "welcome \n",
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 10-mutual-tls PORT CERT KEY CLIENT_CA NAME...\n", out);
    exit(status);
}

static void complain(const char *call, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    warnx("%s: %s", call, tls_explain(ssl, reason));
}

static _Noreturn void fail(const char *call, const char *file) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, file, tls_explain(NULL, reason));
}

/* Ends the program if one of the names cannot be the name of a client. For
 * X509_check_host, a name that begins with a dot fits every name that ends like
 * that: its page. */
static void check_names(char **names) {
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strlen(names[i]) > LONGEST_NAME)
            errx(1, "this name is too long: %s", names[i]);
        if (names[i][0] == '\0' || names[i][0] == '.')
            errx(1, "'%s' is not a name", names[i]);
    }
}

/* Makes what all connections share. */
static SSL_CTX *make_context(const char *cert, const char *key,
                             const char *client_ca) {
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL)
        fail("show", cert);
    if (SSL_CTX_load_verify_file(context, client_ca) != 1)
        fail("trust", client_ca);
    const int demand = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, demand, NULL);
    return context;
}

/* Returns the name of the list that the client's certificate is made out to, or
 * NULL if it is made out to none of them. */
static const char *find_name(const SSL *ssl, char **names) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    const unsigned flags =
        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (X509_check_host(certificate, names[i], 0, flags, NULL) == 1)
            return names[i];
    }
    return NULL;
}

/* Sends the whole line. Returns 0, or -1: see tls_explain. */
static int send_line(SSL *ssl, const char *line, struct deadline deadline) {
    for (;;) {
        int result = SSL_write(ssl, line, (int)strlen(line));
        if (result > 0)
            return 0; /* SSL_write sends all, or has to wait */
        if (tls_wait(ssl, result, deadline) != TLS_RETRY)
            return -1;
    }
}

/* Prints the welcome, and sends it to the client. Returns 0 or -1, as send_line
 * does. */
static int welcome(SSL *ssl, const char *name, struct deadline deadline) {
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof line, "welcome %s\n", name); /* it fits */
    if (fputs(line, stdout) == EOF)
        warn("standard output");
    return send_line(ssl, line, deadline);
}

/* Makes the handshake with one client, and lets it in or not. */
static void serve_client(SSL *ssl, char **names, struct deadline deadline) {
    if (tls_handshake(ssl, deadline) < 0) {
        complain("SSL_accept", ssl);
        return;
    }
    const char *name = find_name(ssl, names);
    if (name == NULL) {
        char subject[TLS_SUBJECT_BYTES];
        warnx("%s is not on the list", tls_subject(ssl, subject));
    } else {
        if (welcome(ssl, name, deadline) < 0) {
            complain("SSL_write", ssl);
            return; /* SSL_shutdown(3) forbids to call it after such an error */
        }
    }
    if (SSL_shutdown(ssl) < 0) /* it sends close_notify */
        complain("SSL_shutdown", ssl);
}

/* Ends our half of the connection, and reads what the client still sends, until
 * the client closes too. If we closed while bytes of the client are unread, the
 * kernel would send a reset, and the client might lose our line: see lesson
 * 06. */
static void linger(int fd, struct deadline deadline) {
    char unread[PIECE_BYTES];
    ssize_t received;
    if (shutdown(fd, SHUT_WR) < 0)
        return; /* the connection has broken, so nothing more will come */
    do {
        received = deadline_recv(deadline, fd, unread, sizeof unread);
    } while (received > 0);
}

/* Returns a listener at 127.0.0.1, as in lesson 02, and prints its name. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, address, &length) < 0)
        err(1, "getsockname");
    char name[ADDR_TEXT_BYTES];
    (void)addr_format(address, length, name);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    return listener;
}

/* Serves one client after another, until a signal ends the program. */
static _Noreturn void serve_clients(SSL_CTX *context, int listener,
                                    char **names) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            warn("accept");
            deadline_pause(PAUSE_MS);
            continue;
        }
        struct deadline deadline = deadline_after(PATIENCE_MS);
        SSL *ssl = SSL_new(context);
        if (ssl != NULL && SSL_set_fd(ssl, fd) == 1)
            serve_client(ssl, names, deadline);
        else
            complain("SSL_new", NULL);
        SSL_free(ssl); /* it may be NULL */
        linger(fd, deadline);
        (void)close(fd); /* an error here changes nothing for other clients */
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 6) /* the program's name, four words, and at least one NAME */
        usage(stderr, 2);
    in_port_t port;
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    const char *cert = argv[2];
    const char *key = argv[3];
    const char *client_ca = argv[4];
    char **names = argv + 5; /* with a NULL behind the last one */
    check_names(names);
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    SSL_CTX *context = make_context(cert, key, client_ca);
    int listener = listen_on(port);
    serve_clients(context, listener, names);
}
