/*
 * rude-dns: a name server with bad manners.
 *
 *     rude-dns [-d MS] FACE PORT
 *     rude-dns                     lists the faces
 *
 * Ask it for the A record of www.example: the true answer is 192.0.2.7, and
 * 203.0.113.66 is a lie. Some faces count on the length of that name. It
 * answers at 127.0.0.1, over UDP and TCP. PORT 0 lets the kernel choose the
 * port.
 *
 * Where the list says "then the truth", the true reply comes MS milliseconds
 * after the bad one (500).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "dns.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAUSE_MS = 500,
    LONGEST_PAUSE_MS = 60000,
    PATIENCE_MS = 5000, /* with a client over TCP */
    AGAIN_MS = 5,       /* endless sends its reply so often */
    DRIBBLE_MS = 100,
    LENGTH_BYTES = 2,
    NOTHING = -1, /* a length: not one byte is sent */
    NOISE_BYTES = 300,
    TRIES = 100, /* to find a port that is free for UDP and TCP */
};

/* Where a datagram comes from. */
enum source {
    SERVER,
    ANOTHER_PORT,
    ANOTHER_ADDRESS,
};

/* What is done with a connection. All but SAME follow a reply over UDP that
 * says it is cut. */
enum stream {
    SAME,          /* the face's reply is sent over TCP as over UDP */
    WHOLE,         /* the face's reply is sent over TCP only */
    PIECES,        /* byte by byte */
    DRIBBLE,       /* byte by byte, too slowly */
    NO_LISTENER,   /* it is refused */
    CLOSED,        /* it is closed at once */
    RESET,         /* it is reset at once */
    HALF_A_LENGTH, /* one byte is sent, then it is closed */
    HALF,          /* a half of the reply is sent, then it is closed */
    LENGTH_0,      /* a message of no bytes is sent */
    TOO_LONG,      /* the length is greater than the message */
    SILENT,        /* nothing is sent */
};

/* How a reply differs from the true one. The texts have pairs of hexadecimal
 * digits, blanks, and 61*63 for sixty-three bytes 61. */
struct face {
    const char *name;
    const char *says;
    const char *question; /* NULL: as it was asked */
    const char *records;  /* NULL: the truth */
    unsigned answers;     /* 0: one */
    unsigned id_change;   /* is added to the id */
    unsigned operation;
    unsigned status;
    unsigned copies;    /* so many more are sent, with other ids */
    int more_questions; /* than the one, in the header */
    int length;         /* so many bytes of it are sent; 0: all */
    enum source source;
    enum stream stream;
    bool is_question;   /* lacks the bit "this is a reply" */
    bool is_silent;     /* nothing is sent */
    bool is_noise;      /* any bytes, behind the true id */
    bool is_endless;    /* is sent again and again */
    bool is_cut;        /* has the bit TC */
    bool lacks_answers; /* the header says that there are none */
    bool truth_follows; /* after a pause, the true reply is sent */
    bool knows_no_opt;  /* the truth is for questions without OPT */
};

static const char truth[] = "c00c 0001 0001 0000003c 0004 c0000207";
static const char lie[] = "c00c 0001 0001 0000003c 0004 cb007142";

/* The question takes the bytes 12 to 28, so the first record begins at 29 (1d),
 * and its data, behind a pointer of two bytes, at 41 (29). */
