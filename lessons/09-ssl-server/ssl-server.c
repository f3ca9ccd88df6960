/*
 * 09-ssl-server: prove to each client who we are, then send back what it sends.
 *
 * Shows what a server needs for that: a certificate, which everybody may see,
 * and a private key, which nobody else may see. Also shows how a client that is
 * slow in the handshake delays no other client.
 *
 * usage: 09-ssl-server [-t SECONDS] PORT CERTFILE KEYFILE
 *
 * The handshake may take SECONDS (10 unless given). After it, each line of the
 * client may take as long again, or each 16 KiB if it sends no lines. Left out:
 * who the client is (lesson 10). A process for each client is only used here;
 * lesson 22 explains it.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16384, /* as much as one record of TLS holds */
    MOST_CLIENTS = 512,  /* at the same time; others wait in the queue */
    BACKLOG = 512,       /* connections that may wait for accept */
    PAUSE_MS = 100,      /* after an accept or a fork that failed */
    DEFAULT_MS = 10000,  /* unless -t says otherwise */
};

/* How a call for a client, and all its repetitions, ended. */
enum outcome {
    DONE,
    CLIENT_CLOSED, /* the client has sent close_notify */
    FAILED,        /* and we have said why */
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 09-ssl-server [-t SECONDS] PORT CERTFILE KEYFILE\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* The signal handler, as in lesson 02: it also asks for a signal each second,
 * in case the first one came just before a call that sleeps. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* SIGCHLD says that a child has ended. It only has to interrupt a call that
 * sleeps, so that we look after the children. */
static void wake_up(int signal_number) {
    (void)signal_number;
}

static void set_handler(int signal_number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    /* It fails only for a signal number that does not exist. */
    (void)sigaction(signal_number, &action, NULL);
}

static void catch_signals(void) {
    set_handler(SIGINT, request_stop);
    set_handler(SIGTERM, request_stop);
    set_handler(SIGALRM, request_stop);
    set_handler(SIGCHLD, wake_up);
    set_handler(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
}

/* Ends this process: OpenSSL has refused this file, setting or connection. */
static _Noreturn void refuse(const char *what, const char *name) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", what, name, tls_explain(NULL, reason));
}

/* Makes a context with the demands of lesson 08, for a server. */
static SSL_CTX *make_context(void) {
    /* The curves for ECDHE. (Not const, because a macro casts it.) */
    static char groups[] = "X25519:P-256:P-384";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        refuse("SSL_CTX_new", "server");
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        refuse("SSL_CTX_set_min_proto_version", "TLS 1.2");
    if (SSL_CTX_set1_groups_list(context, groups) != 1)
        refuse("SSL_CTX_set1_groups_list", groups);
    if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        refuse("SSL_CTX_set_cipher_list", "ECDHE");
    SSL_CTX_set_security_level(context, 2);
    /* No second handshake in a connection. No session tickets either: the
     * second call is for TLS 1.3, and cannot fail. And no sessions that are
     * remembered here. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

/* OpenSSL opens a folder as if it were an empty file. So we look first. Returns
 * what the kernel knows about the file. */
static struct stat require_file(const char *what, const char *file) {
    struct stat status;
    if (stat(file, &status) < 0)
        err(1, "%s %s", what, file);
    if (S_ISDIR(status.st_mode))
        errx(1, "%s %s: it is a folder", what, file);
    return status;
}

/* Ends the program unless only the owner of the key's file can use it, and the
 * owner is us or root. Whoever else can read it can pretend to be this server.
 */
static void require_private_file(const char *key_file) {
    struct stat key = require_file("key", key_file);
    if ((key.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        errx(1, "key %s: others may use it: its mode is %03o, not 600",
             key_file, key.st_mode & ACCESSPERMS);
    if (key.st_uid != geteuid() && key.st_uid != 0)
        errx(1, "key %s: it belongs to another user", key_file);
}

/* OpenSSL calls this function when a key is protected by a passphrase. Without
 * the function, OpenSSL would ask at the terminal, and a server has none.
 * pem_password_cb(3) says which type the function must have.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int refuse_passphrase(char *buffer, int size, int writing,
                             void *key_file) {
    (void)buffer;
    (void)size;
    (void)writing;
    errx(1, "key %s: it has a passphrase", (const char *)key_file);
}

/* Gives the context our key and our certificate. */
static void load_identity(SSL_CTX *context, const char *chain_file,
                          char *key_file) {
    require_private_file(key_file);
    (void)require_file("certificate", chain_file);
    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, key_file);
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        refuse("key", key_file);
    if (SSL_CTX_use_certificate_chain_file(context, chain_file) != 1)
        refuse("certificate", chain_file);
    if (SSL_CTX_check_private_key(context) != 1)
        errx(1, "%s is not the key of %s", key_file, chain_file);
}

/* Returns a listener at 127.0.0.1 and this port, and writes its name: lesson
 * 02. */
static int listen_on(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    (void)addr_format((struct sockaddr *)&own, length, name);
    return listener;
}

/* Call this when a call has returned 0 or less. It waits for the client, and
 * returns TLS_RETRY when the same call is to be made again. If the call has
 * failed, it says why, and returns TLS_FAILED. */
static enum tls_result wait_for_client(const char *call, const char *name,
                                       SSL *ssl, int result,
                                       struct deadline deadline) {
    enum tls_result next = tls_wait(ssl, result, deadline);
    if (next == TLS_FAILED) {
        char reason[TLS_REASON_BYTES];
        warnx("%s %s: %s", call, name, tls_explain(ssl, reason));
    }
    return next;
}

/* Makes the handshake, in which we prove who we are. Returns 0, or -1. */
static int shake_hands(SSL *ssl, const char *name, struct deadline deadline) {
    for (;;) {
        int result = SSL_accept(ssl);
        if (result == 1)
            return 0;
        enum tls_result next =
            wait_for_client("SSL_accept", name, ssl, result, deadline);
        if (next == TLS_CLOSED)
            warnx("SSL_accept %s: it has closed", name);
        if (next != TLS_RETRY)
            return -1;
    }
}

/* Receives at most PIECE_BYTES into the piece, and says in *length how many. */
static enum outcome read_piece(SSL *ssl, const char *name, char *piece,
                               int *length, struct deadline deadline) {
    for (;;) {
        int result = SSL_read(ssl, piece, PIECE_BYTES);
        if (result > 0) {
            *length = result;
            return DONE;
        }
        enum tls_result next =
            wait_for_client("SSL_read", name, ssl, result, deadline);
        if (next == TLS_CLOSED)
            return CLIENT_CLOSED;
        if (next == TLS_FAILED)
            return FAILED;
    }
}

/* Sends all the bytes. */
static enum outcome write_all(SSL *ssl, const char *name, const char *bytes,
                              int length, struct deadline deadline) {
    for (;;) {
        int result = SSL_write(ssl, bytes, length);
        if (result > 0)
            return DONE; /* SSL_write sends all, or has to wait */
        enum tls_result next =
            wait_for_client("SSL_write", name, ssl, result, deadline);
        if (next == TLS_CLOSED)
            return CLIENT_CLOSED;
        if (next == TLS_FAILED)
            return FAILED;
    }
}

/* Sends each piece back to the client, until the client has closed, or a call
 * has failed. Counts the bytes in *total. A client gets new time only for a
 * whole line, or for 16 KiB: a byte now and then is not enough. */
static enum outcome echo(SSL *ssl, const char *name, int milliseconds,
                         unsigned long long *total) {
    static char piece[PIECE_BYTES];
    struct deadline deadline = deadline_after(milliseconds);
    int bytes_since_new_time = 0;
    *total = 0;

    for (;;) {
        int length;
        enum outcome outcome = read_piece(ssl, name, piece, &length, deadline);
        if (outcome != DONE)
            return outcome;
        bytes_since_new_time += length;
        int has_newline = memchr(piece, '\n', (size_t)length) != NULL;
        if (has_newline || bytes_since_new_time >= PIECE_BYTES) {
            deadline = deadline_after(milliseconds);
            bytes_since_new_time = 0;
        }
        outcome = write_all(ssl, name, piece, length, deadline);
        if (outcome != DONE)
            return outcome;
        *total += (unsigned)length;
    }
}

/* Does everything for one client, in a process that has no other client. */
static void serve_client(SSL *ssl, const char *name, int milliseconds) {
    if (shake_hands(ssl, name, deadline_after(milliseconds)) < 0)
        return;
    if (printf("%s %s %s\n", name, SSL_get_version(ssl),
               SSL_get_cipher_name(ssl)) < 0)
        warn("standard output");

    unsigned long long total;
    enum outcome outcome = echo(ssl, name, milliseconds, &total);
    if (printf("%s closed after %llu bytes\n", name, total) < 0)
        warn("standard output");
    /* After an error, the connection cannot be ended properly any more, and
     * SSL_shutdown(3) forbids to try. */
    if (outcome == FAILED)
        return;
    if (SSL_shutdown(ssl) < 0) {
        char reason[TLS_REASON_BYTES];
        warnx("SSL_shutdown %s: %s", name, tls_explain(ssl, reason));
    }
}

/* Starts a process for a client, which ends when we end. As fork(2), it returns
 * the child's number in the parent, and 0 in the child. If there is no child,
 * it returns -1. */
static pid_t fork_child(void) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C is for our parent */
    /* The parent may have been told to stop, or may have ended, before we
     * called prctl. Then no signal will come. */
    if (stopping || getppid() != parent)
        _exit(0);
    return 0;
}

/* What the child does. It serves only this client, and never returns. */
static _Noreturn void run_child(SSL_CTX *context, int fd, const char *name,
                                int milliseconds) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        refuse("SSL_new", name);
    if (SSL_set_fd(ssl, fd) != 1)
        refuse("SSL_set_fd", name);
    serve_client(ssl, name, milliseconds);
    _exit(0);
}

/* Reports an error that may pass, and waits a moment: see lesson 02. */
static void warn_and_pause(const char *call) {
    warn("%s", call);
    deadline_pause(PAUSE_MS);
}

/* Asks the kernel for the children that have ended. If there are MOST_CLIENTS,
 * waits until one has ended, or a signal comes. Returns how many still run. */
static int reap_children(int children) {
    for (;;) {
        int options = WNOHANG;
        if (children == MOST_CLIENTS)
            options = 0; /* wait */
        pid_t ended = waitpid(-1, NULL, options);
        if (ended <= 0) /* none has ended, or a signal came */
            return children;
        children--;
    }
}

/* Accepts one client after another, and gives each to a child. */
static void serve(int listener, SSL_CTX *context, int milliseconds) {
    int children = 0;
    while (!stopping) {
        children = reap_children(children);
        if (children == MOST_CLIENTS)
            continue; /* a signal has ended the wait: look at `stopping` */

        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        int fd = accept4(listener, (struct sockaddr *)&peer, &length,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EINTR)
                warn_and_pause("accept");
            continue;
        }
        char name[ADDR_TEXT_BYTES];
        (void)addr_format((struct sockaddr *)&peer, length, name);
        pid_t child = fork_child();
        if (child == 0) {
            (void)close(listener);
            run_child(context, fd, name, milliseconds);
        }
        if (child > 0)
            children++;
        else
            warn_and_pause("fork");
        (void)close(fd); /* the child has a copy */
    }
}

/* Returns the seconds in the text as milliseconds, or ends the program. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

/* If descriptor 1 or 2 were closed, a socket would get that number: see lesson
 * 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    int milliseconds = DEFAULT_MS;
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 3)
        usage(stderr, 2);
    const char *port_text = argv[optind];
    const char *chain_file = argv[optind + 1];
    char *key_file = argv[optind + 2];
    in_port_t port;
    if (addr_parse_port(port_text, strlen(port_text), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", port_text);

    require_output();
    catch_signals();
    SSL_CTX *context = make_context();
    load_identity(context, chain_file, key_file);
    char name[ADDR_TEXT_BYTES];
    int listener = listen_on(port, name);
    /* Many processes share standard output and standard error, so each line is
     * to be one write(2). */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    serve(listener, context, milliseconds);
    SSL_CTX_free(context);
    (void)close(listener);
    return 0;
}
