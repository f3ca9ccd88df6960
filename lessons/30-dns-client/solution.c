/*
 * 30 exercise: a name server for the hosts file. One good answer.
 *
 * usage: 30-dns-client HOSTS PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "dns.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REPLY_BYTES = 512, /* no reply is longer */
    TTL_SECONDS = 60,
    PAUSE_MS = 50,
};

/* One name of an address: a line with two names becomes two of these. */
struct host {
    int family;
    uint8_t address[sizeof(struct in6_addr)];
    size_t address_bytes;
    struct dns_name name;
    struct dns_name reverse; /* the name under which one asks for the address */
};

struct hosts {
    struct host *entries; /* count of them, from malloc */
    size_t count;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 30-dns-client HOSTS PORT\n", out);
    exit(status);
}

/* ---- The file --------------------------------------------------------------
 */

/* Reads the address at the beginning of a line. Returns false if it is none. */
static bool parse_address(struct host *host, const char *text) {
    host->family = AF_INET;
    host->address_bytes = sizeof(struct in_addr);
    if (inet_pton(AF_INET, text, host->address) == 1)
        return dns_name_reverse(&host->reverse, text) == 0;
    host->family = AF_INET6;
    host->address_bytes = sizeof(struct in6_addr);
    if (inet_pton(AF_INET6, text, host->address) == 1)
        return dns_name_reverse(&host->reverse, text) == 0;
    return false;
}

static void add_host(struct hosts *hosts, const struct host *host) {
    struct host *grown = reallocarray(hosts->entries, hosts->count + 1,
                                      sizeof hosts->entries[0]);
    if (grown == NULL)
        err(1, "reallocarray");
    hosts->entries = grown;
    hosts->entries[hosts->count] = *host;
    hosts->count++;
}

/* Reads a line: an address, and its names. The line is changed. */
static void read_line(struct hosts *hosts, char *line) {
    static const char blanks[] = " \t\r\n";
    struct host host = {0};
    char *rest;
    line[strcspn(line, "#")] = '\0'; /* what follows is a comment */
    const char *word = strtok_r(line, blanks, &rest);
    if (word == NULL || !parse_address(&host, word))
        return;
    for (;;) {
        word = strtok_r(NULL, blanks, &rest);
        if (word == NULL)
            break;
        if (dns_name_parse(&host.name, word) == 0)
            add_host(hosts, &host);
    }
}

static void read_hosts(struct hosts *hosts, const char *path) {
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    while (getline(&line, &size, file) >= 0)
        read_line(hosts, line);
    if (ferror(file))
        err(1, "%s", path);
    free(line);
    (void)fclose(file); /* we have only read from it */
}

/* ---- Answering -------------------------------------------------------------
 */

/* Writes an answer to the question. Returns false when there is no room. */
static bool write_answer(struct dns_writer *writer,
                         const struct dns_question *question,
                         const uint8_t *data, size_t length) {
    return dns_write_record(writer, &question->name, question->type, DNS_IN,
                            TTL_SECONDS, data, length) == 0;
}

/* Writes the answers that the file has, and counts them in the header. Returns
 * false when they do not fit. */
static bool write_answers(struct dns_writer *writer, const struct hosts *hosts,
                          const struct dns_question *question,
                          struct dns_header *header) {
    bool exists = false;
    for (size_t i = 0; i < hosts->count; i++) {
        const struct host *host = &hosts->entries[i];
        bool has_name = dns_name_equals(&host->name, &question->name);
        bool has_address = dns_name_equals(&host->reverse, &question->name);
        if (has_name || has_address)
            exists = true;

        bool is_ipv4 = question->type == DNS_A && host->family == AF_INET;
        bool is_ipv6 = question->type == DNS_AAAA && host->family == AF_INET6;
        if (has_name && (is_ipv4 || is_ipv6)) {
            if (!write_answer(writer, question, host->address,
                              host->address_bytes))
                return false;
            header->answers++;
        }
        if (has_address && question->type == DNS_PTR) {
            if (!write_answer(writer, question, host->name.bytes,
                              host->name.length))
                return false;
            header->answers++;
        }
    }
    if (!exists)
        header->status = DNS_NO_SUCH_NAME;
    return true;
}

/* Returns what is wrong with a question, or DNS_NO_ERROR. *question is read
 * only if it could be. */
static enum dns_status read_question(struct dns_message *message,
                                     const struct dns_header *header,
                                     struct dns_question *question) {
    if (header->operation != 0)
        return DNS_NOT_IMPLEMENTED;
    if (header->questions != 1)
        return DNS_FORMAT_ERROR;
    /* No name stands before this one, so a pointer in it is an error, too. */
    if (dns_read_question(message, question) < 0)
        return DNS_FORMAT_ERROR;
    if (question->class != DNS_IN)
        return DNS_REFUSED;
    if (question->type != DNS_A && question->type != DNS_AAAA &&
        question->type != DNS_PTR)
        return DNS_REFUSED;
    return DNS_NO_ERROR;
}

/* Makes the reply to a message. Returns false when it gets none. */
static bool make_reply(struct dns_writer *writer, const struct hosts *hosts,
                       struct dns_message *message) {
    struct dns_header asked;
    struct dns_question question;
    if (dns_read_header(message, &asked) < 0)
        return false;
    if (asked.is_reply)
        return false;
    struct dns_header header = {
        .id = asked.id,
        .is_reply = true,
        .operation = asked.operation,
        .is_authoritative = true,
        .wants_recursion = asked.wants_recursion,
    };
    header.status = read_question(message, &asked, &question);
    bool has_question =
        header.status == DNS_NO_ERROR || header.status == DNS_REFUSED;
    if (has_question)
        header.questions = 1;

    /* The header is written again when we know what it has to say. */
    (void)dns_write_header(writer, &header);
    if (has_question)
        (void)dns_write_question(writer, &question);
    size_t without_answers = writer->length;
    if (header.status == DNS_NO_ERROR &&
        !write_answers(writer, hosts, &question, &header)) {
        writer->length = without_answers;
        header.answers = 0;
        header.is_cut = true;
    }
    struct dns_writer front = {.bytes = writer->bytes, .size = writer->size};
    (void)dns_write_header(&front, &header);
    return true;
}

static void serve(int fd, const struct hosts *hosts) {
    static uint8_t bytes[DNS_MESSAGE_BYTES];
    uint8_t reply[REPLY_BYTES];
    for (;;) {
        struct sockaddr_in client;
        socklen_t size = sizeof client;
        ssize_t length = recvfrom(fd, bytes, sizeof bytes, 0,
                                  (struct sockaddr *)&client, &size);
        if (length < 0) {
            warn("recvfrom");
            deadline_pause(PAUSE_MS); /* the next call may fail, too */
            continue;
        }
        struct dns_message message = {.bytes = bytes, .length = (size_t)length};
        struct dns_writer writer = {.bytes = reply, .size = sizeof reply};
        if (!make_reply(&writer, hosts, &message))
            continue;
        if (sendto(fd, reply, writer.length, 0, (struct sockaddr *)&client,
                   size) < 0)
            warn("sendto");
    }
}

/* ---- The server ------------------------------------------------------------
 */

static int open_socket(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof own;
    char text[ADDR_TEXT_BYTES];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    if (printf("listening on %s\n",
               addr_format((struct sockaddr *)&own, size, text)) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return fd;
}

int main(int argc, char **argv) {
    struct hosts hosts = {0};
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    if (addr_parse_port(argv[2], strlen(argv[2]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[2]);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    read_hosts(&hosts, argv[1]);
    int fd = open_socket(port);
    serve(fd, &hosts);
}
