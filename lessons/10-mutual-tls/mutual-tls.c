/*
 * 10-mutual-tls: a server and a client that each prove who they are.
 *
 * Shows that each side has two files of its own: a certificate, and the key to
 * it. The other side asks for the certificate and judges it. Also shows that in
 * TLS 1.3 a client's handshake is over before the server has judged the client.
 *
 * usage: 10-mutual-tls [-2] [-t SECONDS] serve PORT CERT KEY CLIENT_CA
 *        10-mutual-tls [-2] [-t SECONDS] connect HOST PORT CA [CERT KEY]
 *
 * -2 means no TLS newer than 1.2. A conversation may take SECONDS (10).
 *
 * Left out: which of all the clients with a valid certificate may come in (the
 * exercise), and certificates that have been revoked (lesson 08). The server
 * forks a process for each client, as in lesson 09.
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
    MOST_CLIENTS = 512, /* at the same time, each in a process of its own */
    PAUSE_MS = 100,     /* after an accept or a fork that failed */
    PIECE_BYTES = 4096, /* the most that one read returns; any size works */
    PATIENCE_MS = 10 * 1000, /* unless -t says something else */
    LINE_BYTES = TLS_SUBJECT_BYTES + sizeof "you are \n",
};

/* What the options say. It is the same for a server and for a client. */
struct settings {
    int newest_version; /* of TLS, such as TLS1_2_VERSION; 0: no limit */
    int patience;       /* milliseconds that one conversation may take */
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 10-mutual-tls [-2] [-t SECONDS] serve PORT CERT KEY "
          "CLIENT_CA\n"
          "       10-mutual-tls [-2] [-t SECONDS] connect HOST PORT CA "
          "[CERT KEY]\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the seconds in the text as milliseconds, or ends the program. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

static in_port_t parse_port(const char *text, unsigned smallest) {
    in_port_t port;
    if (addr_parse_port(text, strlen(text), smallest, &port) < 0)
        errx(1, "%s is not a port: %u to 65535", text, smallest);
    return port;
}

/* If descriptor 1 or 2 were closed, a socket would get that number: see lesson
 * 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Says why a call failed. tls_explain finds the reason in the connection, in
 * OpenSSL's queue of errors, or in errno. */
static void complain(const char *call, const char *what, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    warnx("%s %s: %s", call, what, tls_explain(ssl, reason));
}

static _Noreturn void fail(const char *call, const char *what, const SSL *ssl) {
    complain(call, what, ssl);
    exit(1);
}

/* Ends the program unless the key is ours alone. Whoever has a copy of it can
 * pretend to be us, so no other user may read the file. Its owner always can,
 * so the owner must be us, or root, who can read every file anyway. */
static void require_private_key(const char *key_file) {
    struct stat key;
    if (stat(key_file, &key) < 0)
        err(1, "key %s", key_file);
    if (S_ISDIR(key.st_mode))
        errx(1, "key %s: it is a folder", key_file);
    if (key.st_uid != geteuid() && key.st_uid != 0)
        errx(1, "key %s: it belongs to another user", key_file);
    if ((key.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        errx(1, "key %s: others may use it: its mode is %03o, not 600",
             key_file, key.st_mode & ACCESSPERMS);
}

/* Limits the version of TLS. If it is 0, OpenSSL's own limit stays as it is. */
static void set_newest_version(SSL_CTX *context, int version) {
    if (version == 0)
        return;
    if (SSL_CTX_set_max_proto_version(context, version) != 1)
        fail("set", "the version of TLS", NULL);
}

/* The server. */

/* The signal handler of lesson 02: if this signal comes too early to interrupt
 * a call, another one follows in a second. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    /* If our parent had us ignore SIGCHLD, waitpid would report no child:
     * wait(2). */
    (void)signal(SIGCHLD, SIG_DFL);
}

/* OpenSSL opens a folder as if it were an empty file. So we look first. */
static void refuse_folder(const char *what, const char *file) {
    struct stat status;
    if (stat(file, &status) == 0 && S_ISDIR(status.st_mode))
        errx(1, "%s %s: it is a folder", what, file);
}

/* Makes what all connections share: our own certificate, and what we demand of
 * a client's certificate. client_ca is a file with the roots that we trust. */
static SSL_CTX *make_server_context(const char *cert, const char *key,
                                    const char *client_ca) {
    require_private_key(key);
    refuse_folder("show", cert);
    refuse_folder("trust", client_ca);
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL)
        fail("show", cert, NULL);

    if (SSL_CTX_load_verify_file(context, client_ca) != 1)
        fail("trust", client_ca, NULL);
    const int demand = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, demand, NULL);

