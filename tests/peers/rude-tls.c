/*
 * rude-tls: a TLS server with any certificate, and with bad manners.
 *
 *     rude-tls [OPTION...] MANNER CHAIN.pem KEY.pem
 *     rude-tls -j PORT [OPTION...] MANNER [CHAIN.pem KEY.pem]
 *     rude-tls manners
 *     rude-tls serve MANNER | connect MANNER PORT | faces
 *
 * The last line is how rude is called, too: with the certificate good, or
 * client, of build/certs. With -j PORT it is the client of a server there, in
 * the same manner: it shows that one the certificate, and believes it anything.
 * Else:
 *
 * It says `listening on 127.0.0.1:PORT`, shows each client the certificate, and
 * answers with a line, or the bytes of a file; `manners` lists the ways in
 * which it can fail to do so. Of each connection it says for whom it was taken,
 * as the client said in the clear, what became of the handshake, and how much
 * it heard before what end.
 *
 * All that TLS wants to send goes through the buffers of this program, and from
 * there to the socket: so it can stop anywhere in a handshake. It takes what
 * nobody should take any more, such as TLS 1.0 and keys of 1024 bits: whether
 * to refuse them is for its clients to decide.
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
};

/* What it does, beyond showing its certificate. */
enum manner {
    HONEST,      /* answers, and ends with close_notify */
    CUT,         /* answers, and ends without */
    BROKEN_OFF,  /* answers, and resets */
    MUTE,        /* says nothing after the handshake, and stays */
    FLOOD,       /* says the same line for ever */
    RENEGOTIATE, /* wants another handshake before it answers */
    SILENT,      /* says nothing at all, and stays */
    HALF,        /* half of its first flight, and stays */
    DRIBBLE,     /* a byte, and a pause */
    RESET,       /* half of its first flight, and resets */
    GARBAGE,     /* bytes that are no TLS */
    BYE,         /* close_notify, where its first flight should be */
    HTTP,        /* an answer to somebody who does not speak TLS */
    HUGE_RECORD, /* a record longer than any may be */
    TLS_1_1,     /* nothing newer */
    RSA_ONLY,    /* keys sent encrypted to the certificate: no new ones each
                    time */
    CBC_ONLY,    /* ciphers that are no AEAD */
    IMPOSTOR,    /* has the certificate, and not its key */
    STALL,       /* answers, and stays; gives no tickets */
    SPOILT,      /* answers, and adds a record that nobody can decrypt */
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
    int joins; /* a server at that port, as its client */
    long connections;
    long pause;  /* milliseconds, of dribble */
    long wait;   /* milliseconds, before its first word */
    long wanted; /* it answers when it has heard so many bytes */
    const char *file;
    FILE *record;
};