static const struct face faces[] = {
    /* These are not for us, so a client goes on waiting. */
    {.name = "wrong-id",
     .says = "a lie with another id, then the truth",
     .id_change = 1,
     .records = lie,
     .truth_follows = true},
    {.name = "wrong-ids",
     .says = "a thousand lies with other ids, then the truth",
     .id_change = 1,
     .copies = 999,
     .records = lie,
     .truth_follows = true},
    {.name = "wrong-name",
     .says = "a lie that answers for wwx.example, then the truth",
     .question = "03 777778 07 6578616d706c65 00 0001 0001",
     .records = lie,
     .truth_follows = true},
    {.name = "longer-name",
     .says = "a lie that answers for www.example.a, then the truth",
     .question = "03 777777 07 6578616d706c65 01 61 00 0001 0001",
     .records = lie,
     .truth_follows = true},
    {.name = "wrong-type",
     .says = "a lie that answers for type AAAA, then the truth",
     .question = "03 777777 07 6578616d706c65 00 001c 0001",
     .records = lie,
     .truth_follows = true},
    {.name = "wrong-class",
     .says = "a lie that answers for class CH, then the truth",
     .question = "03 777777 07 6578616d706c65 00 0001 0003",
     .records = lie,
     .truth_follows = true},
    {.name = "question",
     .says = "a lie without the bit \"reply\", then the truth",
     .is_question = true,
     .records = lie,
     .truth_follows = true},
    {.name = "operation",
     .says = "a lie with operation 5, then the truth",
     .operation = 5,
     .records = lie,
     .truth_follows = true},
    {.name = "empty",
     .says = "an empty datagram, then the truth",
     .length = NOTHING,
     .truth_follows = true},
    {.name = "one-byte",
     .says = "a datagram of one byte, then the truth",
     .length = 1,
     .truth_follows = true},
    {.name = "eleven-bytes",
     .says = "a datagram of 11 bytes, then the truth",
     .length = 11,
     .truth_follows = true},
    {.name = "header-alone",
     .says = "a header that says there is a question, then the truth",
     .length = 12,
     .truth_follows = true},
    {.name = "cut-question",
     .says = "a reply that ends within its question, then the truth",
     .length = 27,
     .truth_follows = true},
    {.name = "no-question",
     .says = "a lie without a question, then the truth",
     .more_questions = -1,
     .question = "",
     .records = "03 777777 07 6578616d706c65 00 0001 0001 0000003c 0004 "
                "cb007142",
     .truth_follows = true},
    {.name = "two-questions",
     .says = "a lie with two questions, then the truth",
     .more_questions = 1,
     .question = "03 777777 07 6578616d706c65 00 0001 0001 c00c 001c 0001",
     .records = lie,
     .truth_follows = true},
    {.name = "pointer-in-question",
     .says = "a question that is a pointer to itself, then the truth",
     .question = "c00c 0001 0001",
     .records = lie,
     .truth_follows = true},
    {.name = "refused-with-wrong-id",
     .says = "the status \"refused\" with another id, then the truth",
     .id_change = 1,
     .status = DNS_REFUSED,
     .truth_follows = true},
    {.name = "format-error-with-wrong-id",
     .says = "a format error with another id, then the truth",
     .id_change = 1,
     .status = DNS_FORMAT_ERROR,
     .length = 12,
     .more_questions = -1,
     .truth_follows = true},
    {.name = "noise",
     .says = "any bytes behind the id, then the truth",
     .is_noise = true,
     .truth_follows = true},
    {.name = "another-port",
     .says = "a lie from another port, then the truth",
     .source = ANOTHER_PORT,
     .records = lie,
     .truth_follows = true},
    {.name = "another-address",
     .says = "a lie from 127.0.0.2, then the truth",
     .source = ANOTHER_ADDRESS,
     .records = lie,
     .truth_follows = true},
    {.name = "endless",
     .says = "lies with another id, without end",
     .id_change = 1,
     .is_endless = true,
     .records = lie},

    /* These are replies, but damaged. */
    {.name = "pointer-to-itself",
     .says = "a name that is a pointer to itself",
     .records = "c01d 0001 0001 0000003c 0004 cb007142"},
    {.name = "pointers-in-a-circle",
     .says = "two pointers that lead to each other",
     .records = "c01f c01d 0001 0001 0000003c 0004 cb007142"},
    {.name = "pointer-forward",
     .says = "a pointer to a name behind it",
     .records = "c02d 0001 0001 0000003c 0004 cb007142 "
                "03 777777 07 6578616d706c65 00"},
    {.name = "pointer-outside",
     .says = "a pointer behind the end of the reply",
     .records = "ffff 0001 0001 0000003c 0004 cb007142"},
    {.name = "pointer-into-header",
     .says = "a pointer into the header",
     .records = "c004 0001 0001 0000003c 0004 cb007142"},
    {.name = "pointer-back-to-label",
     .says = "a label, and a pointer back to it",
     .records = "01 61 c01d 0001 0001 0000003c 0004 cb007142"},
    {.name = "half-a-pointer",
     .says = "a reply that ends within a pointer",
     .records = "c0"},
    {.name = "label-outside",
     .says = "a label that is longer than the reply",
     .records = "3f 616161"},
    {.name = "no-end-of-name",
     .says = "a name without its end",
     .records = "03 777777"},
    {.name = "label-of-64",
     .says = "a length that begins with the bits 01",
     .records = "40 61*64 00 0001 0001 0000003c 0004 cb007142"},
    {.name = "label-of-128",
     .says = "a length that begins with the bits 10",
     .records = "80 61*128 00 0001 0001 0000003c 0004 cb007142"},
    {.name = "long-name",
     .says = "a name of 256 bytes",
     .records = "3f 61*63 3f 61*63 3f 61*63 3e 61*62 00 "
                "0001 0001 0000003c 0004 cb007142"},
    {.name = "long-name-by-pointer",
     .says = "a name of 256 bytes, the last of them behind a pointer",
     .records = "3f 61*63 3f 61*63 3f 61*63 32 61*50 c00c "
                "0001 0001 0000003c 0004 cb007142"},
    {.name = "no-record",
     .says = "a header that says there is an answer, and none",
     .records = ""},
    {.name = "half-a-record",
     .says = "a record that ends before its TTL",
     .records = "c00c 0001 0001 0000"},
    {.name = "one-of-two",
     .says = "one answer where the header says two",
     .answers = 2},
    {.name = "one-of-65535",
     .says = "one answer where the header says 65535",
     .answers = 65535},
    {.name = "data-outside",
     .says = "data that are longer than the reply",
     .records = "c00c 0001 0001 0000003c ffff cb007142"},
    {.name = "address-of-3",
     .says = "an IPv4 address of three bytes",
     .records = "c00c 0001 0001 0000003c 0003 cb0071"},
    {.name = "address-of-5",
     .says = "an IPv4 address of five bytes",
     .records = "c00c 0001 0001 0000003c 0005 cb00714242"},
    {.name = "address-of-0",
     .says = "an IPv4 address of no bytes",
     .records = "c00c 0001 0001 0000003c 0000"},
    {.name = "address-of-15",
     .says = "an IPv6 address of 15 bytes",
     .records = "c00c 001c 0001 0000003c 000f 20*15"},
    {.name = "alias-to-itself",
     .says = "an alias whose data are a pointer to themselves",
     .records = "c00c 0005 0001 0000003c 0002 c029"},
    {.name = "alias-with-more",
     .says = "an alias with a byte more behind it",
     .records = "c00c 0005 0001 0000003c 0003 c00c00"},
    {.name = "alias-outside",
     .says = "an alias that goes on behind its data",
     .records = "c00c 0005 0001 0000003c 0003 077777 7777777777 00"},
    {.name = "half-a-mail-server",
     .says = "an MX record of one byte",
     .records = "c00c 000f 0001 0000003c 0001 00"},
    {.name = "mail-server-without-name",
     .says = "an MX record without a name",
     .records = "c00c 000f 0001 0000003c 0002 000a"},
    {.name = "half-a-service",
     .says = "an SRV record of five bytes",
     .records = "c00c 0021 0001 0000003c 0005 0000000001"},
    {.name = "half-an-soa",
     .says = "an SOA record that ends after four numbers",
     .records = "c00c 0006 0001 0000003c 0014 c00c c00c 00*16"},
    {.name = "text-outside",
     .says = "a string that is longer than its record",
     .records = "c00c 0010 0001 0000003c 0003 056161 616161"},
    {.name = "no-text",
     .says = "a TXT record without a string",
     .records = "c00c 0010 0001 0000003c 0000"},

    /* These say no. */
    {.name = "server-failure",
     .says = "the status 2, \"server failure\"",
     .status = DNS_SERVER_FAILURE},
    {.name = "refused", .says = "the status 5, \"refused\"", .status = 5},
    {.name = "status-15", .says = "the status 15", .status = 15},
    {.name = "format-error",
     .says = "the status 1, \"format error\", whatever is asked",
     .status = DNS_FORMAT_ERROR},
    {.name = "format-error-alone",
     .says = "the same, without the question",
     .status = DNS_FORMAT_ERROR,
     .length = 12,
     .lacks_answers = true,
     .more_questions = -1},
    {.name = "not-implemented",
     .says = "the status 4, \"not implemented\", whatever is asked",
     .status = DNS_NOT_IMPLEMENTED},
    {.name = "no-opt",
     .says = "a format error if there is an OPT record; otherwise the truth",
     .status = DNS_FORMAT_ERROR,
     .length = 12,
     .lacks_answers = true,
     .more_questions = -1,
     .knows_no_opt = true},
    {.name = "silent", .says = "nothing", .is_silent = true},

    /* These are whole, but not what was asked for. */
    {.name = "another-name",
     .says = "a record for bank.example, and the truth",
     .answers = 2,
     .records = "04 62616e6b c010 0001 0001 0000003c 0004 cb007142 "
                "c00c 0001 0001 0000003c 0004 c0000207"},
    {.name = "another-name-alone",
     .says = "a record for bank.example, and no other",
     .records = "04 62616e6b c010 0001 0001 0000003c 0004 cb007142"},
    {.name = "another-class",
     .says = "a record of the class CH, and no other",
     .records = "c00c 0001 0003 0000003c 0004 cb007142"},
    {.name = "another-type",
     .says = "a record of the type TXT, and no other",
     .records = "c00c 0010 0001 0000003c 0003 02 6161"},
    {.name = "additional",
     .says = "the truth, and a lie among the additional records",
     .records = "c00c 0001 0001 0000003c 0004 c0000207 "
                "c00c 0001 0001 0000003c 0004 cb007142"},
    {.name = "opposite-order",
     .says = "an alias behind the record to which it leads",
     .answers = 2,
     .records = "03 776562 c010 0001 0001 0000003c 0004 c0000207 "
                "c00c 0005 0001 0000003c 0002 c01d"},
    {.name = "alias-and-record",
     .says = "an alias, and behind it a record of the same name",
     .answers = 2,
     .records = "c00c 0005 0001 0000003c 0006 03 776562 c010 "
                "c00c 0001 0001 0000003c 0004 c0000207"},
    {.name = "alias-of-itself",
     .says = "an alias that stands for itself",
     .records = "c00c 0005 0001 0000003c 0002 c00c"},
    {.name = "alias-to-nowhere",
     .says = "an alias of web.example, and no record of that",
     .records = "c00c 0005 0001 0000003c 0006 03 776562 c010"},
    {.name = "control-characters",
     .says = "an alias whose name would clear the screen",
     .records = "c00c 0005 0001 0000003c 000a 04 1b5b324a 02 2e5c c010"},
    {.name = "capitals",
     .says = "the truth, with a question in capital letters",
     .question = "03 575757 07 4558414d504c45 00 0001 0001"},

    /* These are cut, and what comes over TCP is bad. */
    {.name = "tcp", .says = "TC, then the truth over TCP", .stream = WHOLE},
    {.name = "tcp-pieces",
     .says = "TC, then the truth over TCP, byte by byte",
     .stream = PIECES},
    {.name = "tcp-refused",
     .says = "TC, then the connection is refused",
     .stream = NO_LISTENER},
    {.name = "tcp-closed",
     .says = "TC, then the connection is closed",
     .stream = CLOSED},
    {.name = "tcp-reset",
     .says = "TC, then the connection is reset",
     .stream = RESET},
    {.name = "tcp-half-a-length",
     .says = "TC, then one byte over TCP",
     .stream = HALF_A_LENGTH},
    {.name = "tcp-half",
     .says = "TC, then a half of the truth over TCP",
     .stream = HALF},
    {.name = "tcp-length-0",
     .says = "TC, then a message of no bytes over TCP",
     .stream = LENGTH_0},
    {.name = "tcp-too-long",
     .says = "TC, then a length over TCP that is too great by one",
     .stream = TOO_LONG},
    {.name = "tcp-silent",
     .says = "TC, then nothing over TCP",
     .stream = SILENT},
    {.name = "tcp-dribble",
     .says = "TC, then the truth over TCP, ten bytes a second",
     .stream = DRIBBLE},
    {.name = "tcp-wrong-id",
     .says = "TC, then a lie over TCP, with another id",
     .id_change = 1,
     .records = lie,
     .stream = WHOLE},
    {.name = "tcp-wrong-name",
     .says = "TC, then a lie over TCP that answers for wwx.example",
     .question = "03 777778 07 6578616d706c65 00 0001 0001",
     .records = lie,
     .stream = WHOLE},
    {.name = "tcp-cut",
     .says = "TC, then over TCP the same",
     .is_cut = true,
     .stream = SAME},
    {.name = "tcp-refusal",
     .says = "TC, then the status \"refused\" over TCP",
     .status = DNS_REFUSED,
     .stream = WHOLE},
    {.name = "tcp-pointer",
     .says = "TC, then a pointer to itself over TCP",
     .records = "c01d 0001 0001 0000003c 0004 cb007142",
     .stream = WHOLE},
};
enum { FACES = sizeof faces / sizeof faces[0] };

