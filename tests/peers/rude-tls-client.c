/*
 * rude-tls-client: a TLS client with bad manners, which trusts any server.
 *
 *     rude-tls-client [OPTION...] MANNER PORT
 *     rude-tls-client manners
 *     rude-tls-client connect MANNER PORT | faces
 *
 * It connects to 127.0.0.1, prints `connected from ADDRESS:PORT`, and does the
 * handshake. Then it sends its payload, which is drawn from a seed. After each
 * record it waits for the echo before it sends the next. MANNER says where it
 * does something else; `manners` lists them. The last line above has the words
 * of `rude`: a test that plays every peer calls all of them in one way.
 *
 * For each connection it prints the protocol, the cipher and the name in the
 * server's certificate. Then it prints how many bytes came back, whether they
 * were the same, and how the connection ended.
 *
 * Some manners offer old protocols and ciphers that nobody should accept any
 * more. It is the server's task to refuse them.
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

enum {
    PIECE_BYTES = 1 << 14, /* the most that a record holds */
    HELLO_BYTES = 1 << 12,
    NAME_BYTES = 256,
};

enum manner {
    HONEST,      /* sends all, receives all, and ends with close_notify */
    CUT,         /* the same, but ends without close_notify */
    BROKEN_OFF,  /* the same, but resets */
    MUTE,        /* sends nothing after the handshake, and stays */
    DEAF,        /* sends without end, and never reads */
    RENEGOTIATE, /* asks for another handshake before it sends */
    DRIBBLE,     /* sends its ClientHello byte by byte, with pauses */
    HALF,        /* sends half of its ClientHello, and stays */
    VANISH,      /* sends half of its ClientHello, and closes */
    RESET,       /* sends half of its ClientHello, and resets */
    GARBAGE,     /* sends bytes that are not TLS, and stays */
    TLS_1_1,     /* offers nothing newer */
    RSA_ONLY,    /* offers only key exchange by RSA encryption */
    CBC_ONLY,    /* offers only ciphers that are not AEAD */
    DHE_ONLY,    /* offers only a group without elliptic curves */
    MANNERS
};

static const char *const manners[MANNERS] = {
    "honest",      "cut",     "broken-off", "mute",     "deaf",
    "renegotiate", "dribble", "half",       "vanish",   "reset",
    "garbage",     "tls-1.1", "rsa-only",   "cbc-only", "dhe-only",
};

struct options {
    char *name;       /* the server that it asks for (SNI) */
    long bytes;       /* the size of its payload */
    long connections; /* all are open at once */
    long pause;       /* milliseconds, for dribble */
    int newest;       /* protocol version; 0: any */
    uint64_t seed;
    FILE *heard; /* keeps what came back; NULL: nobody does */
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
          "  -d MILLISECONDS  pauses after each byte of dribble (5)\n"
          "  -o FILE   keeps what came back\n",
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
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&address, length) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    /* The payload must not wait for the ACK of our Finished. */
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    printf("connected from 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

/* The cipher list that a manner offers to TLS 1.2 and older; NULL: all. */
static const char *ciphers_of(enum manner manner) {
    if (manner == RSA_ONLY)
        return "AES128-GCM-SHA256:AES256-GCM-SHA384";
    if (manner == CBC_ONLY)
        return "ECDHE+AES128:-ECDHE+AESGCM:-ECDHE+AESCCM";
    return NULL;
}

/* TLS 1.3 has no renegotiation, and not the ciphers of that list. */
static int newest_protocol(enum manner manner, const struct options *options) {
    if (manner == TLS_1_1)
        return TLS1_1_VERSION;
    if (manner == RENEGOTIATE || ciphers_of(manner) != NULL)
        return TLS1_2_VERSION;
    return options->newest;
}

static SSL_CTX *make_context(enum manner manner,
                             const struct options *options) {
    static char group[] = "ffdhe2048";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    SSL_CTX_set_security_level(context, 0);
    int newest = newest_protocol(manner, options);
    const char *ciphers = ciphers_of(manner);
    if (ciphers == NULL)
        ciphers = "ALL";
    if (SSL_CTX_set_min_proto_version(context, TLS1_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, newest) != 1)
        fail("SSL_CTX");
    if (SSL_CTX_set_cipher_list(context, ciphers) != 1)
        fail("SSL_CTX");
    if (manner == DHE_ONLY && SSL_CTX_set1_groups_list(context, group) != 1)
        fail("SSL_CTX");
    return context;
}

/* Writes a whole ClientHello. Returns its length. The input is empty, so
 * SSL_connect stops after it. */
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

/* Receives until the server ends, and prints what came. */
static void wait_for_end(int fd) {
    char bytes[PIECE_BYTES];
    size_t received = 0;
    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0) {
            printf("got %zu bytes in the clear, then %s\n", received,
                   got == 0 ? "the end" : "a reset");
            return;
        }
        received += (size_t)got;
    }
}

