/*
 * ask-dns: sends a message to a name server at 127.0.0.1, and prints the reply.
 *
 *     ask-dns [OPTION...] PORT NAME TYPE
 *     ask-dns [OPTION...] -x HEX PORT
 *
 * The second form sends these bytes, in hexadecimal digits, instead of a
 * question. The options change the message:
 *
 *     -i ID         its id, 0 to 65535 (4660)
 *     -b BITS       the bits of its header, in hexadecimal digits (0100)
 *     -c CLASS      the class of the question (1)
 *     -n COUNT      how many questions its header says there are (1)
 *     -l LENGTH     only so many bytes of it are sent
 *     -o            it has an OPT record, for replies of 4096 bytes
 *     -e            no reply is expected. A second question is sent at once,
 * and when its reply comes first, that is the end -t MS         waits so long
 * for a reply (1000)
 *
 * It prints the id and the status of the reply, the bits that are set, its
 * question, each answer, and its length. It ends with status 1 if no reply has
 * come; with -e, that is not an error.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "dns.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DEFAULT_ID = 0x1234,
    SECOND_ID = 0x4321, /* of the question that -e sends */
    WANTS_RECURSION = 0x0100,
    PATIENCE_MS = 1000,
    LONGEST_MS = 60000,
    OPT_BYTES = 4096,
    MESSAGE_BYTES = 65507, /* the largest datagram */
};

struct options {
    unsigned id;
    unsigned bits;
    unsigned class;
    unsigned questions;
    size_t length; /* so many bytes are sent */
    bool has_opt;
    bool expects_none;
    int patience_ms;
    const char *hex; /* or NULL */
};

static _Noreturn void usage(void) {
    fputs("usage: ask-dns [-eo] [-i ID] [-b BITS] [-c CLASS] [-n COUNT] "
          "[-l LENGTH]\n"
          "               [-t MS] PORT NAME TYPE\n"
          "       ask-dns [-e] [-t MS] -x HEX PORT\n",
          stderr);
    exit(2);
}

static unsigned number_up_to(const char *text, unsigned long long most) {
    unsigned long long number;
    if (number_parse(text, 0, most, &number) < 0)
        usage();
    return (unsigned)number;
}

static void set_option(struct options *options, int option) {
    switch (option) {
    case 'i':
        options->id = number_up_to(optarg, UINT16_MAX);
        break;
    case 'b':
        options->bits = (unsigned)strtoul(optarg, NULL, 16);
        break;
    case 'c':
        options->class = number_up_to(optarg, UINT16_MAX);
        break;
    case 'n':
        options->questions = number_up_to(optarg, UINT16_MAX);
        break;
    case 'l':
        options->length = number_up_to(optarg, MESSAGE_BYTES);
        break;
    case 'o':
        options->has_opt = true;
        break;
    case 'e':
        options->expects_none = true;
        break;
    case 't':
        options->patience_ms = (int)number_up_to(optarg, LONGEST_MS);
        break;
    case 'x':
        options->hex = optarg;
        break;
    default:
        usage();
    }
}

static void write_hex(struct dns_writer *writer, const char *text) {
    for (;;) {
        text += strspn(text, " ");
        if (*text == '\0')
            return;
        char digits[] = {text[0], text[1], '\0'};
        if (writer->length == writer->size)
            errx(1, "too many bytes");
        writer->bytes[writer->length] = (uint8_t)strtoul(digits, NULL, 16);
        writer->length++;
        text += strlen(digits);
    }
}

/* The bits are written over those that dns_write_header has written: they may
 * be any. */
static void write_question(struct dns_writer *writer,
                           const struct options *options, const char *name,
                           const char *type) {
    static const struct dns_name root = {.length = 1};
    struct dns_header header = {
        .id = (uint16_t)options->id,
        .questions = (uint16_t)options->questions,
    };
    struct dns_question question = {.class = (uint16_t)options->class};
    if (options->has_opt)
        header.additions = 1;
    if (dns_name_parse(&question.name, name) < 0)
        err(1, "%s", name);
    if (dns_type_parse(&question.type, type) < 0)
        err(1, "%s", type);
    (void)dns_write_header(writer, &header);
    writer->bytes[2] = (uint8_t)(options->bits >> 8);
    writer->bytes[3] = (uint8_t)options->bits;
    (void)dns_write_question(writer, &question);
    if (options->has_opt)
        (void)dns_write_record(writer, &root, DNS_OPT, OPT_BYTES, 0, NULL, 0);
    if (options->length < writer->length)
        writer->length = options->length;
}

/* ---- The reply -------------------------------------------------------------
 */

