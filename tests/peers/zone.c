/*
 * zone: a name server for the records in a file.
 *
 *     zone [-b] FILE PORT
 *
 * Each line of FILE is a record: NAME TTL TYPE DATA, such as
 * "www.example. 300 A 192.0.2.7". Empty lines and those that begin with ; are
 * passed over. All names are whole ones, with the dot at the end or without.
 *
 * It answers at 127.0.0.1, over UDP and TCP, and follows aliases (CNAME). For
 * each question it prints a line: the type, the name, and how the question
 * came. PORT 0 lets the kernel choose the port. It ends at SIGTERM.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "dns.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORDS = 1000,
    DATA_BYTES = 2048,
    LINE_BYTES = 4096,
    UDP_BYTES = 512, /* the largest reply for a client without OPT */
    MOST_ALIASES = 20,
    TRIES = 100,        /* to find a port that is free for UDP and TCP */
    PATIENCE_MS = 1000, /* with a client over TCP */
    BYTES_A_LINE = 16,
    POINTER_TO_QUESTION = 0xc00c, /* the question's name begins at byte 12 */
};

struct zone_record {
    struct dns_name name;
    uint16_t type;
    uint32_t ttl;
    uint8_t data[DATA_BYTES];
    size_t length;
};

struct zone {
    struct zone_record records[RECORDS];
    size_t count;
};

/* What we have understood of a question. */
struct request {
    struct dns_header header;
    struct dns_question question;
    size_t room; /* so many bytes may the reply have */
    const char *transport;
};

static _Noreturn void usage(void) {
    fputs("usage: zone [-b] FILE PORT\n", stderr);
    exit(2);
}

/* ---- The file --------------------------------------------------------------
 */

/* Returns the next word of a line, which must be there. */
static const char *next_word(char **rest) {
    const char *word = strtok_r(NULL, " \t\n", rest);
    if (word == NULL)
        errx(1, "a line of the file is too short");
    return word;
}

static unsigned long long next_number(char **rest, unsigned long long most) {
    const char *word = next_word(rest);
    unsigned long long number;
    if (number_parse(word, 0, most, &number) < 0)
        errx(1, "%s is not a number", word);
    return number;
}

static struct dns_name parse_name(const char *text) {
    struct dns_name name;
    if (dns_name_parse(&name, text) < 0)
        errx(1, "%s is not a name", text);
    return name;
}

static void add_bytes(struct zone_record *record, const void *bytes,
                      size_t length) {
    if (record->length + length > sizeof record->data)
        errx(1, "a record is too long");
    memcpy(record->data + record->length, bytes, length);
    record->length += length;
}

static void add_name(struct zone_record *record, char **rest) {
    struct dns_name name = parse_name(next_word(rest));
    add_bytes(record, name.bytes, name.length);
}

static void add16(struct zone_record *record, char **rest) {
    uint16_t number = htons((uint16_t)next_number(rest, UINT16_MAX));
    add_bytes(record, &number, sizeof number);
}

static void add32(struct zone_record *record, char **rest) {
    uint32_t number = htonl((uint32_t)next_number(rest, UINT32_MAX));
    add_bytes(record, &number, sizeof number);
}

static void add_address(struct zone_record *record, int family, size_t length,
                        char **rest) {
    uint8_t address[sizeof(struct in6_addr)];
    const char *word = next_word(rest);
    if (inet_pton(family, word, address) != 1)
        errx(1, "%s is not an address", word);
    add_bytes(record, address, length);
}

/* The strings of a TXT record stand in quotes, and have none within. */
static void add_strings(struct zone_record *record, char *rest) {
    char *text = strchr(rest, '"');
    while (text != NULL) {
        char *end = strchr(text + 1, '"');
        if (end == NULL || end - text - 1 > UINT8_MAX)
            errx(1, "a string has no end, or is too long");
        uint8_t length = (uint8_t)(end - text - 1);
        add_bytes(record, &length, 1);
        add_bytes(record, text + 1, length);
        text = strchr(end + 1, '"');
    }
}

