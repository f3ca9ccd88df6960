/*
 * 15-deprecated-api: dead calls of the world of sockets, and how one dies well.
 *
 * Prints notes on dead calls, as a program in C that runs the old call beside
 * the new one. With `connect` it calls socket_ssl, which is the socket.ssl of
 * Python 2.7, line for line, but it verifies the server. That function is
 * deprecated, so the compiler warns of each call of it, and when it runs, it
 * warns again. Then the program prints what the server says.
 *
 * usage: 15-deprecated-api [NAME...]
 *        15-deprecated-api connect HOST PORT CAFILE [KEYFILE CERTFILE]
 *
 * Left out: socket_ssl is for one thread only. Lesson 14 shows an import for
 * many threads.
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
    CALLERS = 64,           /* so many callers are warned only once */
    PATIENCE_MS = 10 * 1000 /* to connect; for the handshake; for the answer */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 15-deprecated-api [NAME...]\n"
          "       15-deprecated-api connect HOST PORT CAFILE "
          "[KEYFILE CERTFILE]\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Prints the notes. */
static void notes_main(char *const *names) {
    const char *unknown = notes_print_program(names);
    if (unknown != NULL)
        errx(1, "no note on %s", unknown);
}

#if __has_include(<openssl/ssl.h>) /* try: import _ssl */
#include "tls.h"

/* The module ssl: the functions of the library that we use. __typeof__ takes
 * the type of each one from its header: lesson 13. */
struct ssl_module {
    __typeof__(tls_client_context) *tls_client_context;
    __typeof__(tls_use_certificate) *tls_use_certificate;
    __typeof__(tls_client) *tls_client;
    __typeof__(tls_handshake) *tls_handshake;
    __typeof__(tls_wait) *tls_wait;
    __typeof__(tls_explain) *tls_explain;
    __typeof__(SSL_read) *SSL_read;
    __typeof__(SSL_shutdown) *SSL_shutdown;
    __typeof__(SSL_free) *SSL_free;
    __typeof__(SSL_CTX_free) *SSL_CTX_free;
};

/* The name of a function, and the member of the module that shall point to the
 * function. */
struct symbol {
    const char *name;
    void *member;
};

/* import _ssl: the library is in the folder of our program (lesson 13). It
 * returns NULL for an ImportError. */
static void *open_library(void) {
    static const char file[] = "13-tls.so";
    char path[PATH_MAX];
    /* At the end of path we leave room for the name of the library. */
    ssize_t length =
        readlink("/proc/self/exe", path, sizeof path - sizeof file);
    if (length < 0)
        err(1, "readlink /proc/self/exe");
    /* Put the name of the library in the place of the program's name. */
    while (length > 0 && path[length - 1] != '/')
        length--;
    memcpy(path + length, file, sizeof file);
    return dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}

/* import ssl as _realssl: at the first call it looks for the functions. Later
 * calls return the same module. */
static const struct ssl_module *import_ssl(void) {
    static struct ssl_module module;
    static int is_imported;
    const struct symbol symbols[] = {
        {"tls_client_context", &module.tls_client_context},
        {"tls_use_certificate", &module.tls_use_certificate},
        {"tls_client", &module.tls_client},
        {"tls_handshake", &module.tls_handshake},
        {"tls_wait", &module.tls_wait},
        {"tls_explain", &module.tls_explain},
        {"SSL_read", &module.SSL_read},
        {"SSL_shutdown", &module.SSL_shutdown},
        {"SSL_free", &module.SSL_free},
        {"SSL_CTX_free", &module.SSL_CTX_free},
    };
    enum { SYMBOLS = sizeof symbols / sizeof *symbols };
    _Static_assert(SYMBOLS * sizeof(void *) == sizeof module,
                   "there is one name for each member");
    if (is_imported)
        return &module;

    void *library = open_library();
    if (library == NULL)
        errx(1, "import ssl: %s", dlerror());
    for (int i = 0; i < SYMBOLS; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (function == NULL)
            errx(1, "import ssl: %s", dlerror());
        /* C has no conversion from void * to a pointer to a function, so we
         * copy the bytes: lesson 13. */
        memcpy(symbols[i].member, &function, sizeof function);
    }
    is_imported = 1;
    return &module;
}

