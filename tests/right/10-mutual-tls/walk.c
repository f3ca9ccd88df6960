/*
 * A right answer that walks over the alternative names itself, and serves each
 * client in a process of its own. The handshake goes through without a
 * certificate; only then are those without one refused.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "tls.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Adds each certificate in the file to those that we trust. */
static void trust(SSL_CTX *context, const char *file) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    FILE *in = fopen(file, "re");
    if (in == NULL)
        err(1, "%s", file);
    int count = 0;
    for (;;) {
        X509 *certificate = PEM_read_X509(in, NULL, NULL, NULL);
        if (certificate == NULL)
            break;
        if (X509_STORE_add_cert(store, certificate) != 1)
            errx(1, "%s: cannot be added", file);
        X509_free(certificate);
        count++;
    }
    if (count == 0)
        errx(1, "%s: no certificate in it", file);
    fclose(in);
    ERR_clear_error(); /* the end of the file is an error in the queue */
}

/* Returns 1 if the text in the certificate is the wanted name. The text may
 * have a NUL in its middle. Then it differs there from the wanted name, which
 * has the same length, but no NUL in it. */
static int is_same(const ASN1_STRING *found, const char *wanted) {
    size_t length = (size_t)ASN1_STRING_length(found);
    if (length != strlen(wanted))
        return 0;
    const char *text = (const char *)ASN1_STRING_get0_data(found);
    return strncasecmp(text, wanted, length) == 0;
}

/* Returns a guest that the certificate is made out to, or NULL. */
static const char *find_guest(const X509 *certificate, char **guests) {
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const char *result = NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS)
            continue;
        for (size_t k = 0; guests[k] != NULL; k++) {
            if (is_same(name->d.dNSName, guests[k]))
                result = guests[k];
        }
    }
    GENERAL_NAMES_free(names);
    return result;
}

static _Noreturn void serve(SSL_CTX *context, int fd, char **guests) {
    char reason[TLS_REASON_BYTES];
    SSL *ssl = SSL_new(context);
    struct timeval patience = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    alarm(2);
    if (ssl == NULL)
        errx(1, "SSL_new");
    if (SSL_set_fd(ssl, fd) != 1)
        errx(1, "SSL_set_fd");
    if (SSL_accept(ssl) != 1)
        errx(1, "no handshake: %s", tls_explain(ssl, reason));
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL)
        errx(1, "a client without a certificate");
    if (SSL_get_verify_result(ssl) != X509_V_OK)
        errx(1, "a client with a bad certificate");
    const char *guest = find_guest(certificate, guests);
    if (guest == NULL)
        errx(1, "a client that is not on the list");

    char line[300];
    int length = snprintf(line, sizeof line, "welcome %s\n", guest);
    if (write(STDOUT_FILENO, line, (size_t)length) < 0)
        warn("standard output");
    if (SSL_write(ssl, line, length) != length)
        errx(1, "no answer sent: %s", tls_explain(ssl, reason));
    SSL_shutdown(ssl);
    exit(0);
}

static int listen_at(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof own;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&own, size) < 0)
        err(1, "bind");
    if (listen(fd, 10) < 0)
        err(1, "listen");
    if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
    return fd;
}

/* Returns 1 if the word can be the name of a client. */
static int is_name(const char *word) {
    size_t length = strlen(word);
    if (length == 0 || length > 253)
        return 0;
    return word[0] != '.';
}

int main(int argc, char **argv) {
    in_port_t port;
    if (argc < 6) {
        fputs("usage: 10-mutual-tls PORT CERT KEY CLIENT_CA NAME...\n", stderr);
        return 2;
    }
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s: no port", argv[1]);
    for (int i = 5; i < argc; i++) {
        if (!is_name(argv[i]))
            errx(1, "no good name: %s", argv[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* the kernel forgets a child that has ended */

    SSL_CTX *context = tls_server_context(argv[2], argv[3]);
    if (context == NULL) {
        char reason[TLS_REASON_BYTES];
        errx(1, "%s: %s", argv[2], tls_explain(NULL, reason));
    }
    trust(context, argv[4]);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);

    int listener = listen_at(port);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            warn("accept");
            continue;
        }
        pid_t child = fork();
        if (child == 0)
            serve(context, fd, argv + 5);
        if (child < 0)
            warn("fork");
        close(fd);
    }
}
