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

struct waiter {
    int epoll;
    int timer;
    int fd;
};

static int open_waiter(struct waiter *waiter, int fd, int milliseconds) {
    struct itimerspec end = {
        .it_value = {.tv_sec = milliseconds / 1000,
                     .tv_nsec = milliseconds % 1000 * 1000000L}};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = 0};
    if (milliseconds <= 0)
        end.it_value.tv_nsec = 1;
    waiter->fd = fd;
    waiter->epoll = epoll_create1(EPOLL_CLOEXEC);
    waiter->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (waiter->epoll < 0 || waiter->timer < 0 ||
        timerfd_settime(waiter->timer, 0, &end, NULL) < 0)
        return -1;
    event.data.fd = waiter->timer;
    if (epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, waiter->timer, &event) < 0)
        return -1;
    event.data.fd = fd;
    event.events = 0;
    return epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Waits for the events; with 0, only looks at the timer. Returns NULL, or why
 * it is over. */
static const char *wait_for(const struct waiter *waiter, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = waiter->fd};
    struct epoll_event ready[2];
    if (epoll_ctl(waiter->epoll, EPOLL_CTL_MOD, waiter->fd, &event) < 0)
        return strerror(errno);
    int count;
    do
        count = epoll_wait(waiter->epoll, ready, 2, events == 0 ? 0 : -1);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return strerror(errno);
    for (int i = 0; i < count; i++)
        if (ready[i].data.fd == waiter->timer)
            return "deadline passed";
    return NULL;
}

/* Returns NULL when the same call can be made again, or why not. */
static const char *follow(SSL *ssl, int result, const struct waiter *waiter,
                          char *reason) {
    int number = errno;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(waiter, EPOLLIN);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(waiter, EPOLLOUT);
    case SSL_ERROR_ZERO_RETURN:
        return "";
    default:
        errno = number;
        return tls_explain(ssl, reason);
    }
}

static int write_all(const char *bytes, int length) {
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, (size_t)length);
        if (written < 0 && errno != EINTR)
            return -1;
        if (written > 0) {
            bytes += written;
            length -= (int)written;
        }
    }
    return 0;
}

static void save(const SSL *ssl, const char *file) {
    BIO *bio = BIO_new_file(file, "w");
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (bio == NULL || !PEM_write_bio_X509(bio, certificate))
        fprintf(stderr, "warning: nothing saved in %s\n", file);
    X509_free(certificate);
    BIO_free_all(bio);
}

static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    int fd = -1;
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
        return -1;
    }
    for (struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0 &&
            deadline_connect(deadline, fd, at->ai_addr, at->ai_addrlen) < 0) {
            char reason[TLS_REASON_BYTES];
            fprintf(stderr, "connect: %s\n", tls_explain(NULL, reason));
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

/* Makes the handshake. Returns NULL, or why there is none. */
static const char *shake_hands(SSL *ssl, const struct waiter *waiter,
                               char *reason) {
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(ssl);
        if (result == 1)
            return NULL;
        const char *why = follow(ssl, result, waiter, reason);
        if (why != NULL && why[0] == '\0')
            return "close_notify in the handshake";
        if (why != NULL)
            return why;
    }
}

/* Prints all. Returns "" after close_notify, or why it is not all. */
static const char *read_all(SSL *ssl, const struct waiter *waiter,
                            char *reason) {
    for (;;) {
        char piece[1000];
        const char *why = wait_for(waiter, 0);
        if (why != NULL)
            return why;
        ERR_clear_error();
        int result = SSL_read(ssl, piece, sizeof piece);
        if (result > 0) {
            if (write_all(piece, result) < 0)
                return strerror(errno);
            continue;
        }
        why = follow(ssl, result, waiter, reason);
        if (why != NULL)
            return why;
    }
}

static int fetch(char **words, const char *file, int milliseconds) {
    struct deadline deadline = deadline_after(milliseconds);
    char reason[TLS_REASON_BYTES];
    struct waiter waiter = {-1, -1, -1};
    const char *why;
    SSL *ssl = NULL;
    int fd = -1;
    int status = 1;

    SSL_CTX *context = tls_client_context(words[0], NULL);
    if (context == NULL) {
        fprintf(stderr, "%s: %s\n", words[0], tls_explain(NULL, reason));
        goto out;
    }
    fd = connect_to(words[2], words[3], deadline);
    if (fd < 0)
        goto out;
    if (open_waiter(&waiter, fd, deadline_left(deadline)) < 0) {
        perror("epoll");
        goto out;
    }
    ssl = tls_client(context, fd, words[1]);
    if (ssl == NULL) {
        fprintf(stderr, "%s: %s\n", words[1], tls_explain(NULL, reason));
        goto out;
    }
    why = shake_hands(ssl, &waiter, reason);
    if (why != NULL) {
        fprintf(stderr, "SSL_connect: %s\n", why);
        goto out;
    }
    if (file != NULL)
        save(ssl, file);
    why = read_all(ssl, &waiter, reason);
    if (why[0] != '\0') {
        fprintf(stderr, "SSL_read: %s\n", why);
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
    int option;
    while ((option = getopt(argc, argv, "+k:t:")) != -1) {
        if (option == 'k') {
            file = optarg;
        } else if (option != 't') {
            fputs(usage, stderr);
            return 2;
        } else if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0) {
            fprintf(stderr, "no number of seconds: %s\n", optarg);
            return 1;
        }
    }
    if (argc - optind != 4) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    return fetch(argv + optind, file, milliseconds);
}
