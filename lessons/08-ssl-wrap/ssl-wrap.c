/*
 * 08-ssl-wrap: talk to a server through TLS, once it has proved who it is.
 *
 * Shows how a connected socket is wrapped, and what we demand before we believe
 * the peer: its certificate must lead to a root that we trust, must be valid
 * today, and must be for the name that we want to talk to. No option makes the
 * program demand less.
 *
 * usage: 08-ssl-wrap [-C CAFILE] [-R CRLFILE] [-n NAME] [-t SECONDS] HOST PORT
 *
 * Standard input goes to the server, and its answer to standard output, both at
 * the same time. If the server ends its answer first, the rest of the input is
 * not sent, and that is no error. Left out: what each SSL_ERROR_ means (lesson
 * 11); a certificate of our own (lesson 10).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16384, /* as much as one record of TLS holds */
    HOST_BYTES = 254,    /* the longest host name, and a NUL: RFC 1035 */
    LABEL_BYTES = 63,    /* the longest part between its dots */
    DEFAULT_MILLISECONDS = 10000 /* unless -t says otherwise */
};

struct options {
    const char *ca_file;  /* NULL: the roots that this system trusts */
    const char *crl_file; /* NULL: no revocation lists */
    const char *name;     /* the server that we want to talk to */
    int milliseconds;
};

/* How far we are with our standard input. */
enum input { INPUT_OPEN, INPUT_ENDED, CLOSE_NOTIFY_SENT };

/* What to do after a call that has returned 0 or less. */
enum next_step { WAIT_AND_CALL_AGAIN, PEER_HAS_CLOSED };

/* What we know of the answer after SSL_read has been called. */
enum answer {
    ANSWER_AT_HAND,  /* OpenSSL may hold more of it: call SSL_read at once */
    ANSWER_AWAITED,  /* more of it has to come */
    ANSWER_COMPLETE, /* the server has sent close_notify */
};

/* In place of POLLIN or POLLOUT: there is nothing to wait for. */
enum { NO_EVENT = 0 };

/* The descriptors that poll watches, by their places in its array. */
enum { SERVER, INPUT, WATCHED };

/* One conversation over TLS. */
struct conversation {
    SSL *ssl;
    const char *name; /* of the server, for error messages */
    struct deadline deadline;
    enum input input;
    char unsent[PIECE_BYTES]; /* bytes of the input that are not sent yet */
    size_t unsent_length;
    /* What sending and receiving wait for: POLLIN, POLLOUT or NO_EVENT. */
    short send_event;
    short receive_event;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 08-ssl-wrap [-C CAFILE] [-R CRLFILE] [-n NAME] [-t SECONDS] "
          "HOST PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Ends the program. tls_explain finds the reason in the connection, in
 * OpenSSL's queue of errors, or in errno. */
static _Noreturn void fail(const char *call, const char *what, const SSL *ssl) {
    char reason[TLS_REASON_BYTES];
    errx(1, "%s %s: %s", call, what, tls_explain(ssl, reason));
}

/* Returns a socket that is connected to this address. Or it says why that
 * failed, and returns -1. The socket is non-blocking: lesson 07. */
static int try_address(const struct addrinfo *where, struct deadline deadline) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

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

/* OpenSSL opens a folder as if it were an empty file. So we look first. */
static void refuse_folder(const char *what, const char *file) {
    struct stat status;
    if (stat(file, &status) == 0 && S_ISDIR(status.st_mode))
        errx(1, "%s %s: it is a folder", what, file);
}

/* Says whose signatures we trust. */
static void load_roots(SSL_CTX *context, const char *ca_file) {
    if (ca_file == NULL) {
        /* A system without roots is no error here: then no certificate is
         * believed, and the handshake says so. */
        (void)SSL_CTX_set_default_verify_paths(context);
        return;
    }
    refuse_folder("trust", ca_file);
    if (SSL_CTX_load_verify_file(context, ca_file) != 1)
        fail("trust", ca_file, NULL);
}

/* Loads the lists of certificates that were revoked. From then on every
 * authority in a chain must have a list, not only the one that has signed the
 * server's certificate. */
static void load_revoked(SSL_CTX *context, const char *crl_file) {
    refuse_folder("revoked", crl_file);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lists = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lists == NULL)
        fail("revoked", crl_file, NULL);
    if (X509_load_crl_file(lists, crl_file, X509_FILETYPE_PEM) < 1)
        fail("revoked", crl_file, NULL);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
                                X509_V_FLAG_CRL_CHECK |
                                    X509_V_FLAG_CRL_CHECK_ALL);
}

