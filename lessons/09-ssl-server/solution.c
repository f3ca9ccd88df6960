/*
 * 09 solution: one server with several names, and a certificate for each; one
 * good answer of many.
 *
 * usage: 09-ssl-server PORT CERTFILE KEYFILE [NAME CERTFILE KEYFILE]...
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 128,
    PATIENCE_MS = 1000, /* for each client */
    PAUSE_MS = 100,     /* after an accept that failed */
    PIECE_BYTES = 4096,
    LINE_BYTES = 300, /* "you asked for ", a name of 255 bytes, a newline */
};

/* A name, and the context with its certificate. */
struct identity {
    const char *name; /* NULL for the first identity, which has no name */
    SSL_CTX *context; /* NULL behind the last identity */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 09-ssl-server PORT CERTFILE KEYFILE "
          "[NAME CERTFILE KEYFILE]...\n",
          out);
    exit(status);
}

/* Ends the program: this file or this setting cannot be used. */
static _Noreturn void refuse(const char *what, const char *name) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", what, name, tls_explain(NULL, reason));
}

/* OpenSSL calls this function when a key is protected by a passphrase. Without
 * the function, OpenSSL would ask at the terminal, and a server has none.
 * pem_password_cb(3) says which type the function must have.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int refuse_passphrase(char *buffer, int size, int writing,
                             void *unused) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)unused;
    errx(1, "a key has a passphrase: this server cannot use it");
}

static SSL_CTX *make_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        refuse("SSL_CTX_new", "server");
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        refuse("SSL_CTX_set_min_proto_version", "TLS 1.2");
    if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        refuse("SSL_CTX_set_cipher_list", "ECDHE");
    SSL_CTX_set_security_level(context, 2);
    /* No second handshake in a connection, and no session tickets. The second
     * call is for TLS 1.3, and cannot fail. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    return context;
}

/* Gives the context a key and its certificate. */
static void load_identity(SSL_CTX *context, const char *chain_file,
                          const char *key_file) {
    struct stat key;
    if (stat(key_file, &key) < 0)
        err(1, "key %s", key_file);
    if ((key.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        errx(1, "key %s: others may use it", key_file);
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        refuse("key", key_file);
    if (SSL_CTX_use_certificate_chain_file(context, chain_file) != 1)
        refuse("certificate", chain_file);
    if (SSL_CTX_check_private_key(context) != 1)
        errx(1, "%s is not the key of %s", key_file, chain_file);
}

/* OpenSSL calls this function in the handshake, when the client has said which
 * name it wants. SSL_CTX_set_tlsext_servername_callback(3) says which type the
 * function must have.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int choose(SSL *ssl, int *alert, void *argument) {
    const struct identity *identities = argument;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (wanted == NULL)
        return SSL_TLSEXT_ERR_NOACK; /* the first certificate stays */
    for (size_t i = 1; identities[i].context != NULL; i++) {
        if (strcasecmp(wanted, identities[i].name) == 0) {
            (void)SSL_set_SSL_CTX(ssl, identities[i].context);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Returns a listener at 127.0.0.1 and this port, and writes its name: lesson
 * 02. */
static int listen_on(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    (void)addr_format((struct sockaddr *)&own, length, name);
    return listener;
}

/* Call this when a call has returned 0 or less. It waits for the client, and
 * returns TLS_RETRY when the same call is to be made again. If the call has
 * failed, it says why. */
static enum tls_result wait_for_client(const char *call, SSL *ssl, int result,
                                       struct deadline deadline) {
    enum tls_result next = tls_wait(ssl, result, deadline);
    if (next == TLS_FAILED) {
        char reason[TLS_REASON_BYTES];
        warnx("%s: %s", call, tls_explain(ssl, reason));
    }
    return next;
}

/* Makes the handshake. Returns 0, or -1 if it failed. */
static int shake_hands(SSL *ssl, struct deadline deadline) {
    for (;;) {
        int result = SSL_accept(ssl);
        if (result == 1)
            return 0;
        enum tls_result next =
            wait_for_client("SSL_accept", ssl, result, deadline);
        if (next != TLS_RETRY)
            return -1;
    }
}

/* Sends all the bytes. Returns 0, or -1 if that failed. */
static int write_all(SSL *ssl, const char *bytes, int length,
                     struct deadline deadline) {
    for (;;) {
        int result = SSL_write(ssl, bytes, length);
        if (result > 0)
            return 0; /* SSL_write sends all, or has to wait */
        enum tls_result next =
            wait_for_client("SSL_write", ssl, result, deadline);
        if (next != TLS_RETRY)
            return -1;
    }
}

/* Serves one client: handshake, line, close_notify. */
static void greet(SSL *ssl, struct deadline deadline) {
    if (shake_hands(ssl, deadline) < 0)
        return;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (wanted == NULL)
        wanted = "nobody";
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "you asked for %s\n", wanted);
    if (write_all(ssl, line, length, deadline) < 0)
        return;
    if (SSL_shutdown(ssl) < 0)
        warnx("SSL_shutdown: the close_notify could not be sent");
}

/* Ends our half of the connection, and reads what the client still sends, until
 * the client closes too, or its time is over. If we closed while bytes of the
 * client are unread, the kernel would send a reset, and the client might lose
 * our line: see lesson 06. */
static void linger(int fd, struct deadline deadline) {
    char unread[PIECE_BYTES];
    ssize_t received;
    if (shutdown(fd, SHUT_WR) < 0)
        return; /* the connection has broken, so nothing more will come */
    do {
        received = deadline_recv(deadline, fd, unread, sizeof unread);
    } while (received > 0);
}

/* Makes the list of identities from the words after PORT, which are CERTFILE
 * KEYFILE, then NAME CERTFILE KEYFILE for each name. */
static struct identity *load_identities(char **words, size_t names) {
    /* The first identity, then one for each name, then zeros as the end. */
    struct identity *identities = calloc(1 + names + 1, sizeof *identities);
    if (identities == NULL)
        err(1, "calloc");
    identities[0].context = make_context();
    load_identity(identities[0].context, words[0], words[1]);
    char **word = words + 2;
    for (size_t i = 1; i <= names; i++) {
        identities[i].name = word[0];
        identities[i].context = make_context();
        load_identity(identities[i].context, word[1], word[2]);
        word += 3;
    }
    return identities;
}

/* Serves one client after another, for ever. */
static _Noreturn void serve(int listener, SSL_CTX *context) {
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
            greet(ssl, deadline);
        else
            warnx("SSL_new: there is no memory for a client");
        SSL_free(ssl); /* it may be NULL */
        linger(fd, deadline);
        (void)close(fd);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    int words = argc - 1; /* three words, and three more for each name */
    if (words < 3 || words % 3 != 0)
        usage(stderr, 2);
    in_port_t port;
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    /* The first three words are PORT CERTFILE KEYFILE. */
    size_t names = (size_t)(words - 3) / 3;
    struct identity *identities = load_identities(argv + 2, names);
    SSL_CTX *first = identities[0].context;
    SSL_CTX_set_tlsext_servername_callback(first, choose);
    SSL_CTX_set_tlsext_servername_arg(first, identities);

    char name[ADDR_TEXT_BYTES];
    int listener = listen_on(port, name);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    serve(listener, first);
}