/* Sends as much of a ClientHello as the manner does. */
static void send_hello(int fd, SSL *ssl, enum manner manner, long pause) {
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

/* How a conversation over TLS goes. */
struct talk {
    SSL *ssl;
    FILE *heard;
    size_t received;
    int is_over;
    const char *reason; /* why it is over */
};

static void end_talk(struct talk *talk, const char *reason) {
    talk->is_over = 1;
    talk->reason = reason;
}

static const char *reason_of_error(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason != NULL ? reason : "an error without a name";
}

/* Reads so many bytes, or until the connection ends. */
static void read_all(struct talk *talk, char *bytes, int wanted) {
    int had = 0;
    while (had < wanted) {
        int got = SSL_read(talk->ssl, bytes + had, wanted - had);
        if (got <= 0) {
            int problem = SSL_get_error(talk->ssl, got);
            if (problem == SSL_ERROR_ZERO_RETURN)
                end_talk(talk, "close_notify");
            else if (problem == SSL_ERROR_SSL)
                end_talk(talk, reason_of_error());
            else
                end_talk(talk, "a reset");
            return;
        }
        if (talk->heard != NULL)
            (void)fwrite(bytes + had, 1, (size_t)got, talk->heard);
        talk->received += (size_t)got;
        had += got;
    }
}

static void draw_bytes(char *bytes, int length, uint64_t *state) {
    for (int i = 0; i < length; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        bytes[i] = (char)(*state >> 56);
    }
}

/* DEAF sends without end, and never reads. */
static void send_for_ever(struct talk *talk, const struct options *options) {
    static char sent[PIECE_BYTES];
    uint64_t state = options->seed;
    int length = PIECE_BYTES;
    if (options->bytes < length)
        length = (int)options->bytes;
    if (length == 0)
        return;
    while (!talk->is_over) {
        draw_bytes(sent, length, &state);
        if (SSL_write(talk->ssl, sent, length) <= 0)
            end_talk(talk, "no room");
    }
}

/* Sends the payload and reads its echo. Returns whether they were the same. */
static int send_payload(struct talk *talk, const struct options *options) {
    static char sent[PIECE_BYTES];
    static char received[PIECE_BYTES];
    uint64_t state = options->seed;
    long left = options->bytes;
    int is_same = 1;
    while (left > 0 && !talk->is_over) {
        int length = left < PIECE_BYTES ? (int)left : PIECE_BYTES;
        draw_bytes(sent, length, &state);
        if (SSL_write(talk->ssl, sent, length) <= 0)
            end_talk(talk, "no room");
        else
            read_all(talk, received, length);
        if (!talk->is_over && memcmp(sent, received, (size_t)length) != 0)
            is_same = 0;
        left -= length;
    }
    return is_same;
}

/* Does what the manner does after the handshake, and prints how it went. */
static void converse(SSL *ssl, enum manner manner,
                     const struct options *options) {
    struct talk talk = {.ssl = ssl, .heard = options->heard, .reason = "left"};
    char byte;
    int is_same = 1;
    if (manner == DEAF)
        send_for_ever(&talk, options);
    else if (manner != MUTE)
        is_same = send_payload(&talk, options);
    if (!talk.is_over && manner == HONEST) {
        (void)SSL_shutdown(ssl);
        read_all(&talk, &byte, 1);
    } else if (!talk.is_over && manner == MUTE) {
        read_all(&talk, &byte, 1);
    }
    printf("got %zu bytes, %s, then %s\n", talk.received,
           is_same ? "the same" : "others", talk.reason);
}

/* Prints what the handshake has agreed on, and with whom. */
static void report_handshake(const SSL *ssl) {
    char name[NAME_BYTES] = "nobody";
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate != NULL)
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                        NID_commonName, name, sizeof name);
    printf("%s %s %s, a chain of %d\n", SSL_get_version(ssl),
           SSL_get_cipher_name(ssl), name,
           sk_X509_num(SSL_get_peer_cert_chain(ssl)));
}

