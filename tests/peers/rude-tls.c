/*
 * rude-tls: a TLS server with any certificate, and with bad manners.
 *
 *     rude-tls [OPTION...] MANNER CHAIN.pem KEY.pem
 *     rude-tls -j PORT [OPTION...] MANNER [CHAIN.pem KEY.pem]
 *     rude-tls manners
 *     rude-tls serve MANNER | connect MANNER PORT | faces
 *
 * It listens on 127.0.0.1, prints `listening on 127.0.0.1:PORT`, shows each
 * client the certificate, and answers with one line, or with the bytes of a
 * file. MANNER says where it does something else; `manners` lists them.
 *
 * For each connection it prints the name that the client asked for (SNI), how
 * the handshake went, and how many bytes it received before the connection
 * ended, and why it ended.
 *
 * With -j PORT it is not a server, but the client of a server on that port,
 * with the same manners. It shows the server the certificate, and does not
 * check the server's.
 *
 * The last line above has the words of `rude`, so that a test that plays every
 * peer calls all of them in one way. The certificate is then the good one of
 * build/certs, or for `connect` the one of a client.
 *
 * OpenSSL reads and writes two buffers of ours, and we copy between them and
 * the socket. So we can stop at any byte of a handshake. We also accept what
 * nobody should accept any more, such as TLS 1.0 and RSA keys of 1024 bits. It
 * is the other side's task to refuse them.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 1 << 14, /* the most that a record holds */
    RECORDS = 200,         /* that flood sends at once */
    KEY_BYTES = 256,
    P256_BYTES = 32, /* a private key of that curve */
};

/* What it does, besides showing its certificate. */
enum manner {
    HONEST,      /* answers, and ends with close_notify */
    CUT,         /* answers, and ends without close_notify */
    BROKEN_OFF,  /* answers, and resets */
    MUTE,        /* sends nothing after the handshake, and stays */
    FLOOD,       /* sends the same line without end */
    RENEGOTIATE, /* asks for another handshake before it answers */
    SILENT,      /* sends nothing at all, and stays */
    HALF,        /* sends half of its first flight, and stays */
    DRIBBLE,     /* sends byte by byte, with pauses */
    RESET,       /* sends half of its first flight, and resets */
    GARBAGE,     /* sends bytes that are not TLS */
    BYE,         /* sends close_notify in the place of its first flight */
    HTTP,        /* answers in plain HTTP */
    HUGE_RECORD, /* sends a record longer than TLS allows */
    TLS_1_1,     /* speaks nothing newer */
    RSA_ONLY,    /* speaks only key exchange by RSA encryption */
    CBC_ONLY,    /* speaks only ciphers that are not AEAD */
    IMPOSTOR,    /* has the certificate, but not its key */
    STALL,       /* answers, and stays; sends no session tickets */
    SPOILT,      /* answers, and adds a record that cannot be decrypted */
    MANNERS
};

static const char *const manners[MANNERS] = {
    "honest",      "cut",      "broken-off", "mute",        "flood",
    "renegotiate", "silent",   "half",       "dribble",     "reset",
    "garbage",     "bye",      "http",       "huge-record", "tls-1.1",
    "rsa-only",    "cbc-only", "impostor",   "stall",       "spoilt",
};

struct options {
    in_port_t port;
    int is_client; /* of a server on that port */
    long connections;
    long pause;       /* milliseconds, for dribble */
    long wait;        /* milliseconds, before it sends its first bytes */
    long wanted;      /* it answers when it has received so many bytes */
    const char *file; /* its answer; NULL: one line */
    FILE *record;     /* what we receive is kept here; NULL: nowhere */
};

struct peer {
    int fd;
    enum manner manner;
    const struct options *options;
    SSL *ssl;
    BIO *in;            /* bytes from the socket, for OpenSSL to read */
    BIO *out;           /* bytes of OpenSSL, for the socket */
    size_t received;    /* bytes, decrypted */
    int has_sent;       /* we have sent our first bytes */
    int is_over;        /* the other side has ended, or we can't go on */
    const char *reason; /* why it is over */
};