/* A question that we have received. */
struct request {
    struct dns_header header;
    const uint8_t *question; /* as the client wrote it */
    size_t question_length;
};

struct reply {
    uint8_t bytes[DNS_MESSAGE_BYTES];
    size_t length;
};

struct server {
    const struct face *face;
    int pause_ms;
    int udp;
    int tcp;
};

static _Noreturn void usage(void) {
    fputs("usage: rude-dns [-d MS] FACE PORT\n", stderr);
    exit(2);
}

/* ---- Replies ---------------------------------------------------------------
 */

static void add_byte(struct reply *reply, unsigned byte) {
    if (reply->length == sizeof reply->bytes)
        errx(1, "a reply is too long");
    reply->bytes[reply->length] = (uint8_t)byte;
    reply->length++;
}

/* Adds the bytes of a text of a face. */
static void add_hex(struct reply *reply, const char *text) {
    for (;;) {
        text += strspn(text, " ");
        if (*text == '\0')
            return;
        char digits[] = {text[0], text[1], '\0'};
        unsigned byte = (unsigned)strtoul(digits, NULL, 16);
        unsigned long times = 1;
        text += strlen(digits);
        if (*text == '*') {
            char *end;
            times = strtoul(text + 1, &end, 10);
            text = end;
        }
        for (unsigned long i = 0; i < times; i++)
            add_byte(reply, byte);
    }
}

