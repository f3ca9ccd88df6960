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

enum { BACKLOG = 128, PATIENCE_MS = 1000, LINE_BYTES = 300 };

/* A name, and who we are under it. The last one has no context. */
struct identity {
    const char *name; /* NULL: whatever they ask for */
    SSL_CTX *context;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 09-ssl-server PORT CERTFILE KEYFILE "
          "[NAME CERTFILE KEYFILE]...\n",
          out);
    exit(status);
}

static _Noreturn void refuse(const char *call, const char *what) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, what, tls_explain(NULL, reason));
}

static SSL_CTX *make_context(const char *chain_file, const char *key_file) {
    struct stat key;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        refuse("SSL_CTX_new", "server");
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0);
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
    return context;
}

/* Asked by OpenSSL, in the middle of the handshake, with that type.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int choose(SSL *ssl, int *alert, void *argument) {
    const struct identity *identities = argument;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    for (int i = 1; wanted != NULL && identities[i].context != NULL; i++)
        if (strcasecmp(wanted, identities[i].name) == 0) {
            (void)SSL_set_SSL_CTX(ssl, identities[i].context);
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK; /* the first one will do */
}

static int listen_on(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, address, &length) < 0)
        err(1, "getsockname");
    (void)addr_format(address, length, name);
    return listener;
}

/* True when the same call is to be made again. */
static int retries(const char *call, SSL *ssl, int result,
                   struct deadline deadline) {
    int answer = tls_wait(ssl, result, deadline);
    if (answer < 0) {
        char reason[TLS_REASON_BYTES];
        warnx("%s: %s", call, tls_explain(ssl, reason));
    }
    return answer == 1;
}

static void greet(SSL *ssl, struct deadline deadline) {
    char line[LINE_BYTES];
    int result;
    while ((result = SSL_accept(ssl)) != 1)
        if (!retries("SSL_accept", ssl, result, deadline))
            return;
    const char *wanted = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    int length = snprintf(line, sizeof line, "you asked for %s\n",
                          wanted != NULL ? wanted : "nobody");
    while ((result = SSL_write(ssl, line, length)) <= 0)
        if (!retries("SSL_write", ssl, result, deadline))
            return;
    (void)SSL_shutdown(ssl);
}

int main(int argc, char **argv) {
    char name[ADDR_TEXT_BYTES];
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 4 || argc % 3 != 1)
        usage(stderr, 2);
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */

    struct identity *identities = calloc((size_t)argc, sizeof *identities);
    if (identities == NULL)
        err(1, "calloc");
    for (int i = 0; 3 * i + 3 < argc; i++) {
        identities[i].name = i > 0 ? argv[3 * i + 1] : NULL;
        identities[i].context = make_context(argv[3 * i + 2], argv[3 * i + 3]);
    }
    SSL_CTX *first = identities[0].context;
    SSL_CTX_set_tlsext_servername_callback(first, choose);
    SSL_CTX_set_tlsext_servername_arg(first, identities);

    int listener = listen_on(port, name);
    if (printf("listening on %s\n", name) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            warn("accept");
            (void)deadline_wait(deadline_after(PATIENCE_MS / 10), -1, 0);
            continue;
        }
        SSL *ssl = SSL_new(first);
        if (ssl != NULL && SSL_set_fd(ssl, fd) == 1)
            greet(ssl, deadline_after(PATIENCE_MS));
        SSL_free(ssl);
        (void)close(fd);
    }
}
