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
    /* receive_plain at first; a wrapper puts receive_tls here. */
    size_t (*receive)(struct connection *, char *bytes, size_t size);
    /* The functions of TLS, or NULL when there is none. */
    const struct tls *tls;
    /* What OpenSSL knows about this connection. Without TLS it is not used. */
    // cppcheck-suppress unusedStructMember
    void *ssl;
};

struct arguments {
    int milliseconds;
    int wants_tls;
    const char *host;
    const char *port;
};

/* The type of a function that makes the handshake of TLS on a connection. */
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

/* The name of a function, for dlsym(3), and the member of the struct that shall
 * point to the function. */
struct symbol {
    const char *name;
    void *member;
};

/* The library, which lies in the same folder as our program. */
static const char library_name[] = "13-tls.so";

/* Says which call of TLS has failed and why, and ends the program. */
static _Noreturn void fail(const char *call,
                           const struct connection *connection) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, connection->host,
         connection->tls->tls_explain(connection->ssl, reason));
}

/* Waits for the server, after a call of OpenSSL has returned 0 or less. Returns
 * TLS_RETRY when the same call is to be made again, or TLS_CLOSED when the
 * server has said that it sends no more. Any other result ends the program. */
static enum tls_result wait_for_server(const char *call,
                                       const struct connection *connection,
                                       int result) {
    enum tls_result next = connection->tls->tls_wait(connection->ssl, result,
                                                     connection->deadline);
    if (next == TLS_FAILED)
        fail(call, connection);
    return next;
}