    /* A client may have several certificates. We tell it the names of the
     * authorities that we trust, so that it can choose one of theirs. */
    STACK_OF(X509_NAME) *authorities = SSL_load_client_CA_file(client_ca);
    if (authorities == NULL)
        fail("trust", client_ca, NULL);
    SSL_CTX_set_client_CA_list(context, authorities);
    return context;
}

/* Sends the whole line. Returns 0, or -1: see tls_explain. */
static int send_line(SSL *ssl, const char *line, struct deadline deadline) {
    for (;;) {
        int result = SSL_write(ssl, line, (int)strlen(line));
        if (result > 0)
            return 0; /* SSL_write sends all, or has to wait */
        if (tls_wait(ssl, result, deadline) != TLS_RETRY)
            return -1;
    }
}

/* Makes the handshake, and tells the client who it is. name is the client's
 * address, for our reports. */
static void talk_to_client(SSL *ssl, const char *name,
                           struct deadline deadline) {
    if (tls_handshake(ssl, deadline) < 0) {
        complain("SSL_accept", name, ssl);
        return;
    }
    /* Only now do we know that the certificate is valid, and that the client
     * has the key to it. */
    char subject[TLS_SUBJECT_BYTES];
    char line[LINE_BYTES];
    (void)tls_subject(ssl, subject);
    if (printf("%s is %s\n", name, subject) < 0)
        warn("standard output");
    (void)snprintf(line, sizeof line, "you are %s\n", subject); /* it fits */
    if (send_line(ssl, line, deadline) < 0) {
        /* SSL_shutdown(3) forbids to call it after such an error. */
        complain("SSL_write", name, ssl);
        return;
    }
    if (SSL_shutdown(ssl) < 0)
        complain("SSL_shutdown", name, ssl);
}

/* Ends our half of the connection, and reads what the client still sends, until
 * the client closes too. If we closed while bytes of the client are unread, the
 * kernel would send a reset and forget the connection, and the client might
 * never get our line or our alert: see lesson 06. */
static void linger(int fd, struct deadline deadline) {
    char unread[PIECE_BYTES];
    ssize_t received;
    if (shutdown(fd, SHUT_WR) < 0)
        return; /* the connection has broken, so nothing more will come */
    do {
        received = deadline_recv(deadline, fd, unread, sizeof unread);
    } while (received > 0);
}

/* Everything that happens with one client, in a process that has no other. */
static void serve_client(SSL_CTX *context, int fd, const char *name,
                         int patience) {
    struct deadline deadline = deadline_after(patience);
    SSL *ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1)
        talk_to_client(ssl, name, deadline);
    else
        complain("SSL_new", name, NULL);
    SSL_free(ssl); /* it may be NULL */
    linger(fd, deadline);
}

/* Returns a listener at 127.0.0.1, as in lesson 02, and prints its name. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct sockaddr *address = (struct sockaddr *)&own;
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, MOST_CLIENTS) < 0)
        err(1, "listen");
    if (getsockname(listener, address, &length) < 0)
        err(1, "getsockname");
    char name[ADDR_TEXT_BYTES];
    (void)addr_format(address, length, name);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    return listener;
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

/* Accepts clients, and gives each a process of its own. So a client that is
 * slow delays no other. */
static void serve_clients(SSL_CTX *context, int listener, int patience) {
    int children = 0;
    while (!stopping) {
        children = reap_children(children);
        if (children == MOST_CLIENTS)
            continue; /* a signal has ended the wait: look at `stopping` */

        struct sockaddr_in from = {0};
        struct sockaddr *peer = (struct sockaddr *)&from;
        socklen_t length = sizeof from;
        int fd = accept4(listener, peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EINTR)
                warn_and_pause("accept");
            continue;
        }
        pid_t child = fork();
        if (child == 0) {
            char name[ADDR_TEXT_BYTES];
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends when we end */
            (void)close(listener);
            (void)addr_format(peer, length, name);
            serve_client(context, fd, name, patience);
            _exit(0);
        }
        if (child < 0)
            warn_and_pause("fork");
        else
            children++;
        (void)close(fd); /* the child has a copy of it */
    }
}

/* The words are `serve`, PORT, CERT, KEY and CLIENT_CA. Returns the exit
 * status. */