static bool read_request(struct dns_message *message, struct request *request) {
    struct dns_question question;
    if (dns_read_header(message, &request->header) < 0)
        return false;
    if (request->header.questions != 1)
        return false;
    size_t begin = message->at;
    if (dns_read_question(message, &question) < 0)
        return false;
    request->question = message->bytes + begin;
    request->question_length = message->at - begin;
    return true;
}

static void make_reply(struct reply *reply, const struct request *request,
                       const struct face *face) {
    struct dns_writer writer = {
        .bytes = reply->bytes,
        .size = sizeof reply->bytes,
    };
    struct dns_header header = {
        .id = (uint16_t)(request->header.id + face->id_change),
        .is_reply = !face->is_question,
        .operation = face->operation,
        .is_cut = face->is_cut,
        .wants_recursion = true,
        .offers_recursion = true,
        .status = face->status,
        .questions = (uint16_t)(1 + face->more_questions),
        .answers = 1,
    };
    if (face->answers > 0)
        header.answers = (uint16_t)face->answers;
    if (face->lacks_answers)
        header.answers = 0;
    (void)dns_write_header(&writer, &header);
    reply->length = writer.length;
    if (face->question != NULL) {
        add_hex(reply, face->question);
    } else {
        memcpy(reply->bytes + reply->length, request->question,
               request->question_length);
        reply->length += request->question_length;
    }
    if (face->records != NULL)
        add_hex(reply, face->records);
    else
        add_hex(reply, truth);
    if (face->length == NOTHING)
        reply->length = 0;
    else if (face->length > 0)
        reply->length = (size_t)face->length;
}

