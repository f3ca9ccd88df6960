/*
 * 15-deprecated-api: dead calls of the sockets world, and how one dies well.
 *
 * Prints the notes on them as a program in C that runs the old beside the new.
 * And has Python's socket.ssl(sock, keyfile, certfile), line for line; only
 * that what it wraps is verified.
 *
 * usage: 15-deprecated-api [NAME...]
 *        15-deprecated-api socket.ssl HOST PORT CAFILE [KEYFILE CERTFILE]
 * The second prints what a server says. Left out: threads (14).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "notes.h"

#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CALLERS = 64,            /* so many are told once; others, each time */
    PATIENCE_MS = 10 * 1000, /* for a server, from first to last */
};

#if __has_include(<openssl/ssl.h>) /* try */
#include "tls.h"

struct ssl { /* what of it socket needs */
    __typeof__(tls_client_context) *tls_client_context;
    __typeof__(tls_use_certificate) *tls_use_certificate;
    __typeof__(tls_client) *tls_client;
    __typeof__(tls_wait) *tls_wait;
    __typeof__(tls_explain) *tls_explain;
    __typeof__(SSL_connect) *SSL_connect;
    __typeof__(SSL_read) *SSL_read;
    __typeof__(SSL_shutdown) *SSL_shutdown;
    __typeof__(SSL_free) *SSL_free;
    __typeof__(SSL_CTX_free) *SSL_CTX_free;
};

static const char *const names[] = {
    "tls_client_context", "tls_use_certificate", "tls_client", "tls_wait",
    "tls_explain",        "SSL_connect",         "SSL_read",   "SSL_shutdown",
    "SSL_free",           "SSL_CTX_free",
};
_Static_assert(sizeof names == sizeof(struct ssl), "a name for each pointer");

/* import _ssl, from beside our program: lesson 13. NULL is an ImportError. */
static void *import_library(void) {
    const char module[] = "13-tls.so";
    char path[PATH_MAX];
    ssize_t end = readlink("/proc/self/exe", path, sizeof path - sizeof module);
    if (end < 0)
        err(1, "readlink /proc/self/exe");
    while (end > 0 && path[end - 1] != '/')
        end--;
    memcpy(path + end, module, sizeof module);
    return dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}

/* import ssl as _realssl: the first time, looks for all; then knows them. */
static const struct ssl *import_ssl(void) {
    static struct ssl ssl;
    void *symbols[sizeof names / sizeof *names];
    if (ssl.tls_client != NULL)
        return &ssl;
    void *library = import_library();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((symbols[i] = dlsym(library, names[i])) == NULL)
            errx(1, "import ssl: %s", dlerror());
    memcpy(&ssl, symbols, sizeof ssl); /* void * to function: lesson 13 */
    return &ssl;
}

/* warnings.warn(message, DeprecationWarning, stacklevel=2): at the caller's
 * line, once for each. In a file built with -g, addr2line(1) finds it there. */
static void warn_deprecated(const char *caller, const char *message) {
    static const char *told[CALLERS];
    Dl_info from;
    int i = 0;
    while (i < CALLERS && told[i] != NULL)
        if (told[i++] == caller)
            return;
    if (i < CALLERS)
        told[i] = caller;
    /* A call returns to what stands behind it: its line ends a byte before. */
    if (dladdr(caller, &from) != 0)
        warnx("%s:%#tx: DeprecationWarning: %s", from.dli_fname,
              caller - 1 - (const char *)from.dli_fbase, message);
}

/* Says what failed, and why, as an exception would. */
static SSL *raise_error(const struct ssl *ssl, const char *with, SSL *wrapped) {
    char reason[TLS_REASON_BYTES];
    warnx("ssl %s: %s", with, ssl->tls_explain(wrapped, reason));
    ssl->SSL_free(wrapped);
    return NULL;
}

/* As in Python's ssl.py, down to getpeername. That believed any certificate.
 * Here it must be made out to where sock leads: no more was said of whom. */
