/*
 * 09 exercise: one server with several names, and a certificate for each.
 *
 * usage: 09-ssl-server PORT CERTFILE KEYFILE [NAME CERTFILE KEYFILE]...
 *
 * Show each client the certificate of the NAME that it asks for, the first one
 * if it asks for none of them, and tell it a line. The README beside this file
 * says the rest.
 *
 * What is here compiles, listens, and hangs up. Your parts are 1 to 3.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 128, PATIENCE_MS = 1000 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 09-ssl-server PORT CERTFILE KEYFILE "
          "[NAME CERTFILE KEYFILE]...\n",
          out);
    exit(status);
}

static int listen_on(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, address, length) < 0 || listen(listener, BACKLOG) < 0 ||
        getsockname(listener, address, &length) < 0)
        err(1, "listen 127.0.0.1:%d", port);
    (void)addr_format(address, length, name);
    return listener;
}

/* One client: wrap fd, shake hands, tell it the line, say close_notify. It has
 * until the deadline; what fails is a warning. */
static void greet(int fd, struct deadline deadline) {
    /* 3. SSL_new with the first context, SSL_set_fd, SSL_accept; tls_wait says
     * whether a call is to be made again. Which name did it ask for? */
    (void)fd;
    (void)deadline;
}

int main(int argc, char **argv) {
    char name[ADDR_TEXT_BYTES];
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 4 || argc % 3 != 1)
        usage(stderr, 2);
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */

    /* 1. A context for each pair of files, made as the lesson makes it: argv[2]
     * and argv[3], then a name and two files, over and over. */
    /* 2. The first context has a callback that is asked when a client has said
     * which name it wants: SSL_CTX_set_tlsext_servername_callback. */

    int listener = listen_on(port, name);
    if (printf("listening on %s\n", name) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            warn("accept");
            (void)deadline_wait(deadline_after(PATIENCE_MS / 10), -1, 0);
            continue;
        }
        greet(fd, deadline_after(PATIENCE_MS));
        (void)close(fd);
    }
}