/* The true id, and behind it bytes that mean nothing. The bit "this is a reply"
 * is not among them. */
static void make_noise(struct reply *reply, const struct request *request) {
    reply->length = 0;
    add_byte(reply, request->header.id >> 8);
    add_byte(reply, request->header.id & UINT8_MAX);
    for (unsigned i = 0; i < NOISE_BYTES; i++)
        add_byte(reply, i * 37 % 127);
}

/* ---- Over UDP --------------------------------------------------------------
 */

/* Returns a socket that is bound there, or -1 if the port is not free. */
static int try_to_bind(int type, in_addr_t address, in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(address),
    };
    const int on = 1;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int bind_socket(int type, in_addr_t address, in_port_t port) {
    int fd = try_to_bind(type, address, port);
    if (fd < 0)
        errx(1, "port %d is not free", port);
    return fd;
}

static in_port_t port_of(int fd) {
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    return ntohs(own.sin_port);
}

static void send_to(int fd, const struct reply *reply,
                    const struct sockaddr_in *client) {
    (void)sendto(fd, reply->bytes, reply->length, 0,
                 (const struct sockaddr *)client, sizeof *client);
}

/* Sends a reply from the place from which the face sends it. */
static void send_from(const struct server *server, const struct reply *reply,
                      const struct sockaddr_in *client) {
    int fd;
    switch (server->face->source) {
    case SERVER:
        send_to(server->udp, reply, client);
        break;
    case ANOTHER_PORT:
        fd = bind_socket(SOCK_DGRAM, INADDR_LOOPBACK, 0);
        send_to(fd, reply, client);
        (void)close(fd);
        break;
    case ANOTHER_ADDRESS:
        fd = bind_socket(SOCK_DGRAM, INADDR_LOOPBACK + 1, port_of(server->udp));
        send_to(fd, reply, client);
        (void)close(fd);
        break;
    }
}