static _Noreturn void usage(void) {
    fputs("usage: rude-tls [OPTION...] MANNER CHAIN.pem KEY.pem\n"
          "       rude-tls -j PORT [OPTION...] MANNER [CHAIN.pem KEY.pem]\n"
          "       rude-tls manners\n"
          "       rude-tls serve MANNER | connect MANNER PORT | faces\n"
          "  -p PORT   listens there\n"
          "  -j PORT   does not listen: it is the client of a server there\n"
          "  -c COUNT  connections, one after another (1)\n"
          "  -f FILE   what it answers\n"
          "  -n BYTES  answers when it has heard so many (0)\n"
          "  -o FILE   keeps what it heard\n"
          "  -d MILLISECONDS  pauses after each byte of dribble (50)\n"
          "  -w MILLISECONDS  waits before its first word (0)\n",
          stderr);
    exit(2);
}

static _Noreturn void fail(const char *what) {
    ERR_print_errors_fp(stderr);
    errx(1, "%s", what);
}

static long number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0)
        usage();
    return value;
}

static void end_connection(struct peer *peer, const char *reason) {
    peer->is_over = 1;
    peer->reason = reason;
}

/* Sends all bytes. Returns 0, or -1 if the other side has gone. */
static int send_all(struct peer *peer, const char *bytes, size_t length) {
    size_t step = peer->manner == DRIBBLE ? 1 : length;
    size_t sent = 0;
    while (sent < length) {
        size_t count = length - sent;
        if (count > step)
            count = step;
        ssize_t taken = send(peer->fd, bytes + sent, count, MSG_NOSIGNAL);
        if (taken < 0) {
            end_connection(peer, "a reset");
            return -1;
        }
        sent += (size_t)taken;
        if (peer->manner == DRIBBLE)
            (void)poll(NULL, 0, (int)peer->options->pause);
    }
    return 0;
}

/* Sends what OpenSSL has written. Returns 0, or -1 if the handshake is not to
 * go on: because sending failed, or because the manner stops halfway. */
static int send_output(struct peer *peer) {
    static char bytes[1 << 16];
    for (;;) {
        int length = BIO_read(peer->out, bytes, sizeof bytes);
        if (length <= 0)
            return 0;
        if (!peer->has_sent && peer->options->wait > 0)
            (void)poll(NULL, 0, (int)peer->options->wait);
        peer->has_sent = 1;
        if (peer->manner == HALF || peer->manner == RESET) {
            (void)send_all(peer, bytes, (size_t)(length / 2));
            return -1;
        }
        if (send_all(peer, bytes, (size_t)length) < 0)
            return -1;
    }
}

/* Gives OpenSSL what the socket has. Returns 0, or -1 at the end. */
static int receive_input(struct peer *peer) {
    static char bytes[PIECE_BYTES];
    ssize_t received = recv(peer->fd, bytes, sizeof bytes, 0);
    if (received <= 0) {
        end_connection(peer, received == 0 ? "the end" : "a reset");
        return -1;
    }
    if (BIO_write(peer->in, bytes, (int)received) != received)
        fail("BIO_write");
    return 0;
}

/* Sends what a call of OpenSSL has written and, if the call needs more input,
 * waits for it. Returns 1 if the call is to be made again, else 0. */
static int must_repeat(struct peer *peer, int result) {
    int problem = SSL_get_error(peer->ssl, result);
    if (send_output(peer) < 0 || result > 0)
        return 0;
    if (problem == SSL_ERROR_ZERO_RETURN)
        end_connection(peer, "close_notify");
    if (problem != SSL_ERROR_WANT_READ)
        return 0;
    return receive_input(peer) == 0;
}

/* Returns 1 if the handshake succeeded, else 0. */
static int do_handshake(struct peer *peer) {
    int result;
    do {
        ERR_clear_error();
        result = SSL_do_handshake(peer->ssl);
    } while (must_repeat(peer, result));
    const char *name = SSL_get_servername(peer->ssl, TLSEXT_NAMETYPE_host_name);
    if (!peer->options->is_client)
        printf("taken for %s\n", name != NULL ? name : "nobody");
    if (result > 0 && !peer->is_over) {
        printf("%s\n", SSL_get_version(peer->ssl));
        return 1;
    }
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    printf("no handshake: %s\n", reason != NULL ? reason : "not completed");
    return 0;
}

/* Reads until the other side has sent so many bytes, or has ended. */
static void read_until(struct peer *peer, size_t wanted) {
    char bytes[PIECE_BYTES];
    while (!peer->is_over && peer->received < wanted) {
        int got = SSL_read(peer->ssl, bytes, sizeof bytes);
        if (got > 0) {
            peer->received += (size_t)got;
            if (peer->options->record != NULL)
                (void)fwrite(bytes, 1, (size_t)got, peer->options->record);
        } else if (!must_repeat(peer, got) && !peer->is_over) {
            end_connection(peer, "an error");
        }
    }
}

