/*
 * 10-mutual-tls: a server and a client that each prove who they are.
 *
 * Shows whose a key and a certificate are: one's own, for the other side to
 * judge; and that in TLS 1.3 a client has shaken hands before it was judged.
 *
 * usage: 10-mutual-tls [-t SECONDS] serve PORT CERT KEY CLIENT_CA
 *        10-mutual-tls [-t SECONDS] connect HOST PORT CA [CERT KEY]
 * Left out: who, of all that have a certificate, may come in (the exercise); a
 * key that others can read (09). A process a client is borrowed from 22.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS = 512, PAUSE_MS = 100 }; /* at once; after a failed accept */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 10-mutual-tls [-t SECONDS] serve PORT CERT KEY CLIENT_CA\n"
          "       10-mutual-tls [-t SECONDS] connect HOST PORT CA [CERT KEY]\n",
          out);
    exit(status);
}

/* As in 02: a signal that comes too early to wake a call is followed by one. */
static void stop(int signal_number) {
    stopping = signal_number;
    (void)alarm(1);
}

/* Says why: that is in the connection, in OpenSSL's queue, or in errno. */
static int complain(const char *call, const char *what, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    warnx("%s %s: %s", call, what, tls_explain(ssl, reason));
    return 1;
}

/* Whom we trust is in ca; what we show, and the key to it, in own. */
static SSL_CTX *client_context(const char *ca, char **own) {
    SSL_CTX *context = tls_client_context(ca, NULL);
    if (context == NULL)
        exit(complain("trust", ca, NULL));
    if (own[0] != NULL && tls_use_certificate(context, own[0], own[1]) < 0)
        exit(complain("show", own[0], NULL));
    return context;
}

static SSL_CTX *server_context(const char *ca, char **own) {
    SSL_CTX *context = tls_server_context(own[0], own[1]);
    if (context == NULL)
        exit(complain("show", own[0], NULL));
    if (SSL_CTX_load_verify_file(context, ca) != 1)
        exit(complain("trust", ca, NULL));
    /* Who has none, or one that ca does not vouch for, gets no connection. */
    SSL_CTX_set_verify(context,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return context;
}

/* All that happens with a client, in a process of its own. */
static void attend(SSL_CTX *context, int fd, const char *peer, int patience) {
    struct deadline deadline = deadline_after(patience);
    char whose[TLS_SUBJECT_BYTES], text[sizeof whose + sizeof "you are \n"];
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
        tls_handshake(ssl, deadline) < 0) {
        (void)complain("SSL_accept", peer, ssl);
    } else {
        if (printf("%s is %s\n", peer, tls_subject(ssl, whose)) < 0)
            warn("standard output");
        int length = snprintf(text, sizeof text, "you are %s\n", whose);
        if (SSL_write(ssl, text, length) <= 0 || SSL_shutdown(ssl) < 0)
            (void)complain("SSL_write", peer, ssl); /* there is room for it */
    }
    SSL_free(ssl);
    /* To close with something unread is a reset (06): it may destroy our no. */
    for (int more = shutdown(fd, SHUT_WR) == 0; more;)
        more = deadline_recv(deadline, fd, text, sizeof text) > 0;
}

/* Returns a socket that the kernel queues connections on, and says where. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    char name[ADDR_TEXT_BYTES];
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, CLIENTS) < 0)
        err(1, "listen");
    if (getsockname(fd, address, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on %s\n", addr_format(address, length, name)) < 0)
        err(1, "standard output");
    return fd;
}

static void serve(SSL_CTX *context, int listener, int patience) {
    const struct sigaction action = {.sa_handler = stop}; /* no SA_RESTART */
    int count = 0;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    while (!stopping) {
        struct sockaddr_in from = {0};
        struct sockaddr *peer = (struct sockaddr *)&from;
        socklen_t size = sizeof from;
        while (waitpid(-1, NULL, count < CLIENTS ? WNOHANG : 0) > 0)
            count--;
        int fd = accept4(listener, peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        pid_t child = fd < 0 ? -1 : fork();
        if (child == 0) {
            char name[ADDR_TEXT_BYTES];
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends when we do */
            (void)close(listener);
            attend(context, fd, addr_format(peer, size, name), patience);
            _exit(0);
        }
        count += child > 0;
        if (child < 0 && errno != EINTR) {
            warn(fd < 0 ? "accept" : "fork");
            (void)deadline_wait(deadline_after(PAUSE_MS), -1, 0); /* see 02 */
        }
        if (fd >= 0)
            (void)close(fd); /* the child has it, too */
    }
}

static int dial(const char *host, const char *port, struct deadline end) {
    struct addrinfo *to;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &to);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0 || deadline_connect(end, fd, to->ai_addr, to->ai_addrlen) < 0)
        err(1, "%s %s, port %s", fd < 0 ? "socket" : "connect", host, port);
    freeaddrinfo(to);
    return fd;
}

/* Prints what the server says to whom it has accepted; or ends the program. */
static void ask(SSL *ssl, const char *who, struct deadline end) {
    char text[TLS_SUBJECT_BYTES];
    int answered = 0, again = 1;
    if (ssl == NULL || tls_handshake(ssl, end) < 0)
        exit(complain("SSL_connect", who, ssl));
    /* Now we know who the server is. It may not have looked at us yet. */
    warnx("SSL_connect: done, it is %s", tls_subject(ssl, text));
    while (again == 1) {
        int got = SSL_read(ssl, text, sizeof text);
        answered |= got > 0;
        if (got > 0 && fwrite(text, 1, (size_t)got, stdout) != (size_t)got)
            err(1, "standard output");
        if (got > 0 && deadline_left(end) == 0) /* it always has more */
            errx(1, "SSL_read %s: deadline passed", who);
        if (got <= 0 && (again = tls_wait(ssl, got, end)) < 0)
            exit(complain("SSL_read", who, ssl));
    }
    if (!answered)
        errx(1, "SSL_read %s: it has closed, and accepted nobody", who);
    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
}

int main(int argc, char **argv) {
    int option, patience = 10 * 1000;
    in_port_t port;
    while ((option = getopt(argc, argv, "+ht:")) != -1)
        if (option != 't')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        else if (deadline_parse(optarg, strlen(optarg), &patience) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    argv += optind;
    argc -= optind;
    const int server = argc == 5;
    const char *role = server ? "serve" : "connect";
    if (argc < 4 || argc > 6 || strcmp(argv[0], role) != 0)
        usage(stderr, 2);
    const char *text = argv[server ? 1 : 2];
    if (addr_parse_port(text, strlen(text), server ? 0 : 1, &port) < 0)
        errx(1, "%s is not a port: %d to 65535", text, server ? 0 : 1);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, server ? _IOLBF : _IONBF, 0); /* it is shared */
    struct deadline deadline = deadline_after(patience);
    SSL_CTX *context = server ? server_context(argv[4], argv + 2)
                              : client_context(argv[3], argv + 4);
    int fd = server ? listen_on(port) : dial(argv[1], argv[2], deadline);
    if (server)
        serve(context, fd, patience);
    else
        ask(tls_client(context, fd, argv[1]), argv[1], deadline);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