/* Refuses what OpenSSL would accept for the sake of old programs. */
static void demand_more(SSL_CTX *context) {
    X509_VERIFY_PARAM *demands = SSL_CTX_get0_param(context);
    /* Certificates must follow RFC 5280 in every detail. */
    X509_VERIFY_PARAM_set_flags(demands, X509_V_FLAG_X509_STRICT);
    /* A name counts only in the list of names, never in the subject's CN. A
     * wildcard stands for one whole label. */
    X509_VERIFY_PARAM_set_hostflags(demands,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* Level 2: no RSA key under 2048 bits, and no SHA-1. */
    SSL_CTX_set_security_level(context, 2);
    /* No second handshake in a connection. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        fail("SSL_CTX_set_min_proto_version", "TLS 1.2", NULL);
    if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        fail("SSL_CTX_set_cipher_list", "ECDHE", NULL);
}

/* Makes what all connections of a careful client share. */
static SSL_CTX *make_context(const struct options *options) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new", "client", NULL);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    load_roots(context, options->ca_file);
    if (options->crl_file != NULL)
        load_revoked(context, options->crl_file);
    demand_more(context);
    return context;
}

/* The bytes that a label of a host name, or the name of a zone, consists of. */
#define NAME_CHARACTERS          \
    "abcdefghijklmnopqrstuvwxyz" \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
    "0123456789-_"

/* Returns 1 if the text is a host name without a dot at its end. A host name
 * consists of labels with dots between them, each of 1 to 63 bytes: RFC 1035,
 * section 2.3.1, allows letters, digits and hyphens; an underscore is common.
 * The last label is never a number, so that no name looks like an address: RFC
 * 1123, section 2.1. */
static int is_host_name(const char *text) {
    const char *label = text;
    for (;;) {
        size_t length = strspn(label, NAME_CHARACTERS);
        if (length < 1 || length > LABEL_BYTES)
            return 0;
        const char *end = label + length;
        if (*end == '\0')
            break;
        if (*end != '.')
            return 0;
        label = end + 1; /* the next label begins behind the dot */
    }
    /* label is now the last one. */
    size_t digits = strspn(label, "0123456789");
    int is_number = label[digits] == '\0';
    return !is_number;
}

/* Copies the name as it stands in certificates: without a dot at its end.
 * Returns 0, or -1 if the name is not a host name. */
static int copy_host_name(const char *name, char host[HOST_BYTES]) {
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length >= HOST_BYTES)
        return -1;
    memcpy(host, name, length);
    host[length] = '\0';
    if (!is_host_name(host))
        return -1;
    return 0;
}

/* Returns 1 if the text is an address of this family, AF_INET or AF_INET6. */
static int is_address(int family, const char *text) {
    struct in6_addr bytes; /* an IPv4 address fits into it too */
    return inet_pton(family, text, &bytes) == 1;
}

/* Returns 1 if the text can be the name of a zone: that of an interface, such
 * as "lo" or "eth0.100". */
static int is_zone(const char *text) {
    size_t length = strspn(text, NAME_CHARACTERS ".");
    return length > 0 && text[length] == '\0';
}

/* Copies an IPv4 or IPv6 address without its zone: fe80::1%lo becomes fe80::1,
 * because a zone means something on this machine only. Only an IPv6 address may
 * have a zone. Returns 0, or -1 if the name is not an address. */
static int copy_address(const char *name, char address[HOST_BYTES]) {
    size_t length = strcspn(name, "%");
    if (length >= HOST_BYTES)
        return -1;
    memcpy(address, name, length);
    address[length] = '\0';

    int has_zone = name[length] == '%';
    if (has_zone) {
        const char *zone = name + length + 1; /* behind the % */
        if (!is_zone(zone))
            return -1;
    } else if (is_address(AF_INET, address)) {
        return 0;
    }
    if (!is_address(AF_INET6, address))
        return -1;
    return 0;
}

/* Says for which name the certificate must be. Ends the program if the text is
 * neither an address nor a host name. */