/* Sends the same reply with other ids, but for the true one. */
static void send_copies(const struct server *server, struct reply *reply,
                        const struct request *request,
                        const struct sockaddr_in *client) {
    uint16_t id = request->header.id;
    for (unsigned i = 0; i < server->face->copies; i++) {
        id = (uint16_t)(id + 2);
        reply->bytes[0] = (uint8_t)(id >> 8);
        reply->bytes[1] = (uint8_t)id;
        send_from(server, reply, client);
    }
}

static void answer_datagram(const struct server *server,
                            const struct request *request,
                            const struct sockaddr_in *client) {
    static const struct face honest;
    static const struct face cut = {.is_cut = true};
    static struct reply reply;
    const struct face *face = server->face;
    if (face->is_silent)
        return;
    bool has_opt = request->header.additions > 0;
    if (face->stream != SAME)
        make_reply(&reply, request, &cut);
    else if (face->knows_no_opt && !has_opt)
        make_reply(&reply, request, &honest);
    else if (face->is_noise)
        make_noise(&reply, request);
    else
        make_reply(&reply, request, face);
    send_from(server, &reply, client);
    send_copies(server, &reply, request, client);
    if (face->truth_follows) {
        deadline_pause(server->pause_ms);
        make_reply(&reply, request, &honest);
        send_to(server->udp, &reply, client);
    }
    while (face->is_endless) {
        deadline_pause(AGAIN_MS);
        send_from(server, &reply, client);
    }
}

static void serve_datagram(const struct server *server) {
    static uint8_t bytes[DNS_MESSAGE_BYTES];
    struct sockaddr_in client;
    socklen_t size = sizeof client;
    ssize_t length = recvfrom(server->udp, bytes, sizeof bytes, 0,
                              (struct sockaddr *)&client, &size);
    if (length < 0)
        return;
    struct dns_message message = {.bytes = bytes, .length = (size_t)length};
    struct request request;
    if (read_request(&message, &request))
        answer_datagram(server, &request, &client);
}

/* ---- Over TCP --------------------------------------------------------------
 */

/* Sends bytes, each after a pause. */
static void dribble(struct deadline deadline, int fd, const uint8_t *bytes,
                    size_t length, int pause_ms) {
    const int on = 1;
    size_t sent;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < length; i++) {
        if (deadline_send(deadline, fd, (const char *)bytes + i, 1, &sent) < 0)
            return;
        deadline_pause(pause_ms);
    }
}

/* With this option, close sends a reset: lesson 06. */
static void make_reset(int fd) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0)
        err(1, "setsockopt SO_LINGER");
}

/* Waits until the client has closed the connection. */
static void wait_for_end(struct deadline deadline, int fd) {
    ssize_t length;
    do {
        char byte;
        length = deadline_recv(deadline, fd, &byte, sizeof byte);
    } while (length > 0);
}

