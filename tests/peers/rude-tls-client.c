/*
 * rude-tls-client: a TLS client that trusts anybody, and has bad manners.
 *
 *     rude-tls-client [OPTION...] MANNER PORT
 *     rude-tls-client manners
 *     rude-tls-client connect MANNER PORT | faces
 *
 * It connects to 127.0.0.1, says `connected from ADDRESS:PORT`, shakes hands,
 * says its payload, drawn from a seed, and hears the echo of each record before
 * it says the next; `manners` lists the ways in which it can fail to do so. Of
 * each connection it says with what protocol and cipher it speaks, and to whom,
 * and then how much it heard, whether that was what it said, before what end.
 *
 * It offers what nobody should take any more, if its manner is to: whether to
 * refuse that is for the server to decide.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 14, HELLO_BYTES = 1 << 12, NAME_BYTES = 256 };

enum manner {
    HONEST,      /* says it all, hears it all, and ends with close_notify */
    CUT,         /* and ends without */
    BROKEN_OFF,  /* and resets */
    MUTE,        /* says nothing after the handshake, and stays */
    DEAF,        /* says the same for ever, and reads nothing */
    RENEGOTIATE, /* wants another handshake before it says anything */
    DRIBBLE,     /* a byte of its ClientHello, and a pause */
    HALF,        /* half of its ClientHello, and stays */
    VANISH,      /* half, and ends */
    RESET,       /* half, and resets */
    GARBAGE,     /* bytes that are no TLS, and stays */
    TLS_1_1,     /* nothing newer */
    RSA_ONLY,    /* keys sent encrypted to the certificate */
    CBC_ONLY,    /* ciphers that are no AEAD */
    DHE_ONLY,    /* another group than those of elliptic curves */
    MANNERS
};

static const char *const manners[MANNERS] = {
    "honest",      "cut",     "broken-off", "mute",     "deaf",
    "renegotiate", "dribble", "half",       "vanish",   "reset",
    "garbage",     "tls-1.1", "rsa-only",   "cbc-only", "dhe-only",
};

struct options {
    char *name;       /* whom it asks for */
    long bytes;       /* its payload */
    long connections; /* all of them at once */
    long pause;       /* milliseconds, of dribble */
    int newest;       /* protocol; 0: any */
    uint64_t seed;
};