static void demand_name(SSL *ssl, const char *name) {
    char address[HOST_BYTES];
    char host[HOST_BYTES];
    if (copy_address(name, address) == 0) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address) != 1)
            fail("X509_VERIFY_PARAM_set1_ip_asc", name, NULL);
        /* RFC 6066 does not allow us to ask the server for an address. */
        return;
    }
    if (copy_host_name(name, host) < 0)
        errx(1, "'%s' is not a name", name);
    if (SSL_set1_host(ssl, host) != 1)
        fail("SSL_set1_host", name, NULL);
    if (SSL_set_tlsext_host_name(ssl, host) != 1)
        fail("SSL_set_tlsext_host_name", name, NULL);
}

/* Call this when a call has returned 0 or less. If the same call is to be made
 * again, puts the event into *event that must come before: POLLIN or POLLOUT.
 * If the peer has sent close_notify, there is nothing to wait for: NO_EVENT.
 * Ends the program at any error. */
static enum next_step needed_event(const char *call, const char *name,
                                   const SSL *ssl, int result, short *event) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *event = POLLIN;
        return WAIT_AND_CALL_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        *event = POLLOUT;
        return WAIT_AND_CALL_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        *event = NO_EVENT;
        return PEER_HAS_CLOSED;
    default:
        fail(call, name, ssl);
    }
}

/* Makes the handshake, in which the server proves who it is. */
static void shake_hands(SSL *ssl, const char *name, struct deadline deadline) {
    for (;;) {
        int result = SSL_connect(ssl);
        if (result == 1)
            return;
        short event;
        enum next_step next =
            needed_event("SSL_connect", name, ssl, result, &event);
        if (next == PEER_HAS_CLOSED)
            errx(1, "SSL_connect %s: it has closed", name);
        if (deadline_wait(deadline, SSL_get_fd(ssl), event) < 0)
            fail("SSL_connect", name, ssl);
    }
}

static void print_name(const char *label, X509 *certificate) {
    fputs(label, stderr);
    X509_NAME_print_ex_fp(stderr, X509_get_subject_name(certificate), 0,
                          XN_FLAG_RFC2253);
    fputc('\n', stderr);
}

