/*
 * A right answer with a thread for each client, and a context made without
 * common/tls. The alternative names are collected into a list of texts first.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct client {
    SSL_CTX *context;
    char **guests;
    int fd;
};

/* Says why, as one line, with OpenSSL's reason if there is one. */
static void report(const char *what) {
    unsigned long code = ERR_get_error();
    const char *reason = NULL;
    if (code != 0)
        reason = ERR_reason_error_string(code);
    if (reason == NULL)
        reason = "no more is known";
    fprintf(stderr, "10-mutual-tls: %s: %s\n", what, reason);
    ERR_clear_error();
}

static _Noreturn void stop(const char *what) {
    report(what);
    exit(1);
}

/* Returns a copy of a DNS name for the caller to free, or NULL if there is no
 * memory, or if the name has a NUL in it: it can never be on the list. */
static char *copy_name(const GENERAL_NAME *name) {
    unsigned char *text = NULL;
    int length = ASN1_STRING_to_UTF8(&text, name->d.dNSName);
    if (length < 0)
        return NULL;
    char *copy = NULL;
    if (strlen((char *)text) == (size_t)length)
        copy = strdup((char *)text);
    OPENSSL_free(text);
    return copy;
}

/* Copies at most so many of the certificate's DNS names into texts. Returns how
 * many there are. */
static size_t collect(X509 *certificate, char **texts, size_t most) {
    size_t count = 0;
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    /* If names is NULL, sk_GENERAL_NAME_num returns -1. */
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS || count == most)
            continue;
        char *text = copy_name(name);
        if (text != NULL) {
            texts[count] = text;
            count++;
        }
    }
    GENERAL_NAMES_free(names);
    return count;
}

static int is_among(const char *guest, char **texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (OPENSSL_strcasecmp(guest, texts[i]) == 0)
            return 1;
    }
    return 0;
}

/* Returns the first guest that the certificate is made out to, or NULL. */
static const char *find_guest(SSL *ssl, char **guests) {
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    char *texts[100];
    size_t count = collect(certificate, texts, 100);
    size_t next = 0;
    while (guests[next] != NULL && !is_among(guests[next], texts, count))
        next++;
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    X509_free(certificate);
    return guests[next]; /* NULL behind the last guest */
}

static void answer(SSL *ssl, char **guests) {
    if (SSL_accept(ssl) <= 0) {
        report("handshake");
        return;
    }
    const char *guest = find_guest(ssl, guests);
    if (guest == NULL) {
        report("none of its names is on the list");
        SSL_shutdown(ssl);
        return;
    }
    char line[512];
    sprintf(line, "welcome %s\n", guest); /* main has looked at the length */
    size_t sent;
    if (SSL_write_ex(ssl, line, strlen(line), &sent) != 1)
        report("write");
    else
        SSL_shutdown(ssl);
    fputs(line, stdout);
    fflush(stdout);
}

static void *run(void *argument) {
    struct client *client = argument;
    struct timeval patience = {.tv_usec = 900000};
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    SSL *ssl = SSL_new(client->context);
    if (ssl != NULL && SSL_set_fd(ssl, client->fd) == 1)
        answer(ssl, client->guests);
    SSL_free(ssl);
    close(client->fd);
    free(client);
    return NULL;
}

static SSL_CTX *make_context(const char *cert, const char *key,
                             const char *ca) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        stop("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        stop(cert);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        stop(key);
    if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
        stop(ca);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_verify(context,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return context;
}

/* Returns 1 if the word can be the name of a client. */
static int is_name(const char *word) {
    size_t length = strlen(word);
    if (length == 0 || length > 500)
        return 0;
    return word[0] != '.';
}

/* Returns a listener at 127.0.0.1 and this port, or -1 and errno. */
static int listen_on(in_port_t port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in own;
    memset(&own, 0, sizeof own);
    own.sin_family = AF_INET;
    own.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    socklen_t size = sizeof own;
    if (bind(listener, (struct sockaddr *)&own, size) < 0)
        return -1;
    if (listen(listener, 5) < 0)
        return -1;
    if (getsockname(listener, (struct sockaddr *)&own, &size) < 0)
        return -1;
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: %s PORT CERT KEY CLIENT_CA NAME...\n", argv[0]);
        return 2;
    }
    for (int i = 5; i < argc; i++) {
        if (!is_name(argv[i])) {
            fprintf(stderr, "10-mutual-tls: '%s' cannot be a name\n", argv[i]);
            return 1;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *context = make_context(argv[2], argv[3], argv[4]);

    int listener = listen_on((in_port_t)strtoul(argv[1], NULL, 10));
    if (listener < 0) {
        perror("10-mutual-tls: listener");
        return 1;
    }

    for (;;) {
        struct client *client = malloc(sizeof *client);
        pthread_t thread;
        if (client == NULL)
            return 1;
        client->context = context;
        client->guests = argv + 5;
        client->fd = accept(listener, NULL, NULL);
        if (client->fd < 0) {
            perror("10-mutual-tls: accept");
            free(client);
            continue;
        }
        if (pthread_create(&thread, NULL, run, client) != 0) {
            close(client->fd);
            free(client);
            continue;
        }
        pthread_detach(thread);
    }
}
