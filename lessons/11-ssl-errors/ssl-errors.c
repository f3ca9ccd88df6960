/*
 * 11-ssl-errors: cause every SSL_ERROR_ that can be caused.
 *
 * Shows that SSL_get_error(3) returns an instruction: what a program has to do
 * before it makes the same call again, or that it must not make it again. Both
 * ends of each connection are in this program. If the instruction is to make
 * the call again, and the program can do that, it does.
 *
 * usage: 11-ssl-errors [NAME]...
 *
 * NAME is the name of an error without SSL_ERROR_, such as WANT_READ. Without a
 * NAME, the program shows all of them. It needs build/certs, which `make` makes
 * in the folder of the workbook, so it has to be run there.
 *
 * Left out: a server that waits for many connections at the same time.
 */
#define _GNU_SOURCE

#include "tls.h"

#include <err.h>
#include <fcntl.h>
#include <openssl/async.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORD_BYTES = 1 << 14, /* the most that one record of TLS holds */
    ABSENT = -1, /* in place of a number that OpenSSL or Python does not have */
};

static const char certificate[] = "build/certs/good.pem";
static const char key[] = "build/certs/good.key";
static const char root[] = "build/certs/root.pem";

/* The two ends of one connection. */
struct pair {
    SSL *server; /* NULL after close_server */
    SSL *client;
};