/* Remembers this caller. Returns 1 if the caller is new, and 0 if we remember
 * it already. When there is no room for one more caller, the caller stays new.
 */
static int remember_caller(const char *caller) {
    static const char *warned[CALLERS];
    static int count;
    for (int i = 0; i < count; i++) {
        if (warned[i] == caller)
            return 0;
    }
    if (count < CALLERS) {
        warned[count] = caller;
        count++;
    }
    return 1;
}

/* warnings.warn(message, DeprecationWarning, stacklevel=2): warns each caller
 * once. The warning names the line of the call as an address in the file of the
 * program. addr2line(1) finds the line there, if the file was built with -g. */
static void warn_deprecated(const char *caller, const char *message) {
    int is_new = remember_caller(caller);
    if (!is_new)
        return;
    Dl_info from;
    if (dladdr(caller, &from) == 0)
        return; /* this part of the memory comes from no file */
    /* caller is where the call returns to: the first byte behind the call. That
     * byte may belong to the next line. The byte before it is a part of the
     * call. */
    const char *call = caller - 1;
    const char *beginning = from.dli_fbase;
    warnx("%s:%#tx: DeprecationWarning: %s", from.dli_fname, call - beginning,
          message);
}

/* Says what failed and why, and frees the connection, which may be NULL. */
static void report_failure(const struct ssl_module *ssl, const char *what,
                           SSL *wrapped) {
    char reason[TLS_REASON_BYTES];
    warnx("ssl %s: %s", what, ssl->tls_explain(wrapped, reason));
    ssl->SSL_free(wrapped);
}

/* Writes the address to which sock is connected into host, in numbers. Returns
 * 0, or -1 and errno: sock is not connected, or has no address of a host. */
static int get_peer(int sock, char host[NI_MAXHOST]) {
    struct sockaddr_storage peer = {0};
    struct sockaddr *address = (struct sockaddr *)&peer;
    socklen_t length = sizeof peer;
    if (getpeername(sock, address, &length) < 0)
        return -1;
    int error =
        getnameinfo(address, length, host, NI_MAXHOST, NULL, 0, NI_NUMERICHOST);
    if (error != 0) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return 0;
}

/* Returns a connection over sock, before its handshake, or NULL. keyfile and
 * certfile are our own key and certificate. Both are NULL if we have none. */
static SSL *make_connection(const struct ssl_module *ssl, int sock,
                            const char *host, const char *keyfile,
                            const char *certfile) {
    SSL_CTX *context = ssl->tls_client_context(NULL, NULL);
    if (context == NULL)
        return NULL;
    int result = 0;
    if (certfile != NULL)
        result = ssl->tls_use_certificate(context, certfile, keyfile);
    SSL *wrapped = NULL;
    if (result == 0)
        wrapped = ssl->tls_client(context, sock, host);
    ssl->SSL_CTX_free(context); /* a connection keeps its own share of it */
    return wrapped;
}

/* The function of that name in Python's ssl.py. It believed any certificate.
 * Ours must be for the address to which sock leads, because the caller has not
 * said any name. Returns NULL when it fails, and has then said why. */
static SSL *sslwrap_simple(const struct ssl_module *ssl, int sock,
                           const char *keyfile, const char *certfile) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    char host[NI_MAXHOST];
    if (get_peer(sock, host) < 0) {
        report_failure(ssl, "getpeername", NULL);
        return NULL;
    }
    SSL *wrapped = make_connection(ssl, sock, host, keyfile, certfile);
    if (wrapped == NULL || ssl->tls_handshake(wrapped, deadline) < 0) {
        report_failure(ssl, host, wrapped);
        return NULL;
    }
    return wrapped;
}

/* socket.ssl(sock, keyfile=None, certfile=None). noinline: it must be a real
 * call, because the caller is known by where the call returns to. */