static void answer_connection(const struct server *server, int fd,
                              struct deadline deadline,
                              const struct request *request) {
    static struct reply reply;
    static uint8_t bytes[LENGTH_BYTES + DNS_MESSAGE_BYTES];
    make_reply(&reply, request, server->face);
    size_t length = LENGTH_BYTES + reply.length;
    size_t said_length = reply.length;
    size_t sent;
    if (server->face->stream == TOO_LONG)
        said_length++;
    if (server->face->stream == LENGTH_0)
        said_length = 0;
    bytes[0] = (uint8_t)(said_length >> 8);
    bytes[1] = (uint8_t)said_length;
    memcpy(bytes + LENGTH_BYTES, reply.bytes, reply.length);
    switch (server->face->stream) {
    case SAME:
    case WHOLE:
    case LENGTH_0:
    case TOO_LONG:
        (void)deadline_send(deadline, fd, (const char *)bytes, length, &sent);
        break;
    case HALF:
        (void)deadline_send(deadline, fd, (const char *)bytes, length / 2,
                            &sent);
        break;
    case HALF_A_LENGTH:
        (void)deadline_send(deadline, fd, (const char *)bytes, 1, &sent);
        break;
    case PIECES:
        dribble(deadline, fd, bytes, length, 1);
        break;
    case DRIBBLE:
        dribble(deadline, fd, bytes, length, DRIBBLE_MS);
        break;
    case RESET:
        make_reset(fd);
        break;
    case SILENT:
        wait_for_end(deadline, fd);
        break;
    case CLOSED:
    case NO_LISTENER:
        break;
    }
}

/* The question over TCP is read by one call: it is small, and so it comes at
 * once. */
static void serve_connection(const struct server *server, int fd) {
    uint8_t bytes[LENGTH_BYTES + DNS_HEADER_BYTES + 2 * DNS_NAME_BYTES];
    struct deadline deadline = deadline_after(PATIENCE_MS);
    struct request request;
    ssize_t length = deadline_recv(deadline, fd, bytes, sizeof bytes);
    if (length < LENGTH_BYTES)
        return;
    struct dns_message message = {
        .bytes = bytes + LENGTH_BYTES,
        .length = (size_t)length - LENGTH_BYTES,
    };
    if (read_request(&message, &request))
        answer_connection(server, fd, deadline, &request);
}

/* ---- The server ------------------------------------------------------------
 */

static const struct face *face_named(const char *name) {
    for (size_t i = 0; i < FACES; i++) {
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    }
    errx(2, "no face is called %s; `rude-dns` lists them", name);
}

static void print_faces(void) {
    for (size_t i = 0; i < FACES; i++)
        printf("%-26s  %s\n", faces[i].name, faces[i].says);
}

static unsigned long long number_up_to(const char *text,
                                       unsigned long long most) {
    unsigned long long number;
    if (number_parse(text, 0, most, &number) < 0)
        usage();
    return number;
}

/* Binds both sockets to the same port. A port that the kernel has chosen for
 * UDP may be in use for TCP. Then we let it choose again. Returns the port. */
static in_port_t bind_both(struct server *server, in_port_t wanted) {
    for (int i = 0; i < TRIES; i++) {
        server->udp = bind_socket(SOCK_DGRAM, INADDR_LOOPBACK, wanted);
        in_port_t port = port_of(server->udp);
        server->tcp = try_to_bind(SOCK_STREAM, INADDR_LOOPBACK, port);
        if (server->tcp >= 0)
            return port;
        (void)close(server->udp);
    }
    errx(1, "no port is free for both UDP and TCP");
}

static void serve(const struct server *server) {
    for (;;) {
        struct pollfd waiting[] = {
            {.fd = server->udp, .events = POLLIN},
            {.fd = server->tcp, .events = POLLIN},
        };
        nfds_t count = 2;
        if (server->face->stream == NO_LISTENER)
            count = 1;
        if (poll(waiting, count, -1) < 0)
            continue;
        if (waiting[0].revents != 0)
            serve_datagram(server);
        if (waiting[1].revents != 0) {
            int client = accept4(server->tcp, NULL, NULL, SOCK_CLOEXEC);
            if (client >= 0) {
                serve_connection(server, client);
                (void)close(client);
            }
        }
    }
}

int main(int argc, char **argv) {
    struct server server = {.pause_ms = PAUSE_MS};
    for (;;) {
        int option = getopt(argc, argv, "+d:");
        if (option == -1)
            break;
        if (option == 'd')
            server.pause_ms = (int)number_up_to(optarg, LONGEST_PAUSE_MS);
        else
            usage();
    }
    if (argc == 1) {
        print_faces();
        return 0;
    }
    if (argc - optind != 2)
        usage();
    server.face = face_named(argv[optind]);
    in_port_t port = (in_port_t)number_up_to(argv[optind + 1], UINT16_MAX);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    port = bind_both(&server, port);
    if (server.face->stream != NO_LISTENER && listen(server.tcp, SOMAXCONN) < 0)
        err(1, "listen");
    printf("listening on 127.0.0.1:%d\n", port);
    serve(&server);
}