/* What a call returned, and what it meant. */
struct outcome {
    int result;
    int error;                     /* of SSL_get_error */
    char reason[TLS_REASON_BYTES]; /* in words, or empty */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 11-ssl-errors [NAME]...\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* If descriptor 1 or 2 were closed, a socket would get that number: see lesson
 * 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Call this right after a call has returned `result`. The next call changes
 * errno and OpenSSL's queue, and then the reason is lost. Here the whole reason
 * is in errno and in the queue, so we give tls_explain no connection. */
static struct outcome make_outcome(const SSL *ssl, int result) {
    struct outcome outcome = {.result = result};
    outcome.error = SSL_get_error(ssl, result);
    if (outcome.error == SSL_ERROR_SSL || outcome.error == SSL_ERROR_SYSCALL)
        (void)tls_explain(NULL, outcome.reason); /* it empties the queue too */
    return outcome;
}

/* Where two programs would wait with poll, we let the other end take its turn.
 * Returns when the handshake is over on both ends, or when one end has failed,
 * or wants something that the other end cannot give. */
static struct outcome shake_hands(struct pair *pair) {
    for (;;) {
        int server_result = SSL_accept(pair->server);
        struct outcome server = make_outcome(pair->server, server_result);
        if (server.error != SSL_ERROR_NONE &&
            server.error != SSL_ERROR_WANT_READ)
            return server;

        int client_result = SSL_connect(pair->client);
        struct outcome client = make_outcome(pair->client, client_result);
        if (client.error != SSL_ERROR_NONE &&
            client.error != SSL_ERROR_WANT_READ)
            return client;

        if (server.error == SSL_ERROR_NONE && client.error == SSL_ERROR_NONE)
            return client;
    }
}

static struct outcome read_some(struct pair *pair) {
    char bytes[RECORD_BYTES];
    int result = SSL_read(pair->client, bytes, sizeof bytes);
    return make_outcome(pair->client, result);
}

/* Errors of the connection. Each of these functions causes one error, and
 * returns what the last call said. */

static struct outcome provoke_want_read(struct pair *pair) {
    int result = SSL_connect(pair->client);
    return make_outcome(pair->client, result);
}

static struct outcome provoke_want_write(struct pair *pair) {
    static const char bytes[RECORD_BYTES];
    struct outcome outcome = shake_hands(pair);
    while (outcome.error == SSL_ERROR_NONE) {
        int result = SSL_write(pair->client, bytes, sizeof bytes);
        outcome = make_outcome(pair->client, result);
    }
    return outcome;
}

static struct outcome provoke_zero_return(struct pair *pair) {
    struct outcome outcome = shake_hands(pair);
    if (outcome.error != SSL_ERROR_NONE)
        return outcome;
    (void)SSL_shutdown(pair->server); /* it sends close_notify */
    return read_some(pair);
}

/* Closes the server's socket, without close_notify. */
static void close_server(struct pair *pair) {
    SSL_free(pair->server);
    pair->server = NULL;
}

static struct outcome provoke_eof(struct pair *pair) {
    struct outcome outcome = shake_hands(pair);
    if (outcome.error != SSL_ERROR_NONE)
        return outcome;
    close_server(pair);
    return read_some(pair);
}

static struct outcome provoke_syscall(struct pair *pair) {
    struct outcome outcome = shake_hands(pair);
    if (outcome.error != SSL_ERROR_NONE)
        return outcome;
    (void)SSL_write(pair->client, "hello", 5); /* the server never reads it */
    close_server(pair);
    return read_some(pair);
}

/* Sends what looks like an encrypted record: its type 23, its version, its
 * length 20, and 20 bytes that no key has encrypted. */
static struct outcome provoke_ssl(struct pair *pair) {
    static const char record[] = "\x17\x03\x03\x00\x14these are 20 bytes!!";
    struct outcome outcome = shake_hands(pair);
    if (outcome.error != SSL_ERROR_NONE)
        return outcome;
    const int length = sizeof record - 1; /* without C's NUL */
    (void)BIO_write(SSL_get_wbio(pair->server), record, length);
    return read_some(pair);
}

/* Errors of a socket that OpenSSL makes itself. */

static struct outcome provoke_want_accept(struct pair *pair) {
    BIO *listener = BIO_new_accept("127.0.0.1:0");
    if (listener == NULL)
        errx(1, "BIO_new_accept: no memory");
    (void)BIO_set_bind_mode(listener, BIO_SOCK_NONBLOCK);
    SSL_set_bio(pair->server, listener, listener); /* SSL_free will free it */
    int result = SSL_accept(pair->server);
    return make_outcome(pair->server, result);
}

static struct outcome provoke_want_connect(struct pair *pair) {
    BIO *connection = BIO_new_connect("127.0.0.1:1");
    if (connection == NULL)
        errx(1, "BIO_new_connect: no memory");
    (void)BIO_set_nbio(connection, 1);
    SSL_set_bio(pair->client, connection, connection);
    int result = SSL_connect(pair->client);
    return make_outcome(pair->client, result);
}

/* Errors that are not about the socket. A callback of ours tells OpenSSL that
 * something is missing. After remove_callbacks, the handshake can go on. */

static int certificate_is_missing(SSL *ssl, void *unused) {
    (void)ssl;
    (void)unused;
    return -1; /* not yet: SSL_CTX_set_cert_cb(3) */
}

static struct outcome provoke_want_x509_lookup(struct pair *pair) {
    SSL_set_cert_cb(pair->server, certificate_is_missing, NULL);
    return shake_hands(pair);
}

static int hello_is_not_judged(SSL *ssl, int *alert, void *unused) {
    (void)ssl;
    (void)unused;
    *alert = SSL_AD_UNRECOGNIZED_NAME; /* sent for a refusal only */
    return SSL_CLIENT_HELLO_RETRY;
}

static struct outcome provoke_want_client_hello(struct pair *pair) {
    SSL_CTX_set_client_hello_cb(SSL_get_SSL_CTX(pair->server),
                                hello_is_not_judged, NULL);
    return shake_hands(pair);
}

static int server_is_not_judged(X509_STORE_CTX *store, void *client) {
    (void)store;
    (void)SSL_set_retry_verify((SSL *)client);
    return 1; /* SSL_CTX_set_cert_verify_callback(3) wants 1 in this case */
}

static struct outcome provoke_want_retry_verify(struct pair *pair) {
    SSL_CTX_set_cert_verify_callback(SSL_get_SSL_CTX(pair->client),
                                     server_is_not_judged, pair->client);
    return shake_hands(pair);
}

/* SSL_MODE_ASYNC makes OpenSSL run a call in a job. Here the callback pauses
 * the job. When the same call is made again, the callback goes on from here,
 * and returns 1: ASYNC_start_job(3). */
static int pause_in_job(SSL *ssl, void *unused) {
    (void)ssl;
    (void)unused;
    return ASYNC_pause_job();
}

static struct outcome provoke_want_async(struct pair *pair) {
    (void)SSL_set_mode(pair->server, SSL_MODE_ASYNC);
    SSL_set_cert_cb(pair->server, pause_in_job, NULL);
    return shake_hands(pair);
}

/* There is only one job, and the server's call has paused in it. So there is no
 * job for the client. */
static struct outcome provoke_want_async_job(struct pair *pair) {
    if (ASYNC_init_thread(1, 1) != 1)
        errx(1, "ASYNC_init_thread: no memory");
    struct outcome outcome = provoke_want_async(pair);
    if (outcome.error != SSL_ERROR_WANT_ASYNC)
        return outcome;
    (void)SSL_set_mode(pair->client, SSL_MODE_ASYNC);
    int result = SSL_connect(pair->client);
    return make_outcome(pair->client, result);
}

static void remove_callbacks(struct pair *pair) {
    SSL_CTX *server = SSL_get_SSL_CTX(pair->server);
    SSL_CTX *client = SSL_get_SSL_CTX(pair->client);
    SSL_set_cert_cb(pair->server, NULL, NULL);
    SSL_CTX_set_client_hello_cb(server, NULL, NULL);
    SSL_CTX_set_cert_verify_callback(client, NULL, NULL);
}

/* The table. */

struct row {
    const char *name;   /* without SSL_ERROR_ */
    int openssl_number; /* or ABSENT */
    int python_number;  /* or ABSENT */
    const char *cause;
    struct outcome (*provoke)(struct pair *pair); /* NULL if we can't */
    const char *next;                             /* the instruction */
    /* 1 if we can do what the instruction says, and make the call again. */
    int can_repeat;
};

static const char wait_to_read[] = "poll for POLLIN, then the same call again";
static const char wait_to_write[] =
    "poll for POLLOUT, then the same call again";
static const char find_missing[] =
    "find what is missing, then the same call again";
static const char close_only[] = "close; no other call, not even SSL_shutdown";

/* In the order of OpenSSL's numbers. The last two are Python's own: they stand
 * in no header, so their numbers are written here. */
static const struct row rows[] = {
    {
        .name = "NONE",
        .openssl_number = SSL_ERROR_NONE,
        .python_number = ABSENT,
        .cause = "SSL_connect: the handshake is over",
        .provoke = shake_hands,
        .next = "go on",
    },
    {
        .name = "SSL",
        .openssl_number = SSL_ERROR_SSL,
        .python_number = 1,
        .cause = "SSL_read: a record that no key has encrypted",
        .provoke = provoke_ssl,
        .next = close_only,
    },
    {
        .name = "WANT_READ",
        .openssl_number = SSL_ERROR_WANT_READ,
        .python_number = 2,
        .cause = "SSL_connect: no answer has come yet",
        .provoke = provoke_want_read,
        .next = wait_to_read,
        .can_repeat = 1,
    },
    {
        .name = "WANT_WRITE",
        .openssl_number = SSL_ERROR_WANT_WRITE,
        .python_number = 3,
        .cause = "SSL_write: the peer does not read",
        .provoke = provoke_want_write,
        .next = wait_to_write,
    },
    {
        .name = "WANT_X509_LOOKUP",
        .openssl_number = SSL_ERROR_WANT_X509_LOOKUP,
        .python_number = 4,
        .cause = "SSL_accept: our certificate is not there yet",
        .provoke = provoke_want_x509_lookup,
        .next = find_missing,
        .can_repeat = 1,
    },
    {
        .name = "SYSCALL",
        .openssl_number = SSL_ERROR_SYSCALL,
        .python_number = 5,
        .cause = "SSL_read: the peer closed, with bytes unread",
        .provoke = provoke_syscall,
        .next = close_only,
    },
    {
        .name = "ZERO_RETURN",
        .openssl_number = SSL_ERROR_ZERO_RETURN,
        .python_number = 6,
        .cause = "SSL_read: close_notify has come",
        .provoke = provoke_zero_return,
        .next = "SSL_shutdown, then close",
    },
    {
        .name = "WANT_CONNECT",
        .openssl_number = SSL_ERROR_WANT_CONNECT,
        .python_number = 7,
        .cause = "SSL_connect: TCP is not connected yet",
        .provoke = provoke_want_connect,
        .next = wait_to_write,
    },
    {
        .name = "WANT_ACCEPT",
        .openssl_number = SSL_ERROR_WANT_ACCEPT,
        .python_number = ABSENT,
        .cause = "SSL_accept: no client has connected yet",
        .provoke = provoke_want_accept,
        .next = wait_to_read,
    },
    {
        .name = "WANT_ASYNC",
        .openssl_number = SSL_ERROR_WANT_ASYNC,
        .python_number = ABSENT,
        .cause = "SSL_accept: its job pauses",
        .provoke = provoke_want_async,
        .next = find_missing,
        .can_repeat = 1,
    },
    {
        .name = "WANT_ASYNC_JOB",
        .openssl_number = SSL_ERROR_WANT_ASYNC_JOB,
        .python_number = ABSENT,
        .cause = "SSL_connect: no job is free",
        .provoke = provoke_want_async_job,
        .next = find_missing,
        .can_repeat = 1,
    },
    {
        .name = "WANT_CLIENT_HELLO_CB",
        .openssl_number = SSL_ERROR_WANT_CLIENT_HELLO_CB,
        .python_number = ABSENT,
        .cause = "SSL_accept: the client's hello is not judged yet",
        .provoke = provoke_want_client_hello,
        .next = find_missing,
        .can_repeat = 1,
    },
    {
        .name = "WANT_RETRY_VERIFY",
        .openssl_number = SSL_ERROR_WANT_RETRY_VERIFY,
        .python_number = ABSENT,
        .cause = "SSL_connect: the server is not judged yet",
        .provoke = provoke_want_retry_verify,
        .next = find_missing,
        .can_repeat = 1,
    },
    {
        .name = "EOF",
        .openssl_number = ABSENT,
        .python_number = 8,
        .cause = "SSL_read: the peer closed, without close_notify",
        .provoke = provoke_eof,
        .next = close_only,
    },
    {
        .name = "INVALID_ERROR_CODE",
        .openssl_number = ABSENT,
        .python_number = 10,
        .cause =
            "not provoked: Python's word for a number that it does not know",
    },
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* Returns the row with this name, or ends the program. */
static const struct row *find_row(const char *name) {
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    errx(2, "there is no SSL_ERROR_%s", name);
}

/* Returns the name of OpenSSL's error with this number. */
static const char *name_of(int error) {
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].openssl_number == error)
            return rows[i].name;
    }
    return "unknown";
}