__attribute__((deprecated("use tls_client()"), noinline)) static SSL *
socket_ssl(int sock, const char *keyfile, const char *certfile) {
    const struct ssl_module *ssl = import_ssl();
    warn_deprecated(__builtin_return_address(0),
                    "socket_ssl() is deprecated. Use tls_client() instead.");
    return sslwrap_simple(ssl, sock, keyfile, certfile);
}

/* Returns a socket that is connected to this address. Or it says why that
 * failed, and returns -1. */
static int try_address(const struct addrinfo *where, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (deadline_connect(deadline, fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", name);
        (void)close(fd); /* fd was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        /* Each address that is left gets an equal part of the time. */
        struct deadline share = deadline_share(deadline, addr_count(where));
        fd = try_address(where, share);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* Prints what the server sends, until it says that this was all. Returns 0, or
 * -1 if something failed. */
static int print_answer(const struct ssl_module *ssl, SSL *wrapped,
                        struct deadline deadline) {
    char piece[BUFSIZ];
    for (;;) {
        if (deadline_left(deadline) == 0) {
            errno = ETIMEDOUT; /* our caller asks tls_explain for the reason */
            return -1;
        }
        int received = ssl->SSL_read(wrapped, piece, sizeof piece);
        if (received > 0) {
            size_t length = (size_t)received;
            if (fwrite(piece, 1, length, stdout) != length)
                err(1, "standard output");
            continue;
        }
        enum tls_result next = ssl->tls_wait(wrapped, received, deadline);
        if (next == TLS_CLOSED)
            return 0;
        if (next == TLS_FAILED)
            return -1;
    }
}

/* Connects by socket_ssl, and prints what the server says. There are 3 or 5
 * words: HOST PORT CAFILE [KEYFILE CERTFILE]. Returns the exit status. */
static int connect_main(int count, char *const *words) {
    const char *host = words[0];
    const char *port = words[1];
    const char *ca_file = words[2];
    const char *keyfile = NULL;
    const char *certfile = NULL;
    if (count == 5) {
        keyfile = words[3];
        certfile = words[4];
    }
    if (open_library() == NULL)
        errx(1, "no socket.ssl: %s", dlerror());
    /* socket.ssl has no argument for the roots that we trust, so it trusts the
     * roots of this system. OpenSSL reads in this variable where they are. */
    if (setenv("SSL_CERT_FILE", ca_file, 1) < 0)
        err(1, "setenv");
    int sock = connect_to(host, port, deadline_after(PATIENCE_MS));
/* We make this call on purpose. Without the next line the compiler warns. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SSL *wrapped = socket_ssl(sock, keyfile, certfile);
    if (wrapped == NULL)
        return 1; /* sslwrap_simple has said why */
    const struct ssl_module *ssl = import_ssl();
    if (print_answer(ssl, wrapped, deadline_after(PATIENCE_MS)) < 0) {
        report_failure(ssl, "read", wrapped);
        return 1;
    }
    (void)ssl->SSL_shutdown(wrapped); /* the server may have gone already */
    ssl->SSL_free(wrapped);
    (void)close(sock); /* we have the whole answer, so nothing can be lost */
    return 0;
}
#else /* except ImportError: pass */
static int connect_main(int count, char *const *words) {
    (void)count;
    errx(1, "no socket.ssl for %s: built without OpenSSL's headers", words[0]);
}
#endif

/* If a standard descriptor is closed, our socket would get its number: lesson
 * 01. */
static void require_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    require_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    int status = 0;
    if (argc > 1 && strcmp(argv[1], "connect") == 0) {
        if (argc != 5 && argc != 7)
            usage(stderr, 2);
        in_port_t port;
        if (addr_parse_port(argv[3], strlen(argv[3]), 1, &port) < 0)
            errx(1, "%s is not a port: 1 to 65535", argv[3]);
        status = connect_main(argc - 2, argv + 2);
    } else {
        notes_main(argv + 1);
    }
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return status;
}