static void add_data(struct zone_record *record, char *rest) {
    switch (record->type) {
    case DNS_A:
        add_address(record, AF_INET, sizeof(struct in_addr), &rest);
        break;
    case DNS_AAAA:
        add_address(record, AF_INET6, sizeof(struct in6_addr), &rest);
        break;
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR:
        add_name(record, &rest);
        break;
    case DNS_MX:
        add16(record, &rest);
        add_name(record, &rest);
        break;
    case DNS_SRV:
        add16(record, &rest);
        add16(record, &rest);
        add16(record, &rest);
        add_name(record, &rest);
        break;
    case DNS_SOA:
        add_name(record, &rest);
        add_name(record, &rest);
        for (int i = 0; i < 5; i++)
            add32(record, &rest);
        break;
    case DNS_TXT:
        add_strings(record, rest);
        break;
    default:
        errx(1, "a record has a type that zone does not know");
    }
}

static void add_record(struct zone *zone, char *line) {
    char *rest;
    const char *word = strtok_r(line, " \t\n", &rest);
    if (word == NULL || word[0] == ';')
        return;
    if (zone->count == RECORDS)
        errx(1, "there are more than %d records", RECORDS);
    struct zone_record *record = &zone->records[zone->count];
    record->name = parse_name(word);
    record->ttl = (uint32_t)next_number(&rest, UINT32_MAX);
    word = next_word(&rest);
    if (dns_type_parse(&record->type, word) < 0)
        errx(1, "%s is not a type", word);
    add_data(record, rest);
    zone->count++;
}

static void read_zone(struct zone *zone, const char *path) {
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    while (fgets(line, sizeof line, file) != NULL)
        add_record(zone, line);
    if (ferror(file))
        err(1, "%s", path);
    (void)fclose(file); /* we have only read from it */
}

/* ---- Answering -------------------------------------------------------------
 */

/* Reads a question. Returns false when it is none that we answer. */
static bool read_request(struct dns_message *message, struct request *request) {
    struct dns_record record;
    if (dns_read_header(message, &request->header) < 0)
        return false;
    if (request->header.is_reply || request->header.questions != 1)
        return false;
    if (dns_read_question(message, &request->question) < 0)
        return false;
    for (unsigned i = 0; i < request->header.additions; i++) {
        if (dns_read_record(message, &record) < 0)
            return false;
        if (record.type == DNS_OPT && request->room < record.class)
            request->room = record.class;
    }
    return true;
}

/* Writes a record. A name that is the question's becomes a pointer to it. */
static int write_answer(struct dns_writer *writer,
                        const struct request *request,
                        const struct zone_record *record) {
    static const struct dns_name nothing = {.length = 0};
    if (!dns_name_equals(&record->name, &request->question.name))
        return dns_write_record(writer, &record->name, record->type, DNS_IN,
                                record->ttl, record->data, record->length);
    if (writer->size - writer->length < 2)
        return -1;
    uint16_t pointer = htons(POINTER_TO_QUESTION);
    memcpy(writer->bytes + writer->length, &pointer, sizeof pointer);
    writer->length += sizeof pointer;
    return dns_write_record(writer, &nothing, record->type, DNS_IN, record->ttl,
                            record->data, record->length);
}

/* Returns the record that says that the name is an alias, or NULL. */
static const struct zone_record *find_alias(const struct zone *zone,
                                            const struct dns_name *name) {
    for (size_t i = 0; i < zone->count; i++) {
        const struct zone_record *record = &zone->records[i];
        if (record->type == DNS_CNAME && dns_name_equals(&record->name, name))
            return record;
    }
    return NULL;
}

/* Writes the records of a name. Returns how many, or -1 if there is no room.
 * *exists says whether there is the name at all. */