/* Sends the same line without end, each time in a small record of its own. A
 * reader that takes one record at a time is slower than we are, so it always
 * finds another one. */
static void flood(struct peer *peer) {
    static const char line[] = "and so on\n";
    while (!peer->is_over) {
        for (int i = 0; i < RECORDS; i++)
            (void)SSL_write(peer->ssl, line, sizeof line - 1);
        (void)send_output(peer);
    }
}

static void write_answer(struct peer *peer, const char *bytes, size_t length) {
    (void)must_repeat(peer, SSL_write(peer->ssl, bytes, (int)length));
}

static void answer_with_line(struct peer *peer) {
    static const char line[] = "hello from behind the certificate\n";
    write_answer(peer, line, sizeof line - 1);
}

static void answer_with_file(struct peer *peer, const char *name) {
    char bytes[PIECE_BYTES];
    FILE *file = fopen(name, "re");
    if (file == NULL)
        err(1, "%s", name);
    do {
        size_t length = fread(bytes, 1, sizeof bytes, file);
        if (length == 0)
            break;
        write_answer(peer, bytes, length);
    } while (!peer->is_over);
    (void)fclose(file);
}

static void answer(struct peer *peer) {
    if (peer->options->file != NULL)
        answer_with_file(peer, peer->options->file);
    else
        answer_with_line(peer);
}