/* Connects two ends by a socketpair(2), which a later lesson explains. */
static struct pair open_pair(SSL_CTX *server, SSL_CTX *client) {
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int ends[2];
    if (socketpair(AF_UNIX, type, 0, ends) < 0)
        err(1, "socketpair");
    struct pair pair = {
        .server = SSL_new(server),
        .client = tls_client(client, ends[1], "server.example"),
    };
    if (pair.server == NULL || pair.client == NULL)
        errx(1, "SSL_new: no memory");
    if (SSL_set_fd(pair.server, ends[0]) != 1)
        errx(1, "SSL_set_fd: no memory");
    /* SSL_free shall close the sockets too. */
    (void)BIO_set_close(SSL_get_rbio(pair.server), BIO_CLOSE);
    (void)BIO_set_close(SSL_get_rbio(pair.client), BIO_CLOSE);
    return pair;
}

static void print_number(int number, const char *where) {
    if (number == ABSENT)
        printf("- in %s", where);
    else
        printf("%d in %s", number, where);
}

static void print_outcome(const struct outcome *outcome) {
    printf("  returned %d: SSL_ERROR_%s", outcome->result,
           name_of(outcome->error));
    if (outcome->reason[0] != '\0')
        printf(", %s", outcome->reason);
    printf("\n");
}

