/*
 * 13-optional-import: print what a server says; asked to, through TLS.
 *
 * Shows a program that works with less. Built without the headers of OpenSSL,
 * or run without its library, it says so, and hears plain text as ever; asked
 * for TLS, by -s, it then calls nobody. What fails once TLS has been found is
 * an error, and never taken for its absence.
 *
 * usage: 13-optional-import [-s] [-t SECONDS] HOST PORT
 *
 * Left out: a library that is looked for only when it is needed (14).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 14 };

/* Plain text; or TLS over it, once it has been wrapped. */
struct connection {
    const char *host;
    int fd;
    struct deadline deadline;
    size_t (*receive)(struct connection *, char *bytes, size_t size);
    const struct tls *tls; /* NULL where it is not to be had */
    void *ssl;
};

typedef void wrapper(struct connection *);

#if __has_include(<openssl/ssl.h>)
#include "tls.h"

/* What we use of it, each of the type that its header gives. */
struct tls {
    __typeof__(OpenSSL_version) *OpenSSL_version;
    __typeof__(tls_client_context) *tls_client_context;
    __typeof__(tls_client) *tls_client;
    __typeof__(tls_wait) *tls_wait;
    __typeof__(tls_explain) *tls_explain;
    __typeof__(SSL_connect) *SSL_connect;
    __typeof__(SSL_read) *SSL_read;
    __typeof__(SSL_shutdown) *SSL_shutdown;
    __typeof__(SSL_free) *SSL_free;
    __typeof__(SSL_CTX_free) *SSL_CTX_free;
};

/* The same again, in the same order: a type knows no names at run time. */
static const char *const names[] = {
    "OpenSSL_version", "tls_client_context", "tls_client", "tls_wait",
    "tls_explain",     "SSL_connect",        "SSL_read",   "SSL_shutdown",
    "SSL_free",        "SSL_CTX_free",
};

static const char module[] = "13-tls.so";
_Static_assert(sizeof names == sizeof(struct tls), "a name for each pointer");

static _Noreturn void fail(const char *call, const struct connection *to) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, to->host, to->tls->tls_explain(to->ssl, reason));
}

/* Is the call that gave result to be made again? Not when the peer has said
 * that this was all. */
static int retries(const char *call, struct connection *to, int result) {
    int answer = to->tls->tls_wait(to->ssl, result, to->deadline);
    if (answer < 0)
        fail(call, to);
    return answer;
}

static size_t receive_tls(struct connection *from, char *bytes, size_t size) {
    int got;
    while ((got = from->tls->SSL_read(from->ssl, bytes, (int)size)) <= 0)
        if (!retries("SSL_read", from, got)) {
            (void)from->tls->SSL_shutdown(from->ssl); /* it may have gone */
            from->tls->SSL_free(from->ssl);
            return 0;
        }
    if (deadline_left(from->deadline) == 0) /* also when there is always more */
        errx(1, "SSL_read %s: deadline passed", from->host);
    return (size_t)got;
}

/* The body of socket.ssl(sock); but it verifies, by what lesson 08 built. */
static void wrap(struct connection *to) {
    int result;
    SSL_CTX *context = to->tls->tls_client_context(NULL, NULL);
    if (context == NULL ||
        (to->ssl = to->tls->tls_client(context, to->fd, to->host)) == NULL)
        fail("TLS with", to);
    to->tls->SSL_CTX_free(context); /* the connection holds it, too */
    while ((result = to->tls->SSL_connect(to->ssl)) != 1)
        if (!retries("SSL_connect", to, result))
            errx(1, "SSL_connect %s: it has closed", to->host);
    to->receive = receive_tls;
    fprintf(stderr, "verified: this is %s\n", to->host);
}

/* Returns what wraps a connection; or NULL, where there is no TLS. */
static wrapper *import_tls(struct connection *connection) {
    static struct tls tls;
    void *symbols[sizeof names / sizeof *names];
    char path[PATH_MAX]; /* of our program, and then of what is beside it */
    ssize_t end = readlink("/proc/self/exe", path, sizeof path - sizeof module);
    while (end > 0 && path[end - 1] != '/')
        end--;
    memcpy(path + (end > 0 ? end : 0), module, sizeof module);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    int found = library != NULL;
    for (size_t i = 0; found && i < sizeof names / sizeof *names; i++)
        found = (symbols[i] = dlsym(library, names[i])) != NULL;
    if (!found) {
        fprintf(stderr, "no TLS: %s\n", dlerror());
        return NULL;
    }
    /* C has no way from void * to a function; POSIX has: dlsym(3). */
    memcpy(&tls, symbols, sizeof tls);
    fprintf(stderr, "TLS: %s\n", tls.OpenSSL_version(OPENSSL_VERSION));
    connection->tls = &tls;
    return wrap;
}
#else
static wrapper *import_tls(struct connection *connection) {
    connection->tls = NULL;
    connection->ssl = NULL;
    fprintf(stderr, "no TLS: built without the headers of OpenSSL\n");
    return NULL;
}
#endif

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-s] [-t SECONDS] HOST PORT\n", out);
    exit(status);
}

static size_t receive_plain(struct connection *from, char *bytes, size_t size) {
    ssize_t got = deadline_recv(from->deadline, from->fd, bytes, size);
    if (got < 0)
        err(1, "recv");
    return (size_t)got;
}

static void dial(struct connection *to, const char *port) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(to->host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", to->host, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        to->fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, 0);
        if (to->fd >= 0 && deadline_connect(to->deadline, to->fd, at->ai_addr,
                                            at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return;
        }
        warn("%s %s", to->fd < 0 ? "socket" : "connect",
             addr_format(at->ai_addr, at->ai_addrlen, name));
        if (to->fd >= 0)
            (void)close(to->fd); /* nothing was sent on it */
    }
    exit(1);
}

static void print_all(struct connection *from) {
    static char piece[PIECE_BYTES];
    size_t got;
    while ((got = from->receive(from, piece, sizeof piece)) > 0)
        if (fwrite(piece, 1, got, stdout) != got || fflush(stdout) == EOF)
            err(1, "standard output");
}

int main(int argc, char **argv) {
    int milliseconds = 10 * 1000, wants_tls = 0, option;
    in_port_t port;
    while ((option = getopt(argc, argv, "+hst:")) != -1) {
        if (option == 's')
            wants_tls = 1;
        else if (option != 't')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        else if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    argv += optind;
    if (addr_parse_port(argv[1], strlen(argv[1]), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", argv[1]);
    /* Were one of these free, our socket would get its number: lesson 01. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    struct connection connection = {.host = argv[0],
                                    .deadline = deadline_after(milliseconds),
                                    .receive = receive_plain};
    wrapper *ssl = import_tls(&connection); /* try */
    if (ssl == NULL && wants_tls)           /* except */
        errx(1, "TLS was asked for: nobody is called without");
    dial(&connection, argv[1]);
    if (wants_tls) /* else */
        ssl(&connection);
    else
        fprintf(stderr, "plain text: nobody has proved who this is\n");
    print_all(&connection);
    if (close(connection.fd) < 0)
        err(1, "close");
    return 0;
}
