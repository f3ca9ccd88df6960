/*
 * 27 exercise: talk to a TLS server in both directions at once.
 *
 * At a terminal, you type a line and want to see the answer before you type
 * the next one. With a large file, the answer begins to come before the file
 * has been sent. In both cases a client has to send and to receive at the same
 * time. You write such a client, over one TLS connection, with a non-blocking
 * socket that OpenSSL uses itself.
 *
 * It is called as `27-tls-event-loop CAFILE NAME HOST PORT`. NAME may differ
 * from HOST: the program connects to HOST, and the certificate must be for
 * NAME. It sends standard input to the server, and prints what comes from the
 * server. The starter already has everything up to the connected socket, and
 * makes the `SSL`, OpenSSL's object for the connection. You write the
 * handshake and the conversation. (`SSL_get_fd` returns the descriptor of a
 * connection: lesson 08.) There is no time limit, and your program may wait in
 * `fwrite` while nobody reads its standard output. While an `SSL_write` waits,
 * you may call `SSL_read`. Later you call the same `SSL_write` again, as in
 * lesson 11. Empty OpenSSL's queue of errors with `ERR_clear_error` before
 * each of its calls (lesson 11), although the check does not test this.
 *
 * 1. It sends its input, tells the server that the input has ended, and prints
 *    the answer. It tells the server by close_notify. When the server has sent
 *    its own close_notify, the program ends with status 0, also if there is
 *    input left. (It need not send its own close_notify then.) The input may
 *    be empty.
 * 2. It prints the answer to a line before its input has ended.
 * 3. It prints all that has come, also while nothing is typed. The server may
 *    send first, and it may send whole records, of up to 16384 bytes each.
 * 4. It goes on with the answer when its input has ended.
 * 5. It sends and receives at the same time. The check gives your program 30
 *    megabytes of input. The server sends everything back, and while the server
 *    cannot send, it does not read. OpenSSL calls `write` for the socket. The
 *    check lets one such `write` fail with EAGAIN, as if the socket had no
 *    room. This may also be the `write` that would send close_notify.
 * 6. It prints while the server does not read. In the check, a server sends
 *    all the time and reads nothing, and the input has no end. Your program
 *    still prints.
 * 7. It sleeps while it waits: in the handshake, while neither side has
 *    anything, and after its input has ended. It does not wake up at fixed
 *    times.
 * 8. It reads no more input while the server does not read. It reads the next
 *    piece only when the last one has been sent. Otherwise it would keep all
 *    of the input in its memory. While it waits, it sleeps, and its memory
 *    does not grow by more than 6 MB. When the server reads again, your
 *    program goes on, also if the server sends nothing.
 * 9. It accepts only a server with a valid certificate for NAME. It refuses
 *    any other server: it sends that server nothing of its input, and prints
 *    nothing on standard output.
 * 10. It reports an end without close_notify as an error. It prints what came
 *     before that end. A reset is such an end, too. A reset also removes a
 *     close_notify that your program has not read yet, so `SSL_read` fails
 *     then. If a send fails because of the reset, your program need not print
 *     what it has not read yet.
 * 11. It reports output that cannot be written, and input that cannot be read.
 *     Examples are a full disk, and a folder as standard input.
 * 12. It refuses wrong arguments. If their number is wrong, it prints a line
 *     that begins with `usage:` on standard error, and ends with status 2. If
 *     PORT is not a number, the status is 1. The part that is given does this.
 *
 * What is here compiles and connects. Your part is two functions: shake_hands
 * and converse.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 10 * 1000 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 27-tls-event-loop CAFILE NAME HOST PORT\n", out);
    exit(status);
}

/* Ends the program, and says why: ssl is the connection, or NULL. */
static _Noreturn void fail(const char *call, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s: %s", call, tls_explain(ssl, reason));
}

/* If one of 0, 1 and 2 were closed, a socket would get that number. */
static void require_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns a socket that is connected to this address, and is non-blocking. Or
 * it says why that failed, and returns -1. */
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
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port) {
    struct deadline deadline = deadline_after(CONNECT_MS);
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));

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

/* 1. Call SSL_connect until it has returned 1. What does SSL_get_error say when
 * it has returned something else? Wait for that with poll. */
static void shake_hands(SSL *ssl) {
    (void)ssl; /* delete this line when you use it */
}

/* 2. Send what comes from standard input, and print what comes from the server,
 * whichever comes first, until the server has sent close_notify. When may you
 * wait, and for what? */
static void converse(SSL *ssl) {
    (void)ssl; /* delete this line when you use it */
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 5)
        usage(stderr, 2);
    const char *ca_file = argv[1];
    const char *name = argv[2];
    in_port_t number;
    if (addr_parse_port(argv[4], strlen(argv[4]), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", argv[4]);
    require_standard_streams();
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that has left is an error */

    SSL_CTX *context = tls_client_context(ca_file, NULL);
    if (context == NULL)
        fail(ca_file, NULL);
    int fd = connect_to(argv[3], argv[4]);
    SSL *ssl = tls_client(context, fd, name);
    if (ssl == NULL)
        fail(name, NULL);
    shake_hands(ssl);
    converse(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
