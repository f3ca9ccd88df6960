/*
 * 13-optional-import: print what a server says, and use TLS if asked to.
 *
 * Shows a program that works with less. If it was built without the headers of
 * OpenSSL, or if OpenSSL is missing when it runs, it says so, and can still
 * read plain text. If TLS was asked for (-s), it then does not connect at all.
 * When TLS has been found, whatever fails is an error. It is never treated as
 * if there were no TLS.
 *
 * usage: 13-optional-import [-s] [-t SECONDS] HOST PORT
 *
 * Left out: a library that is loaded only when it is needed (lesson 14).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16384,    /* as much as one record of TLS holds */
    DEFAULT_MS = 10 * 1000, /* unless -t says otherwise */
};

struct connection {
    const char *host;
    int fd;
    struct deadline deadline;
    /* Receives plain text at first, and TLS after a wrapper was called. */
    size_t (*receive)(struct connection *, char *bytes, size_t size);
    /* The functions of TLS, or NULL when there is none. */
    const struct tls *tls;
    /* What OpenSSL knows about this connection. Without TLS it is not used. */
    // cppcheck-suppress unusedStructMember
    void *ssl;
};

/* Makes the handshake of TLS on a connection. */
typedef void wrapper(struct connection *);

#if __has_include(<openssl/ssl.h>) && !defined(WITHOUT_OPENSSL)
#include "tls.h"

/* The functions that we use. Each pointer has the type that the header gives
 * to the function, so the compiler checks our calls. */
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

/* Their names, for dlsym(3), and where in the struct each pointer is. */
static const struct symbol {
    const char *name;
    size_t offset;
} symbols[] = {
    {"OpenSSL_version", offsetof(struct tls, OpenSSL_version)},
    {"tls_client_context", offsetof(struct tls, tls_client_context)},
    {"tls_client", offsetof(struct tls, tls_client)},
    {"tls_wait", offsetof(struct tls, tls_wait)},
    {"tls_explain", offsetof(struct tls, tls_explain)},
    {"SSL_connect", offsetof(struct tls, SSL_connect)},
    {"SSL_read", offsetof(struct tls, SSL_read)},
    {"SSL_shutdown", offsetof(struct tls, SSL_shutdown)},
    {"SSL_free", offsetof(struct tls, SSL_free)},
    {"SSL_CTX_free", offsetof(struct tls, SSL_CTX_free)},
};

enum { SYMBOLS = sizeof symbols / sizeof *symbols };

_Static_assert(SYMBOLS * sizeof(void *) == sizeof(struct tls),
               "a name for each pointer");

/* The library, which lies in the same folder as our program. */
static const char library_name[] = "13-tls.so";

/* Ends the program: this call has failed. */
static _Noreturn void fail(const char *call, const struct connection *to) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, to->host, to->tls->tls_explain(to->ssl, reason));
}

/* Call this when a call has returned 0 or less. It waits for the server, and
 * returns TLS_RETRY when the same call is to be made again, or TLS_CLOSED when
 * the server has said that it sends no more. */
static enum tls_result
wait_for_server(const char *call, const struct connection *to, int result) {
    enum tls_result next = to->tls->tls_wait(to->ssl, result, to->deadline);
    if (next == TLS_FAILED)
        fail(call, to);
    return next;
}

/* Makes the handshake, in which the server proves who it is. */
static void shake_hands(const struct connection *to) {
    for (;;) {
        int result = to->tls->SSL_connect(to->ssl);
        if (result == 1)
            return;
        if (wait_for_server("SSL_connect", to, result) == TLS_CLOSED)
            errx(1, "SSL_connect %s: it has closed", to->host);
    }
}

/* Ends our side of TLS. The server has said already that it sends no more, and
 * perhaps it has gone, so it does not matter if our close_notify arrives. */
static void end_tls(struct connection *connection) {
    (void)connection->tls->SSL_shutdown(connection->ssl);
    connection->tls->SSL_free(connection->ssl);
    connection->ssl = NULL;
}

/* Receives through TLS. Returns the number of bytes, or 0 at the end. */
static size_t receive_tls(struct connection *from, char *bytes, size_t size) {
    for (;;) {
        int received = from->tls->SSL_read(from->ssl, bytes, (int)size);
        if (received > 0) {
            /* We look at the clock also when there is always more to read. */
            if (deadline_left(from->deadline) == 0)
                errx(1, "SSL_read %s: deadline passed", from->host);
            return (size_t)received;
        }
        if (wait_for_server("SSL_read", from, received) == TLS_CLOSED) {
            end_tls(from);
            return 0;
        }
    }
}

/* Does what socket.ssl(sock) did. But it also verifies the server, with the
 * module that lesson 08 built. */
