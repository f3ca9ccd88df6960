/*
 * 10 exercise: a server with a list of guests.
 *
 * A certificate says who a client is. It does not say what this client may do.
 * An authority may have given certificates to a thousand clients, and your
 * server is meant for three of them. So the server has a list of names, and
 * lets in only the clients on the list. It finds the names of a client among
 * the alternative names of its certificate.
 *
 * You write this server. It is called as `10-mutual-tls PORT CERT KEY
 * CLIENT_CA NAME...`. The NAMEs are the list, and CLIENT_CA is the file with
 * the authorities that may sign clients' certificates. The part that listens,
 * makes the handshake and sends the answer is given. The given part asks for
 * no certificate, and treats each client as if it were the first NAME.
 *
 * 1. It welcomes a client whose certificate has a name of the list. The client
 *    gets the line `welcome NAME`, and the server prints the same line on
 *    standard output. If the certificate has several names of the list, any of
 *    them may be NAME.
 * 2. It refuses a client without a certificate. A client that is refused, for
 *    this or another reason, gets no byte of an answer, and nothing is printed
 *    on standard output about it. (You may send close_notify to it, or not.)
 *    The reason is printed on standard error, and the server serves the next
 *    client.
 * 3. It refuses a certificate that is not valid for a client. It may have
 *    expired, or be meant for servers, or there may be no chain from it to an
 *    authority in CLIENT_CA.
 * 4. It refuses a client that is not on the list. Such a client gets no byte
 *    of an answer either.
 * 5. It refuses a client that does not have the key of its certificate. So it
 *    must not decide before the handshake is over.
 * 6. It compares whole names. For example, `alice.example.org`,
 *    `malice.example` and `alice.exampl` are other names than `alice.example`.
 *    A `*` in a certificate has no special meaning here: `*.example` is not
 *    `alice.example`.
 * 7. It compares only the DNS names among the alternative names. The subject
 *    with its CN does not count, and neither does a URI or a mail address.
 * 8. It compares a name to its end, even if there is a NUL or a comma in it.
 * 9. It compares all the DNS names of a certificate. The one that is on the
 *    list may be the last of many, and names of other kinds may stand before
 *    it.
 * 10. It ignores the case of letters. For `Alice.EXAMPLE` in a certificate and
 *     `alice.example` on the list, it says `welcome alice.example`: as it is
 *     on the list.
 * 11. It refuses to start if a NAME is empty or begins with a dot. It looks at
 *     each NAME. It says why on standard error, with status 1.
 * 12. It refuses to start if it cannot read CLIENT_CA. It says why on standard
 *     error, with status 1.
 *
 * What is here compiles and serves. But it asks for no certificate, does not
 * look into CLIENT_CA, and takes each client for the first NAME. Your parts are
 * numbered: in check_names, make_context, find_name and serve_client.
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

/* Ends the program if one of the names cannot be the name of a client. */
static void check_names(char **names) {
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strlen(names[i]) > LONGEST_NAME)
            errx(1, "this name is too long: %s", names[i]);
        /* 4. Which other names must be refused? */
    }
}

/* Makes what all connections share. */
static SSL_CTX *make_context(const char *cert, const char *key,
                             const char *client_ca) {
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL)
        fail("show", cert);
    /* 1. Trust the authorities in this file, and demand a certificate. */
    (void)client_ca; /* delete this line when you use the file */
    return context;
}

/* Returns the name of the list that the client's certificate is made out to, or
 * NULL if it is made out to none of them. */
static const char *find_name(const SSL *ssl, char **names) {
    /* 2. Look at the client's certificate. */
    (void)ssl; /* delete this line when you use ssl */
    return names[0];
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
    /* 3. What if there is no such name? */
    if (welcome(ssl, name, deadline) < 0) {
        complain("SSL_write", ssl);
        return; /* SSL_shutdown(3) forbids to call it after such an error */
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
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    SSL_CTX *context = make_context(cert, key, client_ca);
    int listener = listen_on(port);
    serve_clients(context, listener, names);
}