static SSL *sslwrap_simple(const struct ssl *ssl, int sock, const char *keyfile,
                           const char *certfile) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    struct sockaddr_storage peer = {0};
    struct sockaddr *address = (struct sockaddr *)&peer;
    socklen_t length = sizeof peer;
    char host[NI_MAXHOST];
    if (getpeername(sock, address, &length) < 0 ||
        getnameinfo(address, length, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return raise_error(ssl, "getpeername", NULL);
    SSL_CTX *context = ssl->tls_client_context(NULL, NULL);
    SSL *wrapped = NULL;
    if (context != NULL &&
        (certfile == NULL ||
         ssl->tls_use_certificate(context, certfile, keyfile) == 0))
        wrapped = ssl->tls_client(context, sock, host);
    ssl->SSL_CTX_free(context); /* wrapped has a share in it */
    int result, again = wrapped != NULL ? 1 : -1;
    while (again == 1 && (result = ssl->SSL_connect(wrapped)) != 1)
        again = ssl->tls_wait(wrapped, result, deadline);
    if (again == 0)
        errno = ECONNRESET; /* it has said goodbye instead */
    return again == 1 ? wrapped : raise_error(ssl, host, wrapped);
}

__attribute__((deprecated("use tls_client()"), noinline)) static SSL *
socket_ssl(int sock, const char *keyfile, const char *certfile) {
    const struct ssl *ssl = import_ssl();
    warn_deprecated(__builtin_return_address(0),
                    "socket_ssl() is deprecated. Use tls_client() instead.");
    return sslwrap_simple(ssl, sock, keyfile, certfile);
}

static int dial(const char *host, const char *port, struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        deadline_connect(deadline, fd, list->ai_addr, list->ai_addrlen) < 0)
        err(1, "%s %s port %s", fd < 0 ? "socket" : "connect", host, port);
    freeaddrinfo(list);
    return fd;
}

/* Prints what the server says. Returns 0; or 1, and has said why. */
static int talk(char **to) { /* HOST PORT CAFILE [KEYFILE CERTFILE] */
    char piece[BUFSIZ];
    int again = 1, result;
    if (import_library() == NULL)
        errx(1, "no socket.ssl: %s", dlerror());
    if (setenv("SSL_CERT_FILE", to[2], 1) < 0) /* whom this system trusts */
        err(1, "setenv");
    struct deadline deadline = deadline_after(PATIENCE_MS);
    int sock = dial(to[0], to[1], deadline);
/* This call is meant. Without this line you see what others get to see. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SSL *wrapped = socket_ssl(sock, to[3], to[3] != NULL ? to[4] : NULL);
    const struct ssl *ssl = import_ssl();
    if (wrapped == NULL)
        return 1;
    while (again == 1 && deadline_left(deadline) > 0) {
        result = ssl->SSL_read(wrapped, piece, sizeof piece);
        if (result <= 0)
            again = ssl->tls_wait(wrapped, result, deadline);
        else if (fwrite(piece, 1, (size_t)result, stdout) != (size_t)result)
            err(1, "standard output");
    }
    if (again == 1)
        errno = ETIMEDOUT; /* there was always more */
    if (again != 0)
        return raise_error(ssl, "read", wrapped) == NULL;
    (void)ssl->SSL_shutdown(wrapped); /* it may have gone already */
    ssl->SSL_free(wrapped);
    (void)close(sock); /* all has been said, and heard */
    return 0;
}
#else /* except ImportError: pass */
static int talk(char **to) {
    errx(1, "no socket.ssl for %s: built without OpenSSL's headers", to[0]);
}
#endif

int main(int argc, char **argv) {
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        return puts("usage: 15-deprecated-api [NAME...]\n"
                    "       15-deprecated-api socket.ssl HOST PORT CAFILE "
                    "[KEYFILE CERTFILE]") == EOF ||
               fflush(stdout) == EOF;
    /* Were one of these free, our socket would get its number: lesson 01. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    int failed = 0;
    if ((argc == 5 || argc == 7) && strcmp(argv[1], "socket.ssl") == 0 &&
        addr_parse_port(argv[3], strlen(argv[3]), 1, &port) == 0) {
        failed = talk(argv + 2);
    } else {
        const char *unknown = print_program(argv + 1);
        if (unknown != NULL)
            errx(1, "no note on %s", unknown);
    }
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return failed;
}