static void renegotiate(SSL *ssl) {
    const char *result = "refused";
    if (SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1)
        result = "made";
    printf("another handshake: %s\n", result);
}

static void play_tls(int fd, SSL *ssl, enum manner manner,
                     const struct options *options) {
    if (SSL_set_fd(ssl, fd) != 1)
        fail("SSL_set_fd");
    if (SSL_connect(ssl) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        printf("no handshake: %s\n", reason != NULL ? reason : "a reset");
        return;
    }
    report_handshake(ssl);
    if (manner == RENEGOTIATE)
        renegotiate(ssl);
    converse(ssl, manner, options);
    if (SSL_SESSION_has_ticket(SSL_get0_session(ssl)))
        puts("and a ticket");
    if (manner == BROKEN_OFF)
        reset(fd);
}

static void play(int fd, SSL_CTX *context, enum manner manner,
                 const struct options *options) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        fail("SSL_new");
    if (options->name != NULL &&
        SSL_set_tlsext_host_name(ssl, options->name) != 1)
        fail("SSL_new");
    ERR_clear_error();
    switch (manner) {
    case DRIBBLE:
    case HALF:
    case VANISH:
    case GARBAGE:
        send_hello(fd, ssl, manner, options->pause);
        break;
    case RESET:
        send_hello(fd, ssl, manner, options->pause);
        reset(fd);
        break;
    default:
        play_tls(fd, ssl, manner, options);
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
    case 'o':
        options->heard = fopen(optarg, "w");
        if (options->heard == NULL)
            err(1, "%s", optarg);
        break;
    case '2':
        options->newest = TLS1_2_VERSION;
        break;
    default:
        usage();
    }
}

/* All connections are open before the first handshake begins. */
static void play_all(enum manner manner, in_port_t port,
                     const struct options *options) {
    size_t count = (size_t)options->connections;
    SSL_CTX *context = make_context(manner, options);
    int *fds = calloc(count, sizeof *fds);
    if (fds == NULL)
        err(1, "calloc");
    for (size_t i = 0; i < count; i++)
        fds[i] = connect_to(port);
    for (size_t i = 0; i < count; i++)
        play(fds[i], context, manner, options);
    puts("all is said");
    for (size_t i = 0; i < count; i++) {
        if (manner == HALF || manner == GARBAGE)
            wait_for_end(fds[i]);
        (void)close(fds[i]);
    }
    free(fds);
    SSL_CTX_free(context);
}

int main(int argc, char **argv) {
    struct options options = {
        .bytes = 40, .connections = 1, .pause = 5, .seed = 1};
    for (;;) {
        int option = getopt(argc, argv, "+2n:b:s:c:d:o:");
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
        return 0;
    }
    /* `connect MANNER PORT` is the same as `MANNER PORT`. */
    if (argc == 3 && strcmp(argv[0], "connect") == 0) {
        argv++;
        argc--;
    }
    if (argc != 2 || options.connections < 1)
        usage();
    enum manner manner = manner_named(argv[0]);
    play_all(manner, (in_port_t)number(argv[1]), &options);
    return 0;
}