/* Says who the server is, and which root vouches for that. */
static void report(const SSL *ssl) {
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int last = sk_X509_num(chain) - 1;
    print_name("it is ", sk_X509_value(chain, 0));
    print_name("says  ", sk_X509_value(chain, last));
    fprintf(stderr, "%s %s\n", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
}

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Reads a piece of standard input. Call it when poll(2) says that there is
 * something, and when all of the last piece is sent. */
static void read_input(struct conversation *talk) {
    ssize_t got = read(STDIN_FILENO, talk->unsent, sizeof talk->unsent);
    if (got < 0)
        err(1, "standard input");
    if (got == 0)
        talk->input = INPUT_ENDED;
    talk->unsent_length = (size_t)got;
}

/* Sends the unsent bytes. If that has to wait, send_event says for what. After
 * the server's close_notify they are not sent, and receive_more ends the
 * conversation. If the server has also closed its socket, the call may fail,
 * which ends the program: it could not send everything. */
static void send_unsent(struct conversation *talk) {
    int result = SSL_write(talk->ssl, talk->unsent, (int)talk->unsent_length);
    if (result > 0) {
        talk->unsent_length = 0; /* SSL_write sends all, or has to wait */
        return;
    }
    (void)needed_event("SSL_write", talk->name, talk->ssl, result,
                       &talk->send_event);
}

/* Tells the server that we send no more. If that has to wait, send_event says
 * for what. If the server has closed, receive_more ends the conversation. */
static void send_close_notify(struct conversation *talk) {
    int result = SSL_shutdown(talk->ssl);
    if (result >= 0) {
        talk->input = CLOSE_NOTIFY_SENT;
        return;
    }
    (void)needed_event("SSL_shutdown", talk->name, talk->ssl, result,
                       &talk->send_event);
}

/* Sends what there is to send now: a piece of the input, or our close_notify
 * after the end of the input. */
static void send_more(struct conversation *talk) {
    talk->send_event = NO_EVENT;
    if (talk->unsent_length > 0)
        send_unsent(talk);
    else if (talk->input == INPUT_ENDED)
        send_close_notify(talk);
}

/* Receives a piece of the answer and prints it. If no piece is there yet,
 * receive_event says what SSL_read waits for. */
static enum answer receive_more(struct conversation *talk) {
    char piece[PIECE_BYTES];
    int received = SSL_read(talk->ssl, piece, sizeof piece);
    if (received > 0) {
        print_bytes(piece, (size_t)received);
        talk->receive_event = NO_EVENT;
        return ANSWER_AT_HAND;
    }
    enum next_step next = needed_event("SSL_read", talk->name, talk->ssl,
                                       received, &talk->receive_event);
    if (next == PEER_HAS_CLOSED)
        return ANSWER_COMPLETE;
    return ANSWER_AWAITED;
}

/* Returns how many milliseconds we may wait now. Ends the program when the
 * deadline has passed. */
static int time_to_wait(const struct conversation *talk, enum answer answer) {
    int left = deadline_left(talk->deadline);
    if (left == 0) {
        const char *call = "SSL_read";
        if (talk->unsent_length > 0)
            call = "SSL_write";
        errx(1, "%s %s: deadline passed", call, talk->name);
    }
    if (answer == ANSWER_AT_HAND)
        return 0; /* only look whether there is input */
    return left;
}

/* Waits until there is input, or until OpenSSL can go on, but not longer than
 * timeout milliseconds. Returns 1 if there is input to read. */
static int wait_for_either(const struct conversation *talk, int timeout) {
    struct pollfd watched[WATCHED] = {
        [SERVER] = {.fd = SSL_get_fd(talk->ssl),
                    .events = (short)(talk->receive_event | talk->send_event)},
        [INPUT] = {.fd = STDIN_FILENO, .events = POLLIN},
    };
    int can_take_input = talk->input == INPUT_OPEN && talk->unsent_length == 0;
    if (!can_take_input)
        watched[INPUT].fd = -1; /* poll(2) ignores -1 */

    if (poll(watched, WATCHED, timeout) < 0 && errno != EINTR)
        err(1, "poll");
    return watched[INPUT].revents != 0;
}

/* Sends the input and prints the answer until the server says that the answer
 * is complete. */
static void converse(struct conversation *talk) {
    for (;;) {
        send_more(talk);
        enum answer answer = receive_more(talk);
        if (answer == ANSWER_COMPLETE)
            return;
        int timeout = time_to_wait(talk, answer);
        int is_input_ready = wait_for_either(talk, timeout);
        if (is_input_ready)
            read_input(talk);
    }
}

/* Returns the seconds in the text as milliseconds, or ends the program. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

/* The words HOST and PORT are then argv[optind] and argv[optind + 1]. */
static struct options parse_options(int argc, char **argv) {
    struct options options = {.milliseconds = DEFAULT_MILLISECONDS};
    for (;;) {
        int option = getopt(argc, argv, "+hC:R:n:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'C')
            options.ca_file = optarg;
        else if (option == 'R')
            options.crl_file = optarg;
        else if (option == 'n')
            options.name = optarg;
        else if (option == 't')
            options.milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    if (options.name == NULL)
        options.name = argv[optind];
    return options;
}

/* Ends the program if the text is not a port. addr_resolve takes the port as a
 * text, so the number itself is not needed. */
static void check_port(const char *text) {
    in_port_t port;
    if (addr_parse_port(text, strlen(text), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", text);
}

/* If a standard descriptor were closed, our socket would get its number. */
static void require_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    struct options options = parse_options(argc, argv);
    const char *host = argv[optind];
    const char *port = argv[optind + 1];
    check_port(port);
    require_descriptors();
    /* When the peer has left, write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    /* print_name writes a line in three parts. Send each line as a whole. */
    (void)setvbuf(stderr, NULL, _IOLBF, 0);

    struct conversation talk = {
        .name = options.name,
        .deadline = deadline_after(options.milliseconds),
    };
    SSL_CTX *context = make_context(&options);
    talk.ssl = SSL_new(context);
    if (talk.ssl == NULL)
        fail("SSL_new", talk.name, NULL);
    demand_name(talk.ssl, talk.name);
    int fd = connect_to(host, port, talk.deadline);
    if (SSL_set_fd(talk.ssl, fd) != 1)
        fail("SSL_set_fd", talk.name, NULL);

    shake_hands(talk.ssl, talk.name, talk.deadline);
    report(talk.ssl);
    converse(&talk);

    (void)SSL_shutdown(talk.ssl); /* our close_notify, if it is not sent yet */
    SSL_free(talk.ssl);
    SSL_CTX_free(context);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
