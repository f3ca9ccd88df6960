/*
 * A right answer in which a thread of its own reads standard input into a pipe,
 * and epoll waits for the pipe and for the socket. (epoll refuses files and
 * folders, so standard input itself could not be watched.)
 */
#define _GNU_SOURCE
#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int pipe_ends[2];

static void *feed(void *unused) {
    char b[4096];
    ssize_t n;
    (void)unused;
    while ((n = read(0, b, sizeof b)) > 0)
        for (ssize_t done = 0; done < n;) {
            ssize_t put = write(pipe_ends[1], b + done, n - done);
            if (put < 0)
                return NULL;
            done += put;
        }
    if (n < 0)
        err(1, "reading standard input");
    close(pipe_ends[1]);
    return NULL;
}

static char reason[TLS_REASON_BYTES];

int main(int argc, char **argv) {
    if (argc != 5)
        return fputs("usage: 27-tls-event-loop CAFILE NAME HOST PORT\n",
                     stderr),
               2;
    in_port_t p;
    if (addr_parse_port(argv[4], strlen(argv[4]), 1, &p) < 0)
        errx(1, "bad port %s", argv[4]);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *context = tls_client_context(argv[1], NULL);
    if (!context)
        errx(1, "%s", tls_explain(NULL, reason));
    struct addrinfo *list;
    if (addr_resolve(argv[3], argv[4], AF_UNSPEC, SOCK_STREAM, &list) != 0)
        errx(1, "no such host");
    int fd = -1;
    for (struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (deadline_connect(deadline_after(9000), fd, i->ai_addr,
                             i->ai_addrlen) == 0)
            break;
        warn("connect");
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        exit(1);
    SSL *ssl = tls_client(context, fd, argv[2]);
    int epoll = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    for (int r; (r = SSL_connect(ssl)) != 1;) {
        int what = SSL_get_error(ssl, r);
        if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE)
            errx(1, "no handshake: %s", tls_explain(ssl, reason));
        e.events = what == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e);
        epoll_wait(epoll, &e, 1, -1);
        e.data.fd = fd;
    }
    pthread_t thread;
    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        err(1, "pipe");
    if (pthread_create(&thread, NULL, feed, NULL) != 0)
        errx(1, "pthread_create");
    char out[2048], in[2048];
    int length = 0, open = 1, watched = 0, ended = 0;
    for (;;) {
        unsigned wanted = 0;
        int r, what;
        if (length > 0) {
            r = SSL_write(ssl, out, length);
            what = r > 0 ? 0 : SSL_get_error(ssl, r);
            if (r > 0)
                length = 0;
            else if (what == SSL_ERROR_WANT_READ)
                wanted |= EPOLLIN;
            else if (what == SSL_ERROR_WANT_WRITE)
                wanted |= EPOLLOUT;
            else
                errx(1, "writing: %s", tls_explain(ssl, reason));
        } else if (!open && !ended) {
            r = SSL_shutdown(ssl);
            if (r >= 0)
                ended = 1;
            else if (SSL_get_error(ssl, r) == SSL_ERROR_WANT_WRITE)
                wanted |= EPOLLOUT;
            else
                errx(1, "ending: %s", tls_explain(ssl, reason));
        }
        r = SSL_read(ssl, in, sizeof in);
        if (r > 0) {
            if (write(1, in, r) != r)
                err(1, "writing standard output");
        } else {
            what = SSL_get_error(ssl, r);
            if (what == SSL_ERROR_ZERO_RETURN)
                break;
            if (what != SSL_ERROR_WANT_READ)
                errx(1, "reading: %s", tls_explain(ssl, reason));
            wanted |= EPOLLIN;
        }
        e = (struct epoll_event){.events = wanted, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e);
        int feeding = open && length == 0;
        e = (struct epoll_event){.events = EPOLLIN, .data.fd = pipe_ends[0]};
        if (feeding != watched)
            epoll_ctl(epoll, feeding ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                      pipe_ends[0], &e);
        watched = feeding;
        struct epoll_event ready[2];
        int n = epoll_wait(epoll, ready, 2, r > 0 ? 0 : -1);
        for (int i = 0; i < n; i++)
            if (ready[i].data.fd == pipe_ends[0]) {
                length = read(pipe_ends[0], out, sizeof out);
                open = length > 0;
            }
    }
    if (!ended)
        SSL_shutdown(ssl);
    close(fd);
    exit(0);
}