static int write_records(struct dns_writer *writer, const struct zone *zone,
                         const struct request *request,
                         const struct dns_name *name, bool *exists) {
    int count = 0;
    *exists = false;
    for (size_t i = 0; i < zone->count; i++) {
        const struct zone_record *record = &zone->records[i];
        if (!dns_name_equals(&record->name, name))
            continue;
        *exists = true;
        if (record->type != request->question.type)
            continue;
        if (write_answer(writer, request, record) < 0)
            return -1;
        count++;
    }
    return count;
}

/* Writes all answers, aliases included, and counts them in the header. Returns
 * -1 if there is no room. */
static int write_answers(struct dns_writer *writer, const struct zone *zone,
                         const struct request *request,
                         struct dns_header *header) {
    struct dns_name name = request->question.name;
    for (int i = 0; i < MOST_ALIASES; i++) {
        bool exists;
        int count = write_records(writer, zone, request, &name, &exists);
        if (count < 0)
            return -1;
        header->answers = (uint16_t)(header->answers + count);
        if (!exists)
            header->status = DNS_NO_SUCH_NAME;
        const struct zone_record *alias = find_alias(zone, &name);
        if (count > 0 || alias == NULL)
            return 0;
        if (write_answer(writer, request, alias) < 0)
            return -1;
        header->answers++;
        name.length = alias->length;
        memcpy(name.bytes, alias->data, alias->length);
    }
    return 0;
}

/* Writes the reply to a request. */
static void write_reply(struct dns_writer *writer, const struct zone *zone,
                        const struct request *request) {
    struct dns_header header = {
        .id = request->header.id,
        .is_reply = true,
        .is_authoritative = true,
        .wants_recursion = request->header.wants_recursion,
        .questions = 1,
    };
    writer->length = 0;
    (void)dns_write_header(writer, &header); /* written again at the end */
    (void)dns_write_question(writer, &request->question);
    size_t without_answers = writer->length;
    if (write_answers(writer, zone, request, &header) < 0) {
        header.answers = 0;
        header.is_cut = true;
        writer->length = without_answers;
    }
    struct dns_writer front = {.bytes = writer->bytes, .size = writer->size};
    (void)dns_write_header(&front, &header);
}

/* Prints bytes as hexadecimal numbers, and as characters where they are visible
 * ones. */
static void print_bytes(const char *title, const uint8_t *bytes,
                        size_t length) {
    printf("%s, %zu bytes:\n", title, length);
    for (size_t line = 0; line < length; line += BYTES_A_LINE) {
        printf("%4zu ", line);
        for (size_t i = line; i < line + BYTES_A_LINE; i++) {
            if (i < length)
                printf(" %02x", bytes[i]);
            else
                printf("   ");
        }
        printf("  ");
        for (size_t i = line; i < line + BYTES_A_LINE && i < length; i++)
            putchar(bytes[i] > ' ' && bytes[i] < 127 ? bytes[i] : '.');
        putchar('\n');
    }
}

static void report(const struct request *request) {
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    printf("%s %s over %s\n", dns_type_format(request->question.type, type),
           dns_name_format(&request->question.name, name), request->transport);
}

static void serve_datagram(int fd, const struct zone *zone, bool shows_bytes) {
    static uint8_t bytes[DNS_MESSAGE_BYTES];
    static uint8_t answer[DNS_MESSAGE_BYTES];
    struct sockaddr_in client;
    socklen_t size = sizeof client;
    ssize_t length =
        recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&client, &size);
    if (length < 0)
        return;
    struct dns_message message = {.bytes = bytes, .length = (size_t)length};
    struct request request = {.room = UDP_BYTES, .transport = "UDP"};
    if (!read_request(&message, &request))
        return;
    report(&request);
    struct dns_writer writer = {.bytes = answer, .size = request.room};
    write_reply(&writer, zone, &request);
    if (shows_bytes) {
        print_bytes("question", bytes, message.length);
        print_bytes("reply", answer, writer.length);
    }
    (void)sendto(fd, answer, writer.length, 0, (struct sockaddr *)&client,
                 size);
}

