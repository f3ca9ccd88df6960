/*
 * A right answer in which OpenSSL never sees the socket: it reads from memory
 * and writes to memory, and this program moves the bytes. So only recv and send
 * ever wait, and the end of TCP is seen by recv.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1000, RECORD_BYTES = 17000 };

struct link {
    struct deadline deadline;
    SSL *ssl;
    BIO *received; /* OpenSSL reads from here */
    BIO *to_send;  /* and writes to here */
    int fd;
};

static _Noreturn void usage(void) {
    fputs("usage: 11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST PORT\n",
          stderr);
    exit(2);
}

static void wait_for(const struct link *link, short events) {
    if (deadline_wait(link->deadline, link->fd, events) == 0)
        return;
    if (errno == ETIMEDOUT)
        errx(1, "deadline passed");
    err(1, "poll");
}

/* Returns 1 if a call that has failed may be made again. */
static int may_try_again(void) {
    return errno == EAGAIN || errno == EINTR;
}

static void send_all(const struct link *link, const char *bytes,
                     size_t length) {
    size_t done = 0;
    while (done < length) {
        wait_for(link, POLLOUT);
        ssize_t sent = send(link->fd, bytes + done, length - done, 0);
        if (sent >= 0)
            done += (size_t)sent;
        else if (!may_try_again())
            err(1, "send");
    }
}

/* Sends all that OpenSSL has written. */
static void flush(const struct link *link) {
    char bytes[RECORD_BYTES];
    for (;;) {
        int length = BIO_read(link->to_send, bytes, sizeof bytes);
        if (length <= 0)
            return;
        send_all(link, bytes, (size_t)length);
    }
}

/* Gives OpenSSL what has come from the server, or waits until it comes. */
static void fill(const struct link *link) {
    char bytes[RECORD_BYTES];
    wait_for(link, POLLIN);
    ssize_t got = recv(link->fd, bytes, sizeof bytes, 0);
    if (got < 0) {
        if (may_try_again())
            return; /* our caller calls OpenSSL again, and then us */
        err(1, "recv");
    }
    if (got == 0)
        errx(1, "SSL_read: cut short");
    if (BIO_write(link->received, bytes, (int)got) != got)
        errx(1, "no memory");
}

/* What to do after a call that has returned 0 or less. */
enum next_step { CALL_AGAIN, END };

/* Moves bytes if OpenSSL wants that. Ends the program at any error. */
static enum next_step follow_error(const struct link *link, const char *call,
                                   int result) {
    int error = SSL_get_error(link->ssl, result);
    if (error == SSL_ERROR_WANT_READ) {
        flush(link);
        fill(link);
        return CALL_AGAIN;
    }
    if (error == SSL_ERROR_ZERO_RETURN)
        return END;
    char reason[TLS_REASON_BYTES];
    tls_explain(link->ssl, reason);
    flush(link); /* the alert */
    errx(1, "%s: %s", call, reason);
}

static void print_all(const struct link *link) {
    for (;;) {
        char piece[PIECE_BYTES];
        if (deadline_left(link->deadline) == 0)
            errx(1, "deadline passed");
        ERR_clear_error();
        int got = SSL_read(link->ssl, piece, sizeof piece);
        if (got > 0) {
            size_t length = (size_t)got;
            if (fwrite(piece, 1, length, stdout) != length)
                err(1, "standard output");
            continue;
        }
        enum next_step next = follow_error(link, "SSL_read", got);
        if (next == END)
            return;
    }
}

static int connect_any(const char *host, const char *port,
                       struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (deadline_connect(deadline, fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        if (errno == ETIMEDOUT)
            warnx("connect: deadline passed");
        else
            warn("connect");
        close(fd);
    }
    exit(1);
}

static void save(const SSL *ssl, const char *path) {
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        warn("%s", path);
        return;
    }
    int is_written = PEM_write_X509(out, SSL_get0_peer_certificate(ssl));
    if (fclose(out) == EOF || is_written != 1)
        warnx("%s: not saved", path);
}

static void shake_hands(const struct link *link) {
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(link->ssl);
        if (result == 1)
            break;
        enum next_step next = follow_error(link, "SSL_connect", result);
        if (next == END)
            errx(1, "SSL_connect: cut short");
    }
    flush(link);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s: no number of seconds", text);
    return milliseconds;
}

int main(int argc, char **argv) {
    const char *path = NULL;
    int milliseconds = 10000;
    for (;;) {
        int option = getopt(argc, argv, "+k:t:");
        if (option == -1)
            break;
        if (option == 'k')
            path = optarg;
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage();
    }
    if (argc - optind != 4)
        usage();
    const char *ca_file = argv[optind];
    const char *name = argv[optind + 1];
    const char *host = argv[optind + 2];
    const char *port = argv[optind + 3];
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IONBF, 0);

    char reason[TLS_REASON_BYTES];
    struct link link = {.deadline = deadline_after(milliseconds)};
    SSL_CTX *context = tls_client_context(ca_file, NULL);
    if (context == NULL)
        errx(1, "%s: %s", ca_file, tls_explain(NULL, reason));
    link.fd = connect_any(host, port, link.deadline);
    link.ssl = tls_client(context, link.fd, name);
    if (link.ssl == NULL)
        errx(1, "%s: %s", name, tls_explain(NULL, reason));
    link.received = BIO_new(BIO_s_mem());
    link.to_send = BIO_new(BIO_s_mem());
    if (link.received == NULL || link.to_send == NULL)
        errx(1, "BIO_new: %s", tls_explain(NULL, reason));
    SSL_set_bio(link.ssl, link.received, link.to_send);

    shake_hands(&link);
    if (path != NULL)
        save(link.ssl, path);
    print_all(&link);
    SSL_shutdown(link.ssl);
    flush(&link);
    SSL_free(link.ssl);
    SSL_CTX_free(context);
    close(link.fd);
    return 0;
}