struct peer {
    int fd;
    enum manner manner;
    const struct options *options;
    SSL *ssl;
    BIO *in, *out;   /* between TLS and the socket */
    size_t heard;    /* bytes, decrypted */
    int spoke;       /* it has said something */
    const char *end; /* how the client ended, once it has */
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

/* Sends it all. Returns 0, or -1 when the client has gone. */
static int send_all(struct peer *peer, const char *bytes, size_t length) {
    size_t step = peer->manner == DRIBBLE ? 1 : length;
    for (size_t sent = 0; sent < length;) {
        size_t count = step < length - sent ? step : length - sent;
        ssize_t taken = send(peer->fd, bytes + sent, count, MSG_NOSIGNAL);
        if (taken < 0) {
            peer->end = "a reset";
            return -1;
        }
        sent += (size_t)taken;
        if (peer->manner == DRIBBLE)
            (void)poll(NULL, 0, (int)peer->options->pause);
    }
    return 0;
}

/* Sends what TLS has ready. Returns 0, or -1 when that is not to go on. */
static int flush_out(struct peer *peer) {
    static char bytes[1 << 16];
    int ready;
    while ((ready = BIO_read(peer->out, bytes, sizeof bytes)) > 0) {
        int half = peer->manner == HALF || peer->manner == RESET;
        if (!peer->spoke && peer->options->wait > 0)
            (void)poll(NULL, 0, (int)peer->options->wait);
        peer->spoke = 1;
        if (send_all(peer, bytes, (size_t)(half ? ready / 2 : ready)) < 0)
            return -1;
        if (half)
            return -1;
    }
    return 0;
}

/* Gives TLS what the socket has. Returns 0, or -1 at its end. */
static int fill_in(struct peer *peer) {
    static char bytes[PIECE_BYTES];
    ssize_t received = recv(peer->fd, bytes, sizeof bytes, 0);
    if (received <= 0) {
        peer->end = received == 0 ? "the end" : "a reset";
        return -1;
    }
    if (BIO_write(peer->in, bytes, (int)received) != received)
        fail("BIO_write");
    return 0;
}

/* Returns 1 when the call is to be made again, after what it has been waiting
 * for; 0 when it is over. */
static int goes_on(struct peer *peer, int result) {
    int problem = SSL_get_error(peer->ssl, result);
    if (flush_out(peer) < 0 || result > 0)
        return 0;
    if (problem == SSL_ERROR_ZERO_RETURN)
        peer->end = "close_notify";
    return problem == SSL_ERROR_WANT_READ && fill_in(peer) == 0;
}

/* Returns 1 when the handshake is done. */
static int shake_hands(struct peer *peer) {
    int result;
    do {
        ERR_clear_error();
        result = SSL_do_handshake(peer->ssl);
    } while (goes_on(peer, result));
    const char *name = SSL_get_servername(peer->ssl, TLSEXT_NAMETYPE_host_name);
    if (!peer->options->joins)
        printf("taken for %s\n", name != NULL ? name : "nobody");
    if (result > 0 && peer->end == NULL) {
        printf("%s\n", SSL_get_version(peer->ssl));
        return 1;
    }
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    printf("no handshake: %s\n", reason != NULL ? reason : "not completed");
    return 0;
}

/* Hears the client until it has said so many bytes, or ended. */
static void hear(struct peer *peer, size_t wanted) {
    char bytes[PIECE_BYTES];
    while (peer->end == NULL && peer->heard < wanted) {
        int got = SSL_read(peer->ssl, bytes, sizeof bytes);
        if (got > 0) {
            peer->heard += (size_t)got;
            if (peer->options->record != NULL)
                (void)fwrite(bytes, 1, (size_t)got, peer->options->record);
        } else if (!goes_on(peer, got) && peer->end == NULL) {
            peer->end = "an error";
        }
    }
}

/* For ever, in records so small that whoever takes them one by one is slower
 * than we are, and always finds another. */
static void flood(struct peer *peer) {
    static const char line[] = "and so on\n";
    while (peer->end == NULL) {
        for (int i = 0; i < RECORDS; i++)
            (void)SSL_write(peer->ssl, line, sizeof line - 1);
        (void)flush_out(peer);
    }
}

static void answer(struct peer *peer) {
    char bytes[PIECE_BYTES] = "hello from behind the certificate\n";
    size_t length = strlen(bytes);
    FILE *file = NULL;
    if (peer->options->file != NULL &&
        (file = fopen(peer->options->file, "re")) == NULL)
        err(1, "%s", peer->options->file);
    do {
        if (file != NULL)
            length = fread(bytes, 1, sizeof bytes, file);
        if (length > 0)
            (void)goes_on(peer, SSL_write(peer->ssl, bytes, (int)length));
    } while (file != NULL && length > 0 && peer->end == NULL);
    if (file != NULL)
        (void)fclose(file);
}

static void reset(const struct peer *peer) {
    struct linger at_once = {.l_onoff = 1};
    int unsent = 1;
    /* After the bytes, and not instead of them. */
    for (int i = 0; unsent > 0 && i < 1000; i++) {
        (void)poll(NULL, 0, 1);
        (void)ioctl(peer->fd, TIOCOUTQ, &unsent);
    }
    (void)poll(NULL, 0, 20); /* until it has read them, too */
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* What is said in the place of TLS. */
static void speak_plainly(struct peer *peer) {
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

/* Until the client has taken part, or refused. */
static void renegotiate(struct peer *peer) {
    char byte;
    (void)SSL_renegotiate(peer->ssl);
    (void)SSL_do_handshake(peer->ssl); /* sends that we want to */
    do {
        (void)flush_out(peer);
        (void)SSL_read(peer->ssl, &byte, 1);
        (void)flush_out(peer);
    } while (SSL_renegotiate_pending(peer->ssl) && fill_in(peer) == 0);
}

/* Hears what is left, and does nothing with it. */
static void wait_for_end(struct peer *peer) {
    while (peer->end == NULL)
        (void)fill_in(peer);
}

static void converse(struct peer *peer) {
    static const char spoilt[] =
        "\27\3\3\0\41 and so on: 33 bytes of no cipher";
    switch (peer->manner) {
    case SILENT:
        return;
    case GARBAGE:
    case BYE:
    case HTTP:
    case HUGE_RECORD:
        if (!peer->options->joins)
            (void)fill_in(peer);
        speak_plainly(peer);
        (void)shutdown(peer->fd, SHUT_WR);
        return;
    default:
        break;
    }
    if (!shake_hands(peer)) {
        if (peer->manner == RESET)
            reset(peer);
        return;
    }
    hear(peer, (size_t)peer->options->wanted);
    if (peer->manner == MUTE)
        return;
    if (peer->manner == RENEGOTIATE)
        renegotiate(peer);
    if (peer->manner == FLOOD)
        flood(peer);
    else
        answer(peer);
    if (peer->manner == STALL)
        return;
    if (peer->manner == SPOILT)
        (void)send_all(peer, spoilt, sizeof spoilt - 1);
    if (peer->manner == BROKEN_OFF)
        reset(peer);
    if (peer->manner == HONEST || peer->manner == DRIBBLE)
        (void)goes_on(peer, SSL_shutdown(peer->ssl) == 0);
    if (peer->manner != BROKEN_OFF && peer->manner != FLOOD) {
        (void)shutdown(peer->fd, SHUT_WR);
        hear(peer, SIZE_MAX);
    }
}

static void serve(int fd, SSL_CTX *context, enum manner manner,
                  const struct options *options) {
    struct peer peer = {.fd = fd,
                        .manner = manner,
                        .options = options,
                        .ssl = SSL_new(context),
                        .in = BIO_new(BIO_s_mem()),
                        .out = BIO_new(BIO_s_mem())};
    if (peer.ssl == NULL || peer.in == NULL || peer.out == NULL)
        fail("SSL_new");
    BIO_set_mem_eof_return(peer.in, -1); /* empty is not the end */
    SSL_set_bio(peer.ssl, peer.in, peer.out);
    if (options->joins)
        SSL_set_connect_state(peer.ssl);
    else
        SSL_set_accept_state(peer.ssl);
    /* Who takes in a ticket has its queue of errors emptied by OpenSSL. */
    if (manner == STALL && SSL_set_num_tickets(peer.ssl, 0) != 1)
        fail("SSL_set_num_tickets");
    converse(&peer);
    if (manner != BROKEN_OFF && manner != RESET)
        wait_for_end(&peer);
    printf("got %zu bytes, then %s\n", peer.heard,
           peer.end != NULL ? peer.end : "it reset");
    SSL_free(peer.ssl);
    (void)close(fd);
}

/* A key whose public half is the certificate's, and whose private half is
 * another's: as it would be for one who has copied the certificate. */
static EVP_PKEY *half_a_key(EVP_PKEY *public, EVP_PKEY *private) {
    unsigned char point[KEY_BYTES];
    unsigned char secret[KEY_BYTES];
    char group[] = "P-256";
    size_t length;
    BIGNUM *scalar = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (maker == NULL ||
        EVP_PKEY_get_octet_string_param(public, OSSL_PKEY_PARAM_PUB_KEY, point,
                                        sizeof point, &length) != 1 ||
        EVP_PKEY_get_bn_param(private, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
        fail("half_a_key");
    int size = BN_bn2nativepad(scalar, secret, 32);
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

/* The key of a certificate is the key of an impostor with another one. */
static void use_half_a_key(SSL_CTX *context) {
    EVP_PKEY *other = EVP_EC_gen("P-256");
    EVP_PKEY *key =
        half_a_key(X509_get0_pubkey(SSL_CTX_get0_certificate(context)), other);
    if (SSL_CTX_use_PrivateKey(context, key) != 1)
        fail("SSL_CTX_use_PrivateKey");
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static SSL_CTX *make_context(enum manner manner, const char *chain,
                             const char *key) {
    static const char *const ciphers[MANNERS] = {
        [RSA_ONLY] = "AES128-GCM-SHA256",
        [CBC_ONLY] = "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA",
    };
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    SSL_CTX_set_security_level(context, 0);
    (void)SSL_CTX_set_options(context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    int newest = manner == TLS_1_1 ? TLS1_1_VERSION
                 : ciphers[manner] != NULL || manner == RENEGOTIATE
                     ? TLS1_2_VERSION
                     : 0;
    if (SSL_CTX_set_min_proto_version(context, TLS1_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, newest) != 1 ||
        SSL_CTX_set_cipher_list(
            context, ciphers[manner] != NULL ? ciphers[manner] : "ALL") != 1)
        fail("SSL_CTX");
    if (chain == NULL)
        return context;
    if (SSL_CTX_use_certificate_chain_file(context, chain) != 1)
        fail(chain);
    if (manner == IMPOSTOR)
        use_half_a_key(context);
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
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    return fd;
}

static int listening_socket(in_port_t port) {
    struct sockaddr_in address = address_of(port);
    socklen_t length = sizeof address;
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "listen 127.0.0.1:%d", port);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    return listener;
}

static enum manner manner_named(const char *name) {
    for (int i = 0; i < MANNERS; i++)
        if (strcmp(manners[i], name) == 0)
            return (enum manner)i;
    errx(2, "there is no manner %s; `rude-tls manners` lists them", name);
}

static void set_option(struct options *options, int option) {
    switch (option) {
    case 'p':
        options->port = (in_port_t)number(optarg);
        break;
    case 'j':
        options->port = (in_port_t)number(optarg);
        options->joins = 1;
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
        if ((options->record = fopen(optarg, "we")) == NULL)
            err(1, "%s", optarg);
        (void)setvbuf(options->record, NULL, _IONBF, 0); /* we may be ended */
        break;
    default:
        usage();
    }
}

int main(int argc, char **argv) {
    struct options options = {.connections = 1, .pause = 50};
    int option;
    while ((option = getopt(argc, argv, "+p:j:c:d:w:n:f:o:")) != -1)
        set_option(&options, option);
    argv += optind;
    argc -= optind;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 1 &&
        (strcmp(argv[0], "manners") == 0 || strcmp(argv[0], "faces") == 0)) {
        for (int i = 0; i < MANNERS; i++)
            puts(manners[i]);
        return 0;
    }
    static char certs[][sizeof "build/certs/client.pem"] = {
        "build/certs/good.pem", "build/certs/good.key",
        "build/certs/client.pem", "build/certs/client.key"};
    char *served[] = {argv[1], certs[0], certs[1]};
    char *shown[] = {argv[1], certs[2], certs[3]};
    if (argc == 2 && strcmp(argv[0], "serve") == 0) {
        argv = served;
        argc = 3;
    } else if (argc == 3 && strcmp(argv[0], "connect") == 0) {
        options.port = (in_port_t)number(argv[2]);
        options.joins = 1;
        argv = shown;
    }
    if (argc != 3 && !(options.joins && argc == 1)) /* it may have none */
        usage();

    enum manner manner = manner_named(argv[0]);
    SSL_CTX *context = make_context(manner, argv[1], argv[2]);
    int listener = options.joins ? -1 : listening_socket(options.port);
    for (long i = 0; i < options.connections; i++) {
        int fd = options.joins ? connected_socket(options.port)
                               : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        serve(fd, context, manner, &options);
    }
    SSL_CTX_free(context);
    if (listener >= 0)
        (void)close(listener);
    if (options.record != NULL)
        (void)fclose(options.record);
    return 0;
}
