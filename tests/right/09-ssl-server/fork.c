/*
 * A right answer with a process for each client: its calls block, and after a
 * second SIGALRM ends it.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_NAMES = 1000 };

/* names[0] stays NULL: the first context is for all other names. */
static SSL_CTX *contexts[MOST_NAMES];
static const char *names[MOST_NAMES];
static int count;

static SSL_CTX *make_context(const char *certificate, const char *key) {
    struct stat facts;
    if (stat(key, &facts) < 0)
        err(1, "%s", key);
    if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        errx(1, "%s: others have rights in it", key);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        errx(1, "SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        errx(1, "%s cannot be used", certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        errx(1, "%s cannot be used", key);
    if (SSL_CTX_check_private_key(context) != 1)
        errx(1, "%s and %s: not a pair", certificate, key);
    return context;
}

/* Its type is given. NOLINTNEXTLINE(readability-non-const-parameter) */
static int choose(SSL *ssl, int *alert, void *nothing) {
    (void)alert;
    (void)nothing;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL)
        return SSL_TLSEXT_ERR_OK;
    for (int i = 1; i < count; i++) {
        if (strcasecmp(name, names[i]) == 0)
            SSL_set_SSL_CTX(ssl, contexts[i]);
    }
    return SSL_TLSEXT_ERR_OK;
}

static void serve(int fd) {
    alarm(1);
    SSL *ssl = SSL_new(contexts[0]);
    if (ssl == NULL)
        errx(1, "SSL_new");
    if (SSL_set_fd(ssl, fd) != 1)
        errx(1, "SSL_set_fd");
    if (SSL_accept(ssl) != 1)
        errx(1, "no handshake");
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL)
        name = "nobody";
    char line[400];
    int length = snprintf(line, sizeof line, "you asked for %s\n", name);
    if (SSL_write(ssl, line, length) != length)
        errx(1, "the line could not be sent");
    SSL_shutdown(ssl);
    int got;
    do {
        got = SSL_read(ssl, line, sizeof line);
    } while (got > 0);
}

/* Returns a listener at 127.0.0.1 and this port, and prints its name. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof own;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&own, size) < 0)
        err(1, "bind");
    if (listen(listener, 100) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    if (fflush(stdout) != 0)
        err(1, "standard output");
    return listener;
}

int main(int argc, char **argv) {
    int words = argc - 1;
    if (words < 3 || words % 3 != 0) {
        fprintf(stderr,
                "usage: %s PORT CERTFILE KEYFILE "
                "[NAME CERTFILE KEYFILE]...\n",
                argv[0]);
        return 2;
    }
    in_port_t port;
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is no port", argv[1]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* nobody asks how a child ended */
    contexts[0] = make_context(argv[2], argv[3]);
    count = 1;
    for (int i = 4; i < argc; i += 3) {
        if (count == MOST_NAMES)
            errx(1, "there are too many names");
        names[count] = argv[i];
        contexts[count] = make_context(argv[i + 1], argv[i + 2]);
        count++;
    }
    SSL_CTX_set_tlsext_servername_callback(contexts[0], choose);

    int listener = listen_on(port);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            warn("accept");
            sleep(1);
            continue;
        }
        pid_t child = fork();
        if (child == 0) {
            close(listener);
            serve(fd);
            _exit(0);
        }
        if (child < 0)
            warn("fork");
        close(fd);
    }
}
