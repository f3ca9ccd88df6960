/*
 * 11-ssl-errors: bring about every SSL_ERROR_ that can be brought about.
 *
 * Shows that SSL_get_error(3) returns an instruction: what to do before the
 * same call is made again, or that there is to be no other. Both ends of each
 * connection are in this program. Where we can, we do as we are told.
 *
 * usage: 11-ssl-errors [NAME]...
 *
 * NAME is such as WANT_READ; without one: all. Left out: many connections (27).
 */
#define _GNU_SOURCE

#include "tls.h"

#include <err.h>
#include <openssl/async.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_BYTES = 1 << 14, ROWS = 15, EOF_ROW = 13 };

struct row {
    const char *name, *openssl, *python; /* its number there, and there */
    const char *cause, *next;
};

static const char wait_in[] = "poll for POLLIN, the same call again";
static const char wait_out[] = "poll for POLLOUT, the same call again";
static const char find[] = "find it, the same call again"; /* as we do */
static const char stop[] = "no other call, nor SSL_shutdown: close";

/* In the order of OpenSSL; the last two are Python's own. */
static const struct row rows[ROWS] = {
    {"NONE", "0", "-", "SSL_connect: all is done", "go on"},
    {"SSL", "1", "1", "SSL_read: what came was no TLS", stop},
    {"WANT_READ", "2", "2", "SSL_connect: no answer is there yet", wait_in},
    {"WANT_WRITE", "3", "3", "SSL_write: the peer reads nothing", wait_out},
    {"WANT_X509_LOOKUP", "4", "4", "SSL_accept: no certificate yet", find},
    {"SYSCALL", "5", "5", "SSL_read: closed, with bytes unread", stop},
    {"ZERO_RETURN", "6", "6", "SSL_read: close_notify", "SSL_shutdown, close"},
    {"WANT_CONNECT", "7", "7", "SSL_connect: TCP has yet to connect", wait_out},
    {"WANT_ACCEPT", "8", "-", "SSL_accept: nobody has connected", wait_in},
    {"WANT_ASYNC", "9", "-", "SSL_accept: its job waits for a key", find},
    {"WANT_ASYNC_JOB", "10", "-", "SSL_connect: no job is free", find},
    {"WANT_CLIENT_HELLO_CB", "11", "-", "SSL_accept: who is asked for?", find},
    {"WANT_RETRY_VERIFY", "12", "-", "SSL_connect: no verdict yet", find},
    {"EOF", "-", "8", "SSL_read: closed, without close_notify", stop},
    {"INVALID_ERROR_CODE", "-", "10", "not provoked: only Python says it", ""},
};

struct pair {
    SSL *server, *client;
};

struct seen {
    int result, error;
    char reason[TLS_REASON_BYTES];
};

/* At once: the next call leaves another errno, and more in OpenSSL's queue. */
static struct seen look(const SSL *ssl, int result) {
    struct seen seen = {result, SSL_get_error(ssl, result), ""};
    if (seen.error == SSL_ERROR_SSL || seen.error == SSL_ERROR_SYSCALL)
        (void)tls_explain(NULL, seen.reason); /* and empties the queue */
    return seen;
}

/* Each end in turn, until both are done, or one wants more than to hear from
 * the other. What is sent into one end of a pair has come out at the other. */
static struct seen shake_hands(const struct pair *pair) {
    for (;;) {
        struct seen seen = look(pair->server, SSL_accept(pair->server));
        int more = seen.error == SSL_ERROR_WANT_READ;
        if (more || seen.error == SSL_ERROR_NONE)
            seen = look(pair->client, SSL_connect(pair->client));
        if (seen.error != (more ? SSL_ERROR_NONE : SSL_ERROR_WANT_READ) &&
            seen.error != SSL_ERROR_WANT_READ)
            return seen;
    }
}

/* In a job: leaves it, and goes on in it when the call is made again. */
static int no_certificate(SSL *ssl, void *unused) {
    (void)ssl, (void)unused;
    return ASYNC_get_current_job() != NULL ? ASYNC_pause_job() : -1;
}

static int no_name(SSL *ssl, int *alert, void *unused) {
    (void)ssl, (void)unused, *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_RETRY;
}

static int no_verdict(X509_STORE_CTX *store, void *client) {
    (void)store;
    return SSL_set_retry_verify((SSL *)client);
}

/* Lets the handshake come upon that error; upon none that is not one of its. */
static void obstruct(const struct pair *pair, int error) {
    int job = strstr(rows[error].name, "ASYNC") != NULL;
    int missing = job || error == SSL_ERROR_WANT_X509_LOOKUP;
    int asks = error == SSL_ERROR_WANT_CLIENT_HELLO_CB;
    int doubts = error == SSL_ERROR_WANT_RETRY_VERIFY;
    SSL_set_cert_cb(pair->server, missing ? no_certificate : NULL, NULL);
    SSL_CTX_set_client_hello_cb(SSL_get_SSL_CTX(pair->server),
                                asks ? no_name : NULL, NULL);
    SSL_CTX_set_cert_verify_callback(SSL_get_SSL_CTX(pair->client),
                                     doubts ? no_verdict : NULL, pair->client);
    if (job)
        (void)SSL_set_mode(pair->server, SSL_MODE_ASYNC);
    if (error == SSL_ERROR_WANT_ASYNC_JOB && ASYNC_init_thread(1, 1) == 1)
        (void)SSL_set_mode(pair->client, SSL_MODE_ASYNC);
}