/* Receives exactly so many bytes. Returns false when they do not come. */
static bool receive_all(int fd, struct deadline deadline, uint8_t *bytes,
                        size_t length) {
    size_t received = 0;
    while (received < length) {
        ssize_t count =
            deadline_recv(deadline, fd, bytes + received, length - received);
        if (count <= 0)
            return false;
        received += (size_t)count;
    }
    return true;
}

/* Answers one question of a connection. Before each message stands its length,
 * in two bytes. */
static void serve_connection(int fd, const struct zone *zone) {
    static uint8_t bytes[DNS_MESSAGE_BYTES];
    static uint8_t answer[2 + DNS_MESSAGE_BYTES];
    struct deadline deadline = deadline_after(PATIENCE_MS);
    uint8_t length[2];
    if (!receive_all(fd, deadline, length, sizeof length))
        return;
    size_t size = (size_t)length[0] << 8 | length[1];
    if (!receive_all(fd, deadline, bytes, size))
        return;
    struct dns_message message = {.bytes = bytes, .length = size};
    struct request request = {.transport = "TCP"};
    if (!read_request(&message, &request))
        return;
    report(&request);
    struct dns_writer writer = {.bytes = answer + 2, .size = DNS_MESSAGE_BYTES};
    write_reply(&writer, zone, &request);
    answer[0] = (uint8_t)(writer.length >> 8);
    answer[1] = (uint8_t)writer.length;
    size_t sent;
    (void)deadline_send(deadline, fd, (const char *)answer, 2 + writer.length,
                        &sent);
}

/* ---- The server ------------------------------------------------------------
 */

/* Returns a socket that is bound there, or -1 if the port is not free. */
static int try_to_bind(int type, in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
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

static in_port_t port_of(int fd) {
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    return ntohs(own.sin_port);
}

/* Binds both sockets to the same port. A port that the kernel has chosen for
 * UDP may be in use for TCP. Then we let it choose again. Returns the port. */
static in_port_t bind_both(int *udp, int *tcp, in_port_t wanted) {
    for (int i = 0; i < TRIES; i++) {
        *udp = try_to_bind(SOCK_DGRAM, wanted);
        if (*udp < 0)
            errx(1, "port %d is not free for UDP", wanted);
        in_port_t port = port_of(*udp);
        *tcp = try_to_bind(SOCK_STREAM, port);
        if (*tcp >= 0)
            return port;
        (void)close(*udp);
    }
    errx(1, "no port is free for both UDP and TCP");
}

int main(int argc, char **argv) {
    static struct zone zone;
    unsigned long long number;
    bool shows_bytes = argc > 1 && strcmp(argv[1], "-b") == 0;
    char **arguments = argv + 1;
    if (shows_bytes)
        arguments++;
    if (argv + argc - arguments != 2)
        usage();
    if (number_parse(arguments[1], 0, UINT16_MAX, &number) < 0)
        errx(1, "%s is not a port", arguments[1]);
    read_zone(&zone, arguments[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    int udp;
    int tcp;
    in_port_t port = bind_both(&udp, &tcp, (in_port_t)number);
    if (listen(tcp, SOMAXCONN) < 0)
        err(1, "listen");
    printf("listening on 127.0.0.1:%d\n", port);
    for (;;) {
        struct pollfd waiting[] = {
            {.fd = udp, .events = POLLIN},
            {.fd = tcp, .events = POLLIN},
        };
        if (poll(waiting, 2, -1) < 0)
            continue;
        if (waiting[0].revents != 0)
            serve_datagram(udp, &zone, shows_bytes);
        if (waiting[1].revents != 0) {
            int client = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);
            if (client >= 0) {
                serve_connection(client, &zone);
                (void)close(client);
            }
        }
    }
}
