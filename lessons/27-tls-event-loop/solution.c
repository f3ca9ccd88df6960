/*
 * 27 solution: talk to a TLS server in both directions at once, one good answer
 * of many.
 *
 * usage: 27-tls-event-loop CAFILE NAME HOST PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16384, /* a record of TLS holds no more */
    CONNECT_MS = 10 * 1000,
    NO_EVENT = 0, /* neither POLLIN nor POLLOUT */
};

enum input {
    INPUT_OPEN,
    INPUT_ENDED,       /* and the server does not know it yet */
    CLOSE_NOTIFY_SENT, /* now it does */
};

struct conversation {
    SSL *ssl;
    enum input input;
    char unsent[PIECE_BYTES]; /* from standard input */
    size_t unsent_length;
    /* What OpenSSL waits for before the call can be made again: POLLIN or
     * POLLOUT, or NO_EVENT if it waits for nothing. */
    short send_event;
    short receive_event;
};

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

/* Returns the event that OpenSSL waits for before the same call can be made
 * again, or NO_EVENT if the server has sent close_notify. Ends the program at
 * any error. */
static short needed_event(const char *call, const SSL *ssl, int result) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    case SSL_ERROR_ZERO_RETURN:
        return NO_EVENT;
    default:
        fail(call, ssl);
    }
}

/* Makes the handshake, in which the server proves who it is. */
static void shake_hands(SSL *ssl) {
    for (;;) {
        int result = SSL_connect(ssl);
        if (result == 1)
            return;
        struct pollfd connection = {
            .fd = SSL_get_fd(ssl),
            .events = needed_event("SSL_connect", ssl, result),
        };
        if (connection.events == NO_EVENT)
            errx(1, "SSL_connect: the server has closed");
        if (poll(&connection, 1, -1) < 0 && errno != EINTR)
            err(1, "poll");
    }
}

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Reads a piece of standard input. Call it when all of the last piece is sent,
 * and when poll(2) says that there is something. */
static void read_input(struct conversation *talk) {
    ssize_t length = read(STDIN_FILENO, talk->unsent, sizeof talk->unsent);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length < 0)
        err(1, "standard input");
    if (length == 0)
        talk->input = INPUT_ENDED;
    talk->unsent_length = (size_t)length;
}

/* Sends the unsent piece. SSL_write sends all of it, or has to wait. Then the
 * next call has the same arguments, as SSL_write(3) demands, because nothing is
 * read into the piece before it is sent. */
static void send_piece(struct conversation *talk) {
    int result = SSL_write(talk->ssl, talk->unsent, (int)talk->unsent_length);
    if (result > 0)
        talk->unsent_length = 0;
    else
        talk->send_event = needed_event("SSL_write", talk->ssl, result);
}

/* Tells the server that our input has ended. It may go on sending. */
static void send_close_notify(struct conversation *talk) {
    int result = SSL_shutdown(talk->ssl);
    if (result >= 0)
        talk->input = CLOSE_NOTIFY_SENT;
    else
        talk->send_event = needed_event("SSL_shutdown", talk->ssl, result);
}

static void send_more(struct conversation *talk) {
    talk->send_event = NO_EVENT;
    if (talk->unsent_length > 0)
        send_piece(talk);
    else if (talk->input == INPUT_ENDED)
        send_close_notify(talk);
}

/* Receives a piece of the answer and prints it. Returns 0 if the server has
 * sent close_notify, and otherwise 1. */
static int receive_more(struct conversation *talk) {
    char piece[PIECE_BYTES];
    int length = SSL_read(talk->ssl, piece, sizeof piece);
    if (length > 0) {
        print_bytes(piece, (size_t)length);
        talk->receive_event = NO_EVENT; /* there may be more: ask again first */
        return 1;
    }
    talk->receive_event = needed_event("SSL_read", talk->ssl, length);
    if (talk->receive_event == NO_EVENT)
        return 0; /* after an SSL_read without bytes, this is close_notify */
    return 1;
}

/* Waits until there is input, or until OpenSSL can go on. If SSL_read need not
 * wait, it only looks whether there is input. */
static void wait_for_either(struct conversation *talk) {
    struct pollfd waiting[2] = {
        {.fd = SSL_get_fd(talk->ssl),
         .events = (short)(talk->receive_event | talk->send_event)},
        {.fd = -1, .events = POLLIN}, /* poll(2) ignores -1 */
    };
    int milliseconds = -1;
    if (talk->input == INPUT_OPEN && talk->unsent_length == 0)
        waiting[1].fd = STDIN_FILENO;
    if (talk->receive_event == NO_EVENT)
        milliseconds = 0;
    if (poll(waiting, 2, milliseconds) < 0 && errno != EINTR)
        err(1, "poll");
    if (waiting[1].revents != 0)
        read_input(talk);
}

/* Sends the input and prints the answer, both at once, until the server says
 * that its answer is complete. */
static void converse(SSL *ssl) {
    struct conversation talk = {.ssl = ssl};
    for (;;) {
        send_more(&talk);
        if (!receive_more(&talk))
            break;
        wait_for_either(&talk);
    }
    if (talk.input != CLOSE_NOTIFY_SENT)
        (void)SSL_shutdown(ssl); /* the server has closed before us */
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