/* Causes the error, and does what its instruction says, if we can. */
static void provoke(const struct row *row, struct pair *pair) {
    struct outcome outcome = row->provoke(pair);
    print_outcome(&outcome);
    printf("  next: %s\n", row->next);
    int expected = row->openssl_number;
    if (expected == ABSENT)
        expected = SSL_ERROR_SSL; /* Python's EOF is one kind of it */
    if (outcome.error != expected)
        errx(1, "SSL_ERROR_%s was not provoked", row->name);

    if (row->can_repeat) {
        remove_callbacks(pair);
        outcome = shake_hands(pair);
        if (outcome.error != SSL_ERROR_NONE)
            errx(1, "again: %s, %s", name_of(outcome.error), outcome.reason);
        printf("  again: returned %d\n", outcome.result);
    }
}

/* Prints everything about one error. */
static void show(const struct row *row, SSL_CTX *server, SSL_CTX *client) {
    printf("SSL_ERROR_%s: ", row->name);
    print_number(row->openssl_number, "OpenSSL");
    printf(", ");
    print_number(row->python_number, "Python");
    printf("\n  %s\n", row->cause);
    if (row->provoke == NULL)
        return; /* there is nothing more to show */
    struct pair pair = open_pair(server, client);
    provoke(row, &pair);
    SSL_free(pair.server); /* NULL is allowed */
    SSL_free(pair.client);
    ASYNC_cleanup_thread();
}

static _Noreturn void fail(const char *file) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s: %s", file, tls_explain(NULL, reason));
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc > 1 && argv[1][0] == '-')
        usage(stderr, 2);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    SSL_CTX *server = tls_server_context(certificate, key);
    if (server == NULL)
        fail(certificate);
    SSL_CTX *client = tls_client_context(root, NULL);
    if (client == NULL)
        fail(root);

    if (argc == 1) { /* no NAME: show all */
        for (size_t i = 0; i < ROWS; i++)
            show(&rows[i], server, client);
    } else {
        for (int i = 1; i < argc; i++)
            show(find_row(argv[i]), server, client);
    }

    SSL_CTX_free(server);
    SSL_CTX_free(client);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return 0;
}