static void wrap(struct connection *to) {
    SSL_CTX *context = to->tls->tls_client_context(NULL, NULL);
    if (context == NULL)
        fail("TLS with", to);
    to->ssl = to->tls->tls_client(context, to->fd, to->host);
    if (to->ssl == NULL)
        fail("TLS with", to);
    to->tls->SSL_CTX_free(context); /* the connection still holds it */

    shake_hands(to);
    to->receive = receive_tls;
    (void)fprintf(stderr, "verified: this is %s\n", to->host);
}

/* Writes the path of the library: the folder of our program, and the library's
 * name. The link /proc/self/exe leads to our program: proc(5). If it cannot be
 * read, the path is the name alone. */
static void find_library(char path[PATH_MAX]) {
    ssize_t length =
        readlink("/proc/self/exe", path, PATH_MAX - sizeof library_name);
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length < 0)
        length = 0;
    memcpy(path + length, library_name, sizeof library_name);
}

/* Finds all the functions of the library. Returns 0, or -1 when one is missing:
 * dlerror(3) says which. */
static int load_functions(struct tls *tls, void *library) {
    for (size_t i = 0; i < SYMBOLS; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (function == NULL)
            return -1;
        /* C cannot convert a void * to a pointer to a function. But POSIX says
         * that both have the same form, so we copy it: dlsym(3). */
        memcpy((char *)tls + symbols[i].offset, &function, sizeof function);
    }
    return 0;
}

/* Returns a wrapper, and in *found the functions that it needs. Returns NULL
 * when there is no TLS. Either way it says what it has found. */
static wrapper *import_tls(const struct tls **found) {
    static struct tls tls;
    char path[PATH_MAX];

    find_library(path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || load_functions(&tls, library) < 0) {
        /* Call dlerror right after the call that failed: the next call of
         * dlopen or dlsym would overwrite the message. */
        (void)fprintf(stderr, "no TLS: %s\n", dlerror());
        return NULL;
    }
    (void)fprintf(stderr, "TLS: %s\n", tls.OpenSSL_version(OPENSSL_VERSION));
    *found = &tls;
    return wrap;
}
#else
/* There are no headers, so there is no wrapper either. */
static wrapper *import_tls(const struct tls **found) {
    (void)fprintf(stderr, "no TLS: built without the headers of OpenSSL\n");
    *found = NULL;
    return NULL;
}
#endif

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-s] [-t SECONDS] HOST PORT\n", out);
    exit(status);
}

/* Ends the program if a standard descriptor is closed. A new socket would get
 * that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Receives without TLS. Returns the number of bytes, or 0 at the end. */
static size_t receive_plain(struct connection *from, char *bytes, size_t size) {
    ssize_t received = deadline_recv(from->deadline, from->fd, bytes, size);
    if (received < 0)
        err(1, "recv");
    return (size_t)received;
}

/* Returns a socket that is connected to this address, or -1. Then it has said
 * why. */
static int try_address(const struct addrinfo *where, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    (void)addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (deadline_connect(deadline, fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", name);
        (void)close(fd); /* nothing was sent on it */
        return -1;
    }
    return fd;
}

/* Tries the addresses of the host one after another, and returns a socket that
 * is connected to the first that answers. */
static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        fd = try_address(where, deadline);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* Prints everything that the server sends, until it ends. */
static void print_all(struct connection *from) {
    static char piece[PIECE_BYTES];
    for (;;) {
        size_t length = from->receive(from, piece, sizeof piece);
        if (length == 0)
            return;
        if (fwrite(piece, 1, length, stdout) != length)
            err(1, "standard output");
        if (fflush(stdout) == EOF)
            err(1, "standard output");
    }
}

int main(int argc, char **argv) {
    int milliseconds = DEFAULT_MS;
    int wants_tls = 0;
    for (;;) {
        int option = getopt(argc, argv, "+hst:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 's')
            wants_tls = 1;
        else if (option != 't')
            usage(stderr, 2);
        else if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    const char *port = argv[optind + 1];
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);
    require_standard_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    struct connection connection = {
        .host = argv[optind],
        .deadline = deadline_after(milliseconds),
        .receive = receive_plain,
    };
    /* try: */
    wrapper *ssl = import_tls(&connection.tls);
    /* except: */
    if (ssl == NULL && wants_tls)
        errx(1, "TLS was asked for, but there is none: not connecting");
    /* else: */
    connection.fd = connect_to(connection.host, port, connection.deadline);
    if (wants_tls)
        ssl(&connection);
    else
        (void)fprintf(stderr, "plain text: nobody has proved who this is\n");
    print_all(&connection);
    if (close(connection.fd) < 0)
        err(1, "close");
    return 0;
}