static void print_header(const struct dns_header *header) {
    printf("id %d status %u", header->id, header->status);
    if (header->is_reply)
        printf(" reply");
    if (header->operation != 0)
        printf(" operation %u", header->operation);
    if (header->is_authoritative)
        printf(" authoritative");
    if (header->is_cut)
        printf(" cut");
    if (header->wants_recursion)
        printf(" wants-recursion");
    if (header->offers_recursion)
        printf(" offers-recursion");
    putchar('\n');
}

/* Returns false when there is something in the message that is wrong. */
static bool print_question(struct dns_message *message) {
    struct dns_question question;
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    if (dns_read_question(message, &question) < 0)
        return false;
    printf("question %s class %d %s\n", dns_name_format(&question.name, name),
           question.class, dns_type_format(question.type, type));
    return true;
}

static bool print_answer(struct dns_message *message) {
    static char data[DNS_DATA_TEXT_BYTES];
    struct dns_record record;
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    if (dns_read_record(message, &record) < 0)
        return false;
    if (dns_data_format(message, &record, data) < 0)
        return false;
    printf("answer %s %u class %d %s %s\n", dns_name_format(&record.name, name),
           record.ttl, record.class, dns_type_format(record.type, type), data);
    return true;
}

static bool print_message(struct dns_message *message) {
    struct dns_header header;
    if (dns_read_header(message, &header) < 0)
        return false;
    print_header(&header);
    for (unsigned i = 0; i < header.questions; i++) {
        if (!print_question(message))
            return false;
    }
    for (unsigned i = 0; i < header.answers; i++) {
        if (!print_answer(message))
            return false;
    }
    if (header.authorities == 0 && header.additions == 0 &&
        message->at != message->length) {
        printf("%zu bytes too many\n", message->length - message->at);
        return true;
    }
    return true;
}

static void print_reply(const uint8_t *bytes, size_t length) {
    struct dns_message message = {.bytes = bytes, .length = length};
    if (!print_message(&message))
        puts("the reply is damaged");
    printf("%zu bytes\n", length);
}

/* ---- Asking ----------------------------------------------------------------
 */

static int connect_to(in_port_t port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect");
    return fd;
}

/* Sends an ordinary question, which every name server answers. */
static void send_second_question(int fd) {
    uint8_t bytes[DNS_HEADER_BYTES + DNS_NAME_BYTES + 4];
    const struct options options = {
        .id = SECOND_ID,
        .bits = WANTS_RECURSION,
        .class = DNS_IN,
        .questions = 1,
        .length = MESSAGE_BYTES,
    };
    struct dns_writer writer = {.bytes = bytes, .size = sizeof bytes};
    write_question(&writer, &options, "second.example", "A");
    if (send(fd, writer.bytes, writer.length, 0) < 0)
        err(1, "send");
}

static bool is_second_reply(const uint8_t *bytes, ssize_t length) {
    return length >= DNS_HEADER_BYTES && bytes[0] == SECOND_ID >> 8 &&
           bytes[1] == (SECOND_ID & UINT8_MAX);
}

/* Returns the status of the program. */
static int receive_reply(int fd, const struct options *options) {
    static uint8_t bytes[DNS_MESSAGE_BYTES];
    struct deadline deadline = deadline_after(options->patience_ms);
    ssize_t length = deadline_recv(deadline, fd, bytes, sizeof bytes);
    if (length < 0 && errno == ETIMEDOUT) {
        if (options->expects_none)
            puts("no reply to the next question");
        else
            puts("no reply");
        return 1;
    }
    if (length < 0)
        err(1, "recv");
    if (options->expects_none && is_second_reply(bytes, length)) {
        puts("no reply");
        return 0;
    }
    print_reply(bytes, (size_t)length);
    return 0;
}

int main(int argc, char **argv) {
    static uint8_t bytes[MESSAGE_BYTES];
    struct dns_writer writer = {.bytes = bytes, .size = sizeof bytes};
    struct options options = {
        .id = DEFAULT_ID,
        .bits = WANTS_RECURSION,
        .class = DNS_IN,
        .questions = 1,
        .length = sizeof bytes,
        .patience_ms = PATIENCE_MS,
    };
    for (;;) {
        int option = getopt(argc, argv, "+b:c:ei:l:n:ot:x:");
        if (option == -1)
            break;
        set_option(&options, option);
    }
    argc -= optind;
    argv += optind;
    if (options.hex != NULL && argc == 1)
        write_hex(&writer, options.hex);
    else if (options.hex == NULL && argc == 3)
        write_question(&writer, &options, argv[1], argv[2]);
    else
        usage();
    int fd = connect_to((in_port_t)number_up_to(argv[0], UINT16_MAX));
    if (send(fd, writer.bytes, writer.length, 0) < 0)
        err(1, "send");
    if (options.expects_none)
        send_second_question(fd);
    return receive_reply(fd, &options);
}
