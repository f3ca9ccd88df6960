/*
 * 09-ssl-server: prove to every client who we are, then send back what it says.
 *
 * Shows what that takes, a certificate for everybody and a private key for
 * nobody, and how one who is slow in the handshake delays nobody else.
 *
 * usage: 09-ssl-server [-t SECONDS] PORT CERTFILE KEYFILE
 * A handshake may take SECONDS (10), and so may a silence after it. Left out: a
 * process a client is 22's, and explained there; who the client is (10).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 1 << 14, /* as much as one record of TLS holds */
    CLIENTS = 512,         /* at once; others wait, as do */
    BACKLOG = 512,         /* those who come in one moment */
    PAUSE_MS = 100,        /* after an accept that failed */
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 09-ssl-server [-t SECONDS] PORT CERTFILE KEYFILE\n", out);
    exit(status);
}

/* As in 02: another one follows, if this comes too early to wake a call. */
static void note(int signal_number) {
    stopping |= signal_number != SIGCHLD;
    (void)alarm((unsigned)stopping);
}

static void catch_signals(void) {
    const struct sigaction action = {.sa_handler = note};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)sigaction(SIGCHLD, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
}

static _Noreturn void refuse(const char *call, const char *what) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, what, tls_explain(NULL, reason));
}

/* What lesson 08 demanded of a server, this one demands of its clients. */
static SSL_CTX *make_context(const char *chain_file, const char *key_file) {
    static char groups[] = "X25519:P-256:P-384";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(context, groups) != 1 ||
        SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        refuse("SSL_CTX_new", "server");
    SSL_CTX_set_security_level(context, 2);
    /* No second handshake; and no ticket, for one key would open them all. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0); /* in TLS 1.3; cannot fail */
    /* Who has it can be us: one that others can read is as good as lost. */
    struct stat key;
    if (stat(key_file, &key) < 0)
        err(1, "key %s", key_file);
    if ((key.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        errx(1, "key %s: others may use it: its mode is %03o, not 600",
             key_file, key.st_mode & ACCESSPERMS);
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        refuse("key", key_file);
    if (SSL_CTX_use_certificate_chain_file(context, chain_file) != 1)
        refuse("certificate", chain_file);
    if (SSL_CTX_check_private_key(context) != 1)
        errx(1, "%s is not the key of %s", key_file, chain_file);
    return context;
}

static int listen_on(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, address, &length) < 0)
        err(1, "getsockname");
    (void)addr_format(address, length, name);
    return listener;
}

/* True when the same call is to be made again; if not, it may say why. */
static int retries(const char *call, const char *name, SSL *ssl, int result,
                   struct deadline deadline) {
    int answer = tls_wait(ssl, result, deadline);
    if (answer < 0)
        warnx("%s %s: %s", call, name,
              tls_explain(ssl, (char[TLS_REASON_BYTES]){0}));
    return answer == 1;
}

/* All that happens with one client, in a process that has no other. */
static void attend(SSL *ssl, const char *name, int milliseconds) {
    static char piece[PIECE_BYTES];
    struct deadline deadline = deadline_after(milliseconds);
    unsigned long long total = 0;
    int got;
    while ((got = SSL_accept(ssl)) != 1)
        if (!retries("SSL_accept", name, ssl, got, deadline))
            return;
    if (printf("%s %s %s\n", name, SSL_get_version(ssl),
               SSL_get_cipher_name(ssl)) < 0)
        warn("standard output");
    while (got > 0) {
        deadline = deadline_after(milliseconds);
        while ((got = SSL_read(ssl, piece, sizeof piece)) <= 0)
            if (!retries("SSL_read", name, ssl, got, deadline))
                break;
        for (int put; got > 0 && (put = SSL_write(ssl, piece, got)) <= 0;)
            if (!retries("SSL_write", name, ssl, put, deadline))
                got = 0;
        total += got > 0 ? (unsigned)got : 0;
    }
    if (printf("%s closed after %llu bytes\n", name, total) < 0)
        warn("standard output");
    if (SSL_shutdown(ssl) < 0 && SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN)
        warn("SSL_shutdown %s", name);
}

/* Ours: the child's number, or -1. The child's: 0, and it ends when we do. */
static pid_t fork_child(void) {
    pid_t parent = getpid(), child = fork();
    if (child != 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C means our parent */
    if (stopping || getppid() != parent)
        _exit(0); /* it came before that */
    return 0;
}

static void serve(int listener, SSL_CTX *context, int milliseconds) {
    for (int children = 0; !stopping;) {
        struct sockaddr_in peer = {0};
        struct sockaddr *from = (struct sockaddr *)&peer;
        socklen_t size = sizeof peer;
        char name[ADDR_TEXT_BYTES];
        while (waitpid(-1, NULL, children < CLIENTS ? WNOHANG : 0) > 0)
            children--;
        if (children == CLIENTS)
            continue; /* a signal came, and no end of a child */
        int fd = accept4(listener, from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && errno == EINTR)
            continue;
        (void)addr_format(from, size, name);
        pid_t child = fd < 0 ? -1 : fork_child();
        if (child == 0) {
            (void)close(listener);
            SSL *ssl = SSL_new(context);
            if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
                refuse("SSL_new", name);
            attend(ssl, name, milliseconds);
            _exit(0);
        }
        children += child > 0;
        if (child < 0) {
            warn(fd < 0 ? "accept" : "fork");
            (void)deadline_wait(deadline_after(PAUSE_MS), -1, 0); /* as in 02 */
        }
        if (fd >= 0)
            (void)close(fd); /* the child has it */
    }
}

int main(int argc, char **argv) {
    char name[ADDR_TEXT_BYTES];
    int milliseconds = 10 * 1000;
    in_port_t port;
    for (int option; (option = getopt(argc, argv, "+ht:")) != -1;)
        if (option != 't')
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
        else if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s is not a number of seconds up to a day", optarg);
    argv += optind;
    if (argc - optind != 3)
        usage(stderr, 2);
    if (addr_parse_port(argv[0], strlen(argv[0]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[0]);
    catch_signals();
    SSL_CTX *context = make_context(argv[1], argv[2]);
    int listener = listen_on(port, name);
    /* Many processes share them: let each line be one write(2). */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    serve(listener, context, milliseconds);
    SSL_CTX_free(context);
    (void)close(listener);
    return 0;
}