static void reset(const struct peer *peer) {
    struct linger at_once = {.l_onoff = 1};
    int unsent = 1;
    /* A reset that is sent too early would throw away the bytes before it. So
     * we wait until the other side's kernel has them, and then until the
     * program has read them. */
    for (int i = 0; unsent > 0 && i < 1000; i++) {
        (void)poll(NULL, 0, 1);
        (void)ioctl(peer->fd, TIOCOUTQ, &unsent);
    }
    (void)poll(NULL, 0, 20);
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Sends what the manner sends in the place of TLS. */
static void send_plaintext(struct peer *peer) {
    static const char http[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
                               "This server speaks no TLS.\r\n";
    static const char garbage[] = "\1\2\3\4 is no record of any kind\n";
    static const char bye[] = "\25\3\3\0\2\1\0";
    static const char huge[] = "\26\3\3\377\377 and so on";
    switch (peer->manner) {
    case HTTP:
        (void)send_all(peer, http, sizeof http - 1);
        break;
    case BYE:
        (void)send_all(peer, bye, sizeof bye - 1);
        break;
    case HUGE_RECORD:
        (void)send_all(peer, huge, sizeof huge - 1);
        break;
    default:
        (void)send_all(peer, garbage, sizeof garbage - 1);
    }
}

/* Goes on until the client has done the second handshake, or refused. */
static void renegotiate(struct peer *peer) {
    char byte;
    (void)SSL_renegotiate(peer->ssl);
    (void)SSL_do_handshake(peer->ssl); /* writes our request */
    do {
        (void)send_output(peer);
        (void)SSL_read(peer->ssl, &byte, 1);
        (void)send_output(peer);
    } while (SSL_renegotiate_pending(peer->ssl) && receive_input(peer) == 0);
}

/* Receives what is left, and does nothing with it. */
static void wait_for_end(struct peer *peer) {
    while (!peer->is_over)
        (void)receive_input(peer);
}

/* A server speaks second: it waits for the ClientHello first. */
static void converse_in_plaintext(struct peer *peer) {
    if (!peer->options->is_client)
        (void)receive_input(peer);
    send_plaintext(peer);
    (void)shutdown(peer->fd, SHUT_WR);
}

static void half_close_and_read(struct peer *peer) {
    (void)shutdown(peer->fd, SHUT_WR);
    read_until(peer, SIZE_MAX);
}

/* The answer is sent. Ends as the manner does. */
static void finish(struct peer *peer) {
    static const char spoilt[] =
        "\27\3\3\0\41 and so on: 33 bytes of no cipher";
    switch (peer->manner) {
    case STALL:
    case FLOOD:
        return;
    case BROKEN_OFF:
        reset(peer);
        return;
    case SPOILT:
        (void)send_all(peer, spoilt, sizeof spoilt - 1);
        break;
    case HONEST:
    case DRIBBLE:
        (void)SSL_shutdown(peer->ssl); /* writes our close_notify */
        (void)send_output(peer);
        break;
    default:
        break;
    }
    half_close_and_read(peer);
}

static void converse_in_tls(struct peer *peer) {
    if (!do_handshake(peer)) {
        if (peer->manner == RESET)
            reset(peer);
        return;
    }
    read_until(peer, (size_t)peer->options->wanted);
    if (peer->manner == MUTE)
        return;
    if (peer->manner == RENEGOTIATE)
        renegotiate(peer);
    if (peer->manner == FLOOD)
        flood(peer);
    else
        answer(peer);
    finish(peer);
}

static void converse(struct peer *peer) {
    switch (peer->manner) {
    case SILENT:
        break;
    case GARBAGE:
    case BYE:
    case HTTP:
    case HUGE_RECORD:
        converse_in_plaintext(peer);
        break;
    default:
        converse_in_tls(peer);
    }
}

static void serve(int fd, SSL_CTX *context, enum manner manner,
                  const struct options *options) {
    struct peer peer = {
        .fd = fd,
        .manner = manner,
        .options = options,
        .ssl = SSL_new(context),
        .in = BIO_new(BIO_s_mem()),
        .out = BIO_new(BIO_s_mem()),
        .reason = "it reset",
    };
    if (peer.ssl == NULL || peer.in == NULL || peer.out == NULL)
        fail("SSL_new");
    BIO_set_mem_eof_return(peer.in, -1); /* an empty buffer is not the end */
    SSL_set_bio(peer.ssl, peer.in, peer.out);
    if (options->is_client)
        SSL_set_connect_state(peer.ssl);
    else
        SSL_set_accept_state(peer.ssl);
    /* OpenSSL empties its error queue when a client reads a session ticket.
     * With this manner we test clients that forgot to empty it, so we send
     * none. */
    if (manner == STALL && SSL_set_num_tickets(peer.ssl, 0) != 1)
        fail("SSL_set_num_tickets");
    converse(&peer);
    if (manner != BROKEN_OFF && manner != RESET)
        wait_for_end(&peer);
    printf("got %zu bytes, then %s\n", peer.received, peer.reason);
    SSL_free(peer.ssl);
    (void)close(fd);
}

/* Makes a key whose public half belongs to the certificate, and whose private
 * half belongs to another key. An impostor who has copied the certificate has
 * no better one. */
static EVP_PKEY *make_half_key(EVP_PKEY *public, EVP_PKEY *private) {
    unsigned char point[KEY_BYTES];
    unsigned char secret[KEY_BYTES];
    char group[] = "P-256";
    size_t length;
    BIGNUM *scalar = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (maker == NULL)
        fail("EVP_PKEY_CTX_new_from_name");
    if (EVP_PKEY_get_octet_string_param(public, OSSL_PKEY_PARAM_PUB_KEY, point,
                                        sizeof point, &length) != 1)
        fail("EVP_PKEY_get_octet_string_param");
    if (EVP_PKEY_get_bn_param(private, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
        fail("EVP_PKEY_get_bn_param");
    int size = BN_bn2nativepad(scalar, secret, P256_BYTES);
    OSSL_PARAM parts[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                          length),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, secret, (size_t)size),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_PKEY_fromdata_init(maker) != 1 ||
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, parts) != 1)
        fail("EVP_PKEY_fromdata");
    EVP_PKEY_CTX_free(maker);
    BN_free(scalar);
    return key;
}

static void use_half_key(SSL_CTX *context) {
    EVP_PKEY *other = EVP_EC_gen("P-256");
    X509 *certificate = SSL_CTX_get0_certificate(context);
    EVP_PKEY *key = make_half_key(X509_get0_pubkey(certificate), other);
    if (SSL_CTX_use_PrivateKey(context, key) != 1)
        fail("SSL_CTX_use_PrivateKey");
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

/* The cipher list for TLS 1.2 and older; NULL: all. */
static const char *ciphers_of(enum manner manner) {
    if (manner == RSA_ONLY)
        return "AES128-GCM-SHA256";
    if (manner == CBC_ONLY)
        return "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA";
    return NULL;
}

/* TLS 1.3 has no renegotiation, and not the ciphers of that list. */
static int newest_protocol(enum manner manner) {
    if (manner == TLS_1_1)
        return TLS1_1_VERSION;
    if (manner == RENEGOTIATE || ciphers_of(manner) != NULL)
        return TLS1_2_VERSION;
    return 0; /* any */
}

static SSL_CTX *make_context(enum manner manner, const char *chain,
                             const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    SSL_CTX_set_security_level(context, 0);
    (void)SSL_CTX_set_options(context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    const char *ciphers = ciphers_of(manner);
    if (ciphers == NULL)
        ciphers = "ALL";
    if (SSL_CTX_set_min_proto_version(context, TLS1_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, newest_protocol(manner)) != 1)
        fail("SSL_CTX");
    if (SSL_CTX_set_cipher_list(context, ciphers) != 1)
        fail("SSL_CTX");
    if (chain == NULL)
        return context;
    if (SSL_CTX_use_certificate_chain_file(context, chain) != 1)
        fail(chain);
    if (manner == IMPOSTOR)
        use_half_key(context);
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        fail(key);
    return context;
}

static struct sockaddr_in address_of(in_port_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static int connected_socket(in_port_t port) {
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    return fd;
}

static int listening_socket(in_port_t port) {
    struct sockaddr_in address = address_of(port);
    socklen_t length = sizeof address;
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen 127.0.0.1:%d", port);
    if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    return listener;
}

static enum manner manner_named(const char *name) {
    for (int i = 0; i < MANNERS; i++)
        if (strcmp(manners[i], name) == 0)
            return (enum manner)i;
    errx(2, "there is no manner %s; `rude-tls manners` lists them", name);
}

/* A signal may end us, so nothing is left in a buffer. */
static FILE *open_record(const char *name) {
    FILE *record = fopen(name, "we");
    if (record == NULL)
        err(1, "%s", name);
    (void)setvbuf(record, NULL, _IONBF, 0);
    return record;
}

static void set_option(struct options *options, int option) {
    switch (option) {
    case 'p':
        options->port = (in_port_t)number(optarg);
        break;
    case 'j':
        options->port = (in_port_t)number(optarg);
        options->is_client = 1;
        break;
    case 'c':
        options->connections = number(optarg);
        break;
    case 'd':
        options->pause = number(optarg);
        break;
    case 'w':
        options->wait = number(optarg);
        break;
    case 'n':
        options->wanted = number(optarg);
        break;
    case 'f':
        options->file = optarg;
        break;
    case 'o':
        options->record = open_record(optarg);
        break;
    default:
        usage();
    }
}

/* Serves the connections one after another, or makes them as a client. */
static void play(enum manner manner, const char *chain, const char *key,
                 const struct options *options) {
    SSL_CTX *context = make_context(manner, chain, key);
    int listener = -1;
    if (!options->is_client)
        listener = listening_socket(options->port);
    for (long i = 0; i < options->connections; i++) {
        int fd;
        if (options->is_client)
            fd = connected_socket(options->port);
        else
            fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        serve(fd, context, manner, options);
    }
    SSL_CTX_free(context);
    if (listener >= 0)
        (void)close(listener);
}

int main(int argc, char **argv) {
    struct options options = {.connections = 1, .pause = 50};
    for (;;) {
        int option = getopt(argc, argv, "+p:j:c:d:w:n:f:o:");
        if (option == -1)
            break;
        set_option(&options, option);
    }
    argv += optind;
    argc -= optind;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc == 1 &&
        (strcmp(argv[0], "manners") == 0 || strcmp(argv[0], "faces") == 0)) {
        for (int i = 0; i < MANNERS; i++)
            puts(manners[i]);
    } else if (argc == 2 && strcmp(argv[0], "serve") == 0) {
        play(manner_named(argv[1]), "build/certs/good.pem",
             "build/certs/good.key", &options);
    } else if (argc == 3 && strcmp(argv[0], "connect") == 0) {
        options.port = (in_port_t)number(argv[2]);
        options.is_client = 1;
        play(manner_named(argv[1]), "build/certs/client.pem",
             "build/certs/client.key", &options);
    } else if (argc == 3) {
        play(manner_named(argv[0]), argv[1], argv[2], &options);
    } else if (argc == 1 && options.is_client) {
        play(manner_named(argv[0]), NULL, NULL, &options); /* no certificate */
    } else {
        usage();
    }
    if (options.record != NULL)
        (void)fclose(options.record);
    return 0;
}