static int serve_main(char **word, const struct settings *settings) {
    in_port_t port = parse_port(word[1], 0);
    const char *cert = word[2];
    const char *key = word[3];
    const char *client_ca = word[4];

    catch_signals();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    SSL_CTX *context = make_server_context(cert, key, client_ca);
    set_newest_version(context, settings->newest_version);
    int listener = listen_on(port);
    serve_clients(context, listener, settings->patience);
    SSL_CTX_free(context);
    if (close(listener) < 0)
        err(1, "close");
    return 0;
}

/* The client. */

/* ca is a file with the roots that we trust. cert and key are our own files, or
 * NULL if we have none to show. */
static SSL_CTX *make_client_context(const char *ca, const char *cert,
                                    const char *key) {
    SSL_CTX *context = tls_client_context(ca, NULL);
    if (context == NULL)
        fail("trust", ca, NULL);
    if (cert != NULL) {
        require_private_key(key);
        if (tls_use_certificate(context, cert, key) < 0)
            fail("show", cert, NULL);
    }
    return context;
}

/* Returns a socket that is connected to this address. Or it says why that
 * failed, and returns -1. */
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
        (void)close(fd); /* fd was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port,
                      struct deadline deadline) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));

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

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Prints what the server sends, until it sends close_notify. Returns how many
 * bytes that was, or ends the program if something fails. */
static size_t print_answer(SSL *ssl, const char *host,
                           struct deadline deadline) {
    char piece[PIECE_BYTES];
    size_t total = 0;
    for (;;) {
        int received = SSL_read(ssl, piece, sizeof piece);
        if (received > 0) {
            print_bytes(piece, (size_t)received);
            total += (size_t)received;
            /* If the server always has more to say, tls_wait is never called.
             * So we look at the clock here too. */
            if (deadline_left(deadline) == 0)
                errx(1, "SSL_read %s: deadline passed", host);
            continue;
        }
        enum tls_result next = tls_wait(ssl, received, deadline);
        if (next == TLS_CLOSED)
            return total;
        if (next == TLS_FAILED)
            fail("SSL_read", host, ssl);
    }
}

/* Says who the server is, and then what the server says about us. */
static void talk_to_server(SSL *ssl, const char *host,
                           struct deadline deadline) {
    char subject[TLS_SUBJECT_BYTES];
    if (tls_handshake(ssl, deadline) < 0)
        fail("SSL_connect", host, ssl);
    /* Now we know who the server is. But it may not have looked at our
     * certificate yet: only its first byte tells us that it accepts us. */
    warnx("SSL_connect: done, it is %s", tls_subject(ssl, subject));
    if (print_answer(ssl, host, deadline) == 0)
        errx(1, "SSL_read %s: it has closed, and accepted nobody", host);
    /* The server may have gone already. But we have its whole answer. */
    (void)SSL_shutdown(ssl);
}

/* There are 4 or 6 words: `connect`, HOST, PORT, CA, then perhaps CERT and KEY.
 * Returns the exit status. */
static int connect_main(int words, char **word,
                        const struct settings *settings) {
    const char *host = word[1];
    const char *port = word[2];
    const char *ca = word[3];
    const char *cert = NULL;
    const char *key = NULL;
    if (words == 6) {
        cert = word[4];
        key = word[5];
    }
    (void)parse_port(port, 1); /* it ends the program if that is not a port */

    struct deadline deadline = deadline_after(settings->patience);
    SSL_CTX *context = make_client_context(ca, cert, key);
    set_newest_version(context, settings->newest_version);
    int fd = connect_to(host, port, deadline);
    SSL *ssl = tls_client(context, fd, host);
    if (ssl == NULL)
        fail("SSL_new", host, NULL);
    talk_to_server(ssl, host, deadline);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

int main(int argc, char **argv) {
    struct settings settings = {.patience = PATIENCE_MS};
    for (;;) {
        int option = getopt(argc, argv, "+h2t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == '2')
            settings.newest_version = TLS1_2_VERSION;
        else if (option == 't')
            settings.patience = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    int words = argc - optind;
    char **word = argv + optind;
    const char *role = "";
    if (words > 0)
        role = word[0];
    require_output();
    /* When the peer has left, write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    if (strcmp(role, "serve") == 0) {
        if (words != 5)
            usage(stderr, 2);
        return serve_main(word, &settings);
    }
    if (strcmp(role, "connect") == 0) {
        if (words != 4 && words != 6)
            usage(stderr, 2);
        return connect_main(words, word, &settings);
    }
    usage(stderr, 2);
}
