/*
 * A right answer with epoll and a timer as a descriptor, with write instead of
 * stdio, and with one way out at the end of the function, as goto makes it.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const char *const usage =
    "usage: 11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST PORT\n";

/* Waits for a socket, or for a timer that runs once. */
struct waiter {
    int epoll;
    int timer;
    int fd; /* the socket */
};

/* What to do after a call that has returned 0 or less. */
enum next_step { CALL_AGAIN, CLOSED, FAILED };

static int open_waiter(struct waiter *waiter, int fd, int milliseconds) {
    struct itimerspec end = {0};
    end.it_value.tv_sec = milliseconds / 1000;
    end.it_value.tv_nsec = (milliseconds % 1000) * 1000000L;
    if (milliseconds <= 0)
        end.it_value.tv_nsec = 1; /* 0 would stop the timer */
    waiter->fd = fd;
    waiter->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (waiter->epoll < 0)
        return -1;
    waiter->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (waiter->timer < 0)
        return -1;
    if (timerfd_settime(waiter->timer, 0, &end, NULL) < 0)
        return -1;
    struct epoll_event timer = {.events = EPOLLIN, .data.fd = waiter->timer};
    if (epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, waiter->timer, &timer) < 0)
        return -1;
    /* wait_for sets the events of the socket. */
    struct epoll_event none = {.events = 0, .data.fd = fd};
    return epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, fd, &none);
}

static void set_reason(char *reason, const char *text) {
    snprintf(reason, TLS_REASON_BYTES, "%s", text);
}

/* Lets epoll look at the timer, and at the socket for these events. timeout is
 * that of epoll_wait: -1 waits, and 0 does not. Returns 0, or -1 and the reason
 * if the time is over, or if epoll fails. */
static int watch(const struct waiter *waiter, unsigned events, int timeout,
                 char *reason) {
    struct epoll_event event = {.events = events, .data.fd = waiter->fd};
    struct epoll_event ready[2];
    if (epoll_ctl(waiter->epoll, EPOLL_CTL_MOD, waiter->fd, &event) < 0) {
        set_reason(reason, strerror(errno));
        return -1;
    }
    int count;
    do {
        count = epoll_wait(waiter->epoll, ready, 2, timeout);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        set_reason(reason, strerror(errno));
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (ready[i].data.fd == waiter->timer) {
            set_reason(reason, "deadline passed");
            return -1;
        }
    }
    return 0;
}

static int check_timer(const struct waiter *waiter, char *reason) {
    return watch(waiter, 0, 0, reason);
}

static enum next_step wait_for(const struct waiter *waiter, unsigned events,
                               char *reason) {
    if (watch(waiter, events, -1, reason) < 0)
        return FAILED;
    return CALL_AGAIN;
}

/* Call this when a call has returned 0 or less. Waits if OpenSSL has to wait.
 * If the call has failed, it writes the reason. */
static enum next_step follow_error(SSL *ssl, int result,
                                   const struct waiter *waiter, char *reason) {
    int error_number = errno;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(waiter, EPOLLIN, reason);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(waiter, EPOLLOUT, reason);
    case SSL_ERROR_ZERO_RETURN:
        return CLOSED;
    default:
        errno = error_number; /* tls_explain may need it */
        tls_explain(ssl, reason);
        return FAILED;
    }
}

static int write_all(const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(STDOUT_FILENO, bytes + done, length - done);
        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static void save(const SSL *ssl, const char *file) {
    BIO *bio = BIO_new_file(file, "w");
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1)
        fprintf(stderr, "warning: nothing saved in %s\n", file);
    X509_free(certificate);
    BIO_free_all(bio);
}

/* Returns a socket that is connected to this address, or -1. */
static int try_address(const struct addrinfo *at, struct deadline deadline) {
    int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (fd < 0)
        return -1;
    if (deadline_connect(deadline, fd, at->ai_addr, at->ai_addrlen) < 0) {
        char reason[TLS_REASON_BYTES];
        fprintf(stderr, "connect: %s\n", tls_explain(NULL, reason));
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
        return -1;
    }
    int fd = -1;
    const struct addrinfo *at = list;
    while (at != NULL && fd < 0) {
        fd = try_address(at, deadline);
        at = at->ai_next;
    }
    freeaddrinfo(list);
    return fd;
}

/* Makes the handshake. Returns 0, or -1 and the reason. */
static int shake_hands(SSL *ssl, const struct waiter *waiter, char *reason) {
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(ssl);
        if (result == 1)
            return 0;
        enum next_step next = follow_error(ssl, result, waiter, reason);
        if (next == FAILED)
            return -1;
        if (next == CLOSED) {
            set_reason(reason, "close_notify in the handshake");
            return -1;
        }
    }
}

/* Prints what the server sends, until close_notify. Returns 0, or -1 and the
 * reason. */
static int read_all(SSL *ssl, const struct waiter *waiter, char *reason) {
    for (;;) {
        char piece[1000];
        if (check_timer(waiter, reason) < 0)
            return -1;
        ERR_clear_error();
        int result = SSL_read(ssl, piece, sizeof piece);
        if (result > 0) {
            if (write_all(piece, (size_t)result) < 0) {
                set_reason(reason, strerror(errno));
                return -1;
            }
            continue;
        }
        enum next_step next = follow_error(ssl, result, waiter, reason);
        if (next == FAILED)
            return -1;
        if (next == CLOSED)
            return 0;
    }
}

/* The words are CAFILE, NAME, HOST and PORT. Returns the exit status. */
static int fetch(char **words, const char *file, int milliseconds) {
    const char *ca_file = words[0];
    const char *name = words[1];
    const char *host = words[2];
    const char *port = words[3];
    struct deadline deadline = deadline_after(milliseconds);
    char reason[TLS_REASON_BYTES];
    struct waiter waiter = {-1, -1, -1};
    SSL *ssl = NULL;
    int fd = -1;
    int status = 1;

    SSL_CTX *context = tls_client_context(ca_file, NULL);
    if (context == NULL) {
        fprintf(stderr, "%s: %s\n", ca_file, tls_explain(NULL, reason));
        goto out;
    }
    fd = connect_to(host, port, deadline);
    if (fd < 0)
        goto out;
    if (open_waiter(&waiter, fd, deadline_left(deadline)) < 0) {
        perror("epoll");
        goto out;
    }
    ssl = tls_client(context, fd, name);
    if (ssl == NULL) {
        fprintf(stderr, "%s: %s\n", name, tls_explain(NULL, reason));
        goto out;
    }
    if (shake_hands(ssl, &waiter, reason) < 0) {
        fprintf(stderr, "SSL_connect: %s\n", reason);
        goto out;
    }
    if (file != NULL)
        save(ssl, file);
    if (read_all(ssl, &waiter, reason) < 0) {
        fprintf(stderr, "SSL_read: %s\n", reason);
        goto out;
    }
    SSL_shutdown(ssl);
    status = 0;
out:
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (waiter.epoll >= 0)
        close(waiter.epoll);
    if (waiter.timer >= 0)
        close(waiter.timer);
    if (fd >= 0)
        close(fd);
    return status;
}

int main(int argc, char **argv) {
    const char *file = NULL;
    int milliseconds = 10000;
    for (;;) {
        int option = getopt(argc, argv, "+k:t:");
        if (option == -1)
            break;
        if (option == 'k') {
            file = optarg;
        } else if (option == 't') {
            if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0) {
                fprintf(stderr, "no number of seconds: %s\n", optarg);
                return 1;
            }
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (argc - optind != 4) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    return fetch(argv + optind, file, milliseconds);
}