/* Makes the handshake, in which the server proves who it is. */
static void shake_hands(const struct connection *connection) {
    for (;;) {
        int result = connection->tls->SSL_connect(connection->ssl);
        if (result == 1)
            return;
        if (wait_for_server("SSL_connect", connection, result) == TLS_CLOSED)
            errx(1, "SSL_connect %s: it has closed", connection->host);
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
static size_t receive_tls(struct connection *connection, char *bytes,
                          size_t size) {
    for (;;) {
        int received =
            connection->tls->SSL_read(connection->ssl, bytes, (int)size);
        if (received > 0) {
            /* A server that always has more to send must not keep us after the
             * deadline. So we look at the clock after each piece. */
            if (deadline_left(connection->deadline) == 0)
                errx(1, "SSL_read %s: deadline passed", connection->host);
            return (size_t)received;
        }
        if (wait_for_server("SSL_read", connection, received) == TLS_CLOSED) {
            end_tls(connection);
            return 0;
        }
    }
}

/* Does what socket.ssl(sock) did. But it also verifies the server, with the
 * module that lesson 08 built. */
static void wrap(struct connection *connection) {
    SSL_CTX *context = connection->tls->tls_client_context(NULL, NULL);
    if (context == NULL)
        fail("TLS with", connection);
    connection->ssl =
        connection->tls->tls_client(context, connection->fd, connection->host);
    if (connection->ssl == NULL)
        fail("TLS with", connection);
    connection->tls->SSL_CTX_free(context); /* the connection still holds it */

    shake_hands(connection);
    connection->receive = receive_tls;
    (void)fprintf(stderr, "verified: this is %s\n", connection->host);
}

/* Writes the path of the library: the folder of our program, and the library's
 * name. The link /proc/self/exe leads to our program: proc(5). If it cannot be
 * read, the path is the name alone. */
static void find_library(char path[PATH_MAX]) {
    /* At the end of path we leave room for the name of the library. readlink
     * writes no NUL: how many bytes there are is what it returns. */
    ssize_t length =
        readlink("/proc/self/exe", path, PATH_MAX - sizeof library_name);
    if (length < 0)
        length = 0;
    /* Remove the name of our program, up to the last slash. */
    while (length > 0 && path[length - 1] != '/')
        length--;
    memcpy(path + length, library_name, sizeof library_name);
}

/* Loads the library, and finds all its functions. Returns 0, or -1 when the
 * library or a function is missing: dlerror(3) says which. */
static int load_functions(struct tls *tls) {
    const struct symbol symbols[] = {
        {"OpenSSL_version", &tls->OpenSSL_version},
        {"tls_client_context", &tls->tls_client_context},
        {"tls_client", &tls->tls_client},
        {"tls_wait", &tls->tls_wait},
        {"tls_explain", &tls->tls_explain},
        {"SSL_connect", &tls->SSL_connect},
        {"SSL_read", &tls->SSL_read},
        {"SSL_shutdown", &tls->SSL_shutdown},
        {"SSL_free", &tls->SSL_free},
        {"SSL_CTX_free", &tls->SSL_CTX_free},
    };
    enum { SYMBOLS = sizeof symbols / sizeof *symbols };
    _Static_assert(SYMBOLS * sizeof(void *) == sizeof *tls,
                   "there is a name for each member");

    char path[PATH_MAX];
    find_library(path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return -1;
    for (size_t i = 0; i < SYMBOLS; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (function == NULL)
            return -1;
        /* The C standard does not promise that a void * can become a pointer to
         * a function. But POSIX says that both have the same form, so we copy
         * it: dlsym(3). */
        memcpy(symbols[i].member, &function, sizeof function);
    }
    return 0;
}

/* If there is TLS, puts its functions into *functions, and returns the function
 * that makes the handshake. If there is none, returns NULL. In both cases it
 * says so on standard error. */
static wrapper *import_tls(const struct tls **functions) {
    static struct tls tls;
    if (load_functions(&tls) < 0) {
        /* Call dlerror right after the call that failed: the next call of
         * dlopen or dlsym would overwrite the message. */
        (void)fprintf(stderr, "no TLS: %s\n", dlerror());
        return NULL;
    }
    (void)fprintf(stderr, "TLS: %s\n", tls.OpenSSL_version(OPENSSL_VERSION));
    *functions = &tls;
    return wrap;
}
#else
/* There are no headers, so there is no wrapper either. */
static wrapper *import_tls(const struct tls **functions) {
    (void)fprintf(stderr, "no TLS: built without the headers of OpenSSL\n");
    *functions = NULL;
    return NULL;
}
#endif

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-s] [-t SECONDS] HOST PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

static void read_arguments(int argc, char **argv, struct arguments *arguments) {
    for (;;) {
        int option = getopt(argc, argv, "+hst:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 's')
            arguments->wants_tls = 1;
        else if (option == 't')
            arguments->milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    arguments->host = argv[optind];
    arguments->port = argv[optind + 1];
    in_port_t number;
    if (addr_parse_port(arguments->port, strlen(arguments->port), 1, &number) <
        0)
        errx(1, "%s is not a port: 1 to 65535", arguments->port);
}

/* Ends the program if a standard descriptor is closed. The kernel would give
 * the free number to our socket, and then what we print would go to the server:
 * lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Receives without TLS. Returns the number of bytes, or 0 at the end. */
static size_t receive_plain(struct connection *connection, char *bytes,
                            size_t size) {
    ssize_t received =
        deadline_recv(connection->deadline, connection->fd, bytes, size);
    if (received < 0)
        err(1, "recv");
    return (size_t)received;
}

/* Returns a socket that is connected to this address. If that fails, says why,
 * and returns -1. */
static int try_address(const struct addrinfo *address,
                       struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    (void)addr_format(address->ai_addr, address->ai_addrlen, name);

    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (deadline_connect(deadline, fd, address->ai_addr, address->ai_addrlen) <
        0) {
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
    const struct addrinfo *address = list;
    while (address != NULL && fd < 0) {
        /* Each address that is left gets an equal part of the time. */
        struct deadline share = deadline_share(deadline, addr_count(address));
        fd = try_address(address, share);
        address = address->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* Prints everything that the server sends, until the server ends the stream. */
static void print_all(struct connection *connection) {
    static char piece[PIECE_BYTES];
    for (;;) {
        size_t length = connection->receive(connection, piece, sizeof piece);
        if (length == 0)
            return;
        if (fwrite(piece, 1, length, stdout) != length)
            err(1, "standard output");
        if (fflush(stdout) == EOF)
            err(1, "standard output");
    }
}

int main(int argc, char **argv) {
    struct arguments arguments = {.milliseconds = DEFAULT_MS};
    read_arguments(argc, argv, &arguments);
    require_standard_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    struct connection connection = {
        .host = arguments.host,
        .deadline = deadline_after(arguments.milliseconds),
        .receive = receive_plain,
    };
    /* try: */
    wrapper *ssl = import_tls(&connection.tls);
    /* except: */
    if (ssl == NULL && arguments.wants_tls)
        errx(1, "TLS was asked for, but there is none: not connecting");
    /* else: */
    connection.fd =
        connect_to(connection.host, arguments.port, connection.deadline);
    if (arguments.wants_tls)
        ssl(&connection); /* ssl is not NULL: see the check above */
    else
        (void)fprintf(stderr, "plain text: nobody has proved who this is\n");
    print_all(&connection);
    if (close(connection.fd) < 0)
        err(1, "close");
    return 0;
}