static _Noreturn void usage(void) {
    fputs("usage: rude-tls-client [OPTION...] MANNER PORT\n"
          "       rude-tls-client manners\n"
          "       rude-tls-client connect MANNER PORT | faces\n"
          "  -n NAME   asks for that one\n"
          "  -b BYTES  says so many (40)\n"
          "  -s SEED   which ones (1)\n"
          "  -2        offers nothing newer than TLS 1.2\n"
          "  -c COUNT  connections at once, all open before any goes on (1)\n"
          "  -d MILLISECONDS  pauses after each byte of dribble (5)\n",
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

static int connect_to(in_port_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    int on = 1; /* what we say after our Finished is not to wait for an ACK */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    printf("connected from 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

static SSL_CTX *make_context(enum manner manner,
                             const struct options *options) {
    static const char *const ciphers[MANNERS] = {
        [RSA_ONLY] = "AES128-GCM-SHA256:AES256-GCM-SHA384",
        [CBC_ONLY] = "ECDHE+AES128:-ECDHE+AESGCM:-ECDHE+AESCCM",
    };
    static char group[] = "ffdhe2048";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    SSL_CTX_set_security_level(context, 0);
    int newest = manner == TLS_1_1 ? TLS1_1_VERSION
                 : ciphers[manner] != NULL || manner == RENEGOTIATE
                     ? TLS1_2_VERSION
                     : options->newest;
    if (SSL_CTX_set_min_proto_version(context, TLS1_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, newest) != 1 ||
        SSL_CTX_set_cipher_list(
            context, ciphers[manner] != NULL ? ciphers[manner] : "ALL") != 1 ||
        (manner == DHE_ONLY && SSL_CTX_set1_groups_list(context, group) != 1))
        fail("SSL_CTX");
    return context;
}

/* The bytes with which a handshake begins. */
static int make_hello(SSL *ssl, char *bytes) {
    BIO *out = BIO_new(BIO_s_mem());
    BIO *in = BIO_new(BIO_s_mem());
    if (out == NULL || in == NULL)
        fail("BIO_new");
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    (void)SSL_connect(ssl);
    return BIO_read(out, bytes, HELLO_BYTES);
}

static void reset(int fd) {
    struct linger at_once = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Nothing is said any more; until the server ends. */
static void wait_for_end(int fd) {
    char bytes[PIECE_BYTES];
    ssize_t got;
    size_t heard = 0;
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        heard += (size_t)got;
    printf("got %zu bytes in the clear, then %s\n", heard,
           got == 0 ? "the end" : "a reset");
}

/* As much of a ClientHello as the manner has it. */
static void begin(int fd, SSL *ssl, enum manner manner, long pause) {
    char hello[HELLO_BYTES];
    int length = make_hello(ssl, hello);
    if (length <= 0)
        fail("SSL_connect");
    if (manner == GARBAGE)
        memset(hello, 7, (size_t)length);
    if (manner != DRIBBLE && manner != GARBAGE)
        length /= 2;
    int step = manner == DRIBBLE ? 1 : length;
    for (int sent = 0; sent < length; sent += step) {
        if (send(fd, hello + sent, (size_t)step, MSG_NOSIGNAL) < 0)
            return;
        if (manner == DRIBBLE)
            (void)poll(NULL, 0, (int)pause);
    }
}

/* Returns how it came out, in words. */
static const char *hear(SSL *ssl, char *bytes, int wanted, size_t *heard) {
    for (int got, had = 0; had < wanted; had += got) {
        got = SSL_read(ssl, bytes + had, wanted - had);
        int problem = SSL_get_error(ssl, got);
        if (got > 0)
            *heard += (size_t)got;
        else if (problem == SSL_ERROR_ZERO_RETURN)
            return "close_notify";
        else
            return problem == SSL_ERROR_SSL
                       ? ERR_reason_error_string(ERR_peek_error())
                       : "a reset";
    }
    return NULL;
}

/* Says a payload, and hears its echo. Returns how the server ended, or NULL. */
static const char *converse(SSL *ssl, enum manner manner,
                            const struct options *options) {
    static char said[PIECE_BYTES], got[PIECE_BYTES + 1];
    uint64_t state = options->seed;
    size_t heard = 0;
    const char *end = NULL;
    const char *verdict = "the same";
    for (long left = options->bytes; left > 0 && end == NULL;) {
        int length = left < PIECE_BYTES ? (int)left : PIECE_BYTES;
        for (int i = 0; i < length; i++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            said[i] = (char)(state >> 56);
        }
        if (SSL_write(ssl, said, length) <= 0)
            end = "no room";
        else if (manner != DEAF)
            end = hear(ssl, got, length, &heard);
        if (end == NULL && manner != DEAF &&
            memcmp(said, got, (size_t)length) != 0)
            verdict = "others";
        if (manner != DEAF)
            left -= length;
    }
    if (end == NULL && manner == HONEST) {
        (void)SSL_shutdown(ssl);
        end = hear(ssl, got, 1, &heard);
    } else if (end == NULL && manner == MUTE) {
        end = hear(ssl, got, 1, &heard);
    }
    printf("got %zu bytes, %s, then %s\n", heard, verdict,
           end != NULL ? end : "left");
    return end;
}

static void report(const SSL *ssl) {
    char name[NAME_BYTES] = "nobody";
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate != NULL)
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                        NID_commonName, name, sizeof name);
    printf("%s %s %s, a chain of %d\n", SSL_get_version(ssl),
           SSL_get_cipher_name(ssl), name,
           sk_X509_num(SSL_get_peer_cert_chain(ssl)));
}

static void play(int fd, SSL_CTX *context, enum manner manner,
                 const struct options *options) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || (options->name != NULL &&
                        SSL_set_tlsext_host_name(ssl, options->name) != 1))
        fail("SSL_new");
    ERR_clear_error();
    if (manner >= DRIBBLE && manner <= GARBAGE) {
        begin(fd, ssl, manner, options->pause);
        if (manner == RESET)
            reset(fd);
        SSL_free(ssl);
        return;
    }
    if (SSL_set_fd(ssl, fd) != 1)
        fail("SSL_set_fd");
    if (SSL_connect(ssl) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        printf("no handshake: %s\n", reason != NULL ? reason : "a reset");
    } else {
        report(ssl);
        if (manner == RENEGOTIATE)
            printf("another handshake: %s\n",
                   SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1
                       ? "made"
                       : "refused");
        struct options none = {0};
        (void)converse(ssl, manner, manner == MUTE ? &none : options);
        if (SSL_SESSION_has_ticket(SSL_get0_session(ssl)))
            puts("and a ticket");
        if (manner == BROKEN_OFF)
            reset(fd);
    }
    SSL_free(ssl);
}

static enum manner manner_named(const char *name) {
    for (int i = 0; i < MANNERS; i++)
        if (strcmp(manners[i], name) == 0)
            return (enum manner)i;
    errx(2, "there is no manner %s; `rude-tls-client manners` lists them",
         name);
}

static void set_option(struct options *options, int option) {
    switch (option) {
    case 'n':
        options->name = optarg;
        break;
    case 'b':
        options->bytes = number(optarg);
        break;
    case 's':
        options->seed = (uint64_t)number(optarg);
        break;
    case 'c':
        options->connections = number(optarg);
        break;
    case 'd':
        options->pause = number(optarg);
        break;
    case '2':
        options->newest = TLS1_2_VERSION;
        break;
    default:
        usage();
    }
}

int main(int argc, char **argv) {
    struct options options = {
        .bytes = 40, .connections = 1, .pause = 5, .seed = 1};
    int option;
    while ((option = getopt(argc, argv, "+2n:b:s:c:d:")) != -1)
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
    if (argc == 3 && strcmp(argv[0], "connect") == 0) { /* as rude has it */
        argv++;
        argc--;
    }
    if (argc != 2 || options.connections < 1)
        usage();

    enum manner manner = manner_named(argv[0]);
    in_port_t port = (in_port_t)number(argv[1]);
    SSL_CTX *context = make_context(manner, &options);
    int *all = calloc((size_t)options.connections, sizeof *all);
    if (all == NULL)
        err(1, "calloc");
    for (long i = 0; i < options.connections; i++)
        all[i] = connect_to(port);
    for (long i = 0; i < options.connections; i++)
        play(all[i], context, manner, &options);
    puts("all is said");
    for (long i = 0; i < options.connections; i++) {
        if (manner == HALF || manner == GARBAGE)
            wait_for_end(all[i]);
        (void)close(all[i]);
    }
    free(all);
    SSL_CTX_free(context);
    return 0;
}