/* Sockets that OpenSSL makes: it has to accept on them, and to connect. */
static void use_tcp(const struct pair *pair) {
    BIO *door = BIO_new_accept("127.0.0.1:0");
    BIO *way = BIO_new_connect("127.0.0.1:1");
    (void)BIO_set_bind_mode(door, BIO_SOCK_NONBLOCK);
    (void)BIO_set_nbio(way, 1);
    SSL_set_bio(pair->server, door, door);
    SSL_set_bio(pair->client, way, way);
}

static struct seen provoke(struct pair *pair, int error) {
    static char bytes[RECORD_BYTES];
    SSL *ssl = pair->client;
    obstruct(pair, error);
    if (error == SSL_ERROR_WANT_CONNECT || error == SSL_ERROR_WANT_ACCEPT)
        use_tcp(pair);
    if (error == SSL_ERROR_WANT_CONNECT || error == SSL_ERROR_WANT_READ)
        return look(ssl, SSL_connect(ssl));
    struct seen seen = shake_hands(pair);
    if (error == SSL_ERROR_WANT_ASYNC_JOB) /* which the server has now */
        return look(ssl, SSL_connect(ssl));
    while (error == SSL_ERROR_WANT_WRITE && seen.error == SSL_ERROR_NONE)
        seen = look(ssl, SSL_write(ssl, bytes, sizeof bytes));
    if (error == SSL_ERROR_NONE || seen.error != SSL_ERROR_NONE)
        return seen;
    if (error == SSL_ERROR_SYSCALL)
        (void)SSL_write(ssl, "hello", 5); /* which nobody is to read */
    if (error == SSL_ERROR_ZERO_RETURN) {
        (void)SSL_shutdown(pair->server);
    } else if (error == SSL_ERROR_SSL) {
        (void)BIO_write(SSL_get_wbio(pair->server), "HTTP/1.0 400\r\n", 14);
    } else {
        SSL_free(pair->server); /* closes its socket, without close_notify */
        pair->server = NULL;
    }
    return look(ssl, SSL_read(ssl, bytes, sizeof bytes));
}

/* Two ends in one program: a socketpair(2), which lesson 18 explains. */
static struct pair open_pair(SSL_CTX *server, SSL_CTX *client) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) < 0)
        err(1, "socketpair");
    struct pair pair = {SSL_new(server),
                        tls_client(client, ends[1], "server.example")};
    if (pair.client == NULL || SSL_set_fd(pair.server, ends[0]) != 1)
        errx(1, "SSL_new: no memory");
    (void)BIO_set_close(SSL_get_rbio(pair.server), BIO_CLOSE);
    (void)BIO_set_close(SSL_get_rbio(pair.client), BIO_CLOSE);
    return pair;
}

/* Says which error it is, provokes it, and does what is next, if we can. */
static void show(int number, SSL_CTX *server, SSL_CTX *client) {
    const struct row *row = &rows[number];
    printf("SSL_ERROR_%s: %s in OpenSSL, %s in Python\n  %s\n", row->name,
           row->openssl, row->python, row->cause);
    if (number > EOF_ROW)
        return;
    struct pair pair = open_pair(server, client);
    struct seen seen = provoke(&pair, number);
    printf("  returned %d: SSL_ERROR_%s%s%s\n  next: %s\n", seen.result,
           rows[seen.error].name, *seen.reason != '\0' ? ", " : "", seen.reason,
           row->next);
    if (seen.error != (number == EOF_ROW ? SSL_ERROR_SSL : number))
        errx(1, "SSL_ERROR_%s was not provoked", row->name);
    if (row->next == find || number == SSL_ERROR_WANT_READ) {
        obstruct(&pair, SSL_ERROR_NONE);
        seen = shake_hands(&pair);
        printf("  again: returned %d\n", seen.result);
        if (seen.error != SSL_ERROR_NONE)
            errx(1, "again: %s, %s", rows[seen.error].name, seen.reason);
    }
    SSL_free(pair.server);
    SSL_free(pair.client);
    ASYNC_cleanup_thread();
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        return puts("usage: 11-ssl-errors [NAME]...") < 0;
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has gone is an error */
    SSL_CTX *server =
        tls_server_context("build/certs/good.pem", "build/certs/good.key");
    SSL_CTX *client = tls_client_context("build/certs/root.pem", NULL);
    if (server == NULL || client == NULL)
        errx(1, "build/certs has not what it should: run make");
    for (int number = 0; argc == 1 && number < ROWS; number++)
        show(number, server, client);
    for (int i = 1; i < argc; i++) {
        int number = 0;
        while (number < ROWS && strcmp(argv[i], rows[number].name) != 0)
            number++;
        if (number == ROWS)
            errx(2, "there is no SSL_ERROR_%s", argv[i]);
        show(number, server, client);
    }
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return 0;
}
