/*
 * range: asks a web server for a file, or for a part of it.
 *
 *     range [-H] [-e ETAG] [-f NAME:VALUE] [-o FILE] [-p PATH] PORT [VALUE]
 *
 * Connects to 127.0.0.1 and sends a request with the field `Range: VALUE`, or
 * without one. Prints the head of the reply, without the CR at the end of its
 * lines, and then the body.
 *
 *     -H             the method is HEAD
 *     -e ETAG        there is also a field If-Range
 *     -f NAME:VALUE  there is also this field
 *     -o FILE        the body is written into FILE
 *     -p PATH        the path is not /
 *
 * Ends with status 1 if the body has another length than the head says, or if
 * no reply comes.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "http.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20 * 1000, REQUEST_BYTES = 4096, PIECE_BYTES = 65536 };

struct request {
    const char *method;
    const char *path;
    const char *range;    /* or NULL */
    const char *if_range; /* or NULL */
    const char *field;    /* or NULL */
    const char *file;     /* for the body, or NULL */
};

static _Noreturn void usage(void) {
    fputs("usage: range [-H] [-e ETAG] [-f NAME:VALUE] [-o FILE] [-p PATH] "
          "PORT [VALUE]\n",
          stderr);
    exit(2);
}

static int connect_to(const char *port_text) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    in_port_t port;
    if (addr_parse_port(port_text, strlen(port_text), 1, &port) < 0)
        errx(1, "%s is not a port", port_text);
    address.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect");
    return fd;
}

static void send_request(int fd, const struct request *request) {
    char text[REQUEST_BYTES];
    char range[REQUEST_BYTES] = "";
    char if_range[REQUEST_BYTES] = "";
    char field[REQUEST_BYTES] = "";
    size_t sent;
    if (request->range != NULL)
        (void)snprintf(range, sizeof range, "Range: %s\r\n", request->range);
    if (request->if_range != NULL)
        (void)snprintf(if_range, sizeof if_range, "If-Range: %s\r\n",
                       request->if_range);
    if (request->field != NULL)
        (void)snprintf(field, sizeof field, "%s\r\n", request->field);
    int length =
        snprintf(text, sizeof text,
                 "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                 "Connection: close\r\n%s%s%s\r\n",
                 request->method, request->path, range, if_range, field);
    if ((size_t)length >= sizeof text)
        errx(1, "the request is too long");
    if (deadline_send(deadline_after(PATIENCE_MS), fd, text, (size_t)length,
                      &sent) < 0)
        err(1, "send");
}

static size_t receive(int fd, char *bytes, size_t room) {
    ssize_t received =
        deadline_recv(deadline_after(PATIENCE_MS), fd, bytes, room);
    if (received < 0)
        err(1, "recv");
    return (size_t)received;
}

/* Receives the head of the reply, and prints it. Returns how many bytes have
 * come: there may be some of the body behind the head. */
static size_t receive_head(int fd, char *bytes, struct http_head *head) {
    enum http_result result = HTTP_UNFINISHED;
    const char *flaw;
    size_t length = 0;
    while (result == HTTP_UNFINISHED) {
        size_t received = receive(fd, bytes + length, HTTP_HEAD_BYTES - length);
        if (received == 0)
            errx(1, "the connection ended after %zu bytes", length);
        length += received;
        result = http_parse_reply(head, bytes, length, &flaw);
    }
    if (result == HTTP_BAD)
        errx(1, "the reply has %s", flaw);
    for (size_t i = 0; i < head->length; i++) {
        if (bytes[i] != '\r')
            putchar(bytes[i]);
    }
    return length;
}

/* Writes the body: what came behind the head, and what comes until the end.
 * Returns its length. */
static uint64_t write_body(int fd, const char *bytes, size_t length,
                           FILE *file) {
    char piece[PIECE_BYTES];
    uint64_t total = length;
    (void)fwrite(bytes, 1, length, file);
    for (;;) {
        size_t received = receive(fd, piece, sizeof piece);
        if (received == 0)
            return total;
        (void)fwrite(piece, 1, received, file);
        total += received;
    }
}

/* Says whether the body was as long as the head has announced. */
static int compare_length(const struct http_head *head, bool is_head,
                          uint64_t got) {
    const char *flaw;
    uint64_t length;
    switch (http_reply_framing(head, is_head, &length, &flaw)) {
    case HTTP_NO_BODY:
        length = 0;
        break;
    case HTTP_LENGTH:
        break;
    case HTTP_UNTIL_END:
        return 0;
    case HTTP_CHUNKED:
        errx(1, "the body has chunks");
    case HTTP_CONFUSED:
        errx(1, "the reply has %s", flaw);
    }
    if (got == length)
        return 0;
    warnx("the body has %llu bytes, and should have %llu",
          (unsigned long long)got, (unsigned long long)length);
    return 1;
}

static int fetch(const char *port, const struct request *request) {
    static char bytes[HTTP_HEAD_BYTES];
    static struct http_head head;
    FILE *file = stdout;
    int fd = connect_to(port);
    send_request(fd, request);
    size_t length = receive_head(fd, bytes, &head);
    if (request->file != NULL)
        file = fopen(request->file, "w");
    if (file == NULL)
        err(1, "%s", request->file);
    uint64_t got =
        write_body(fd, bytes + head.length, length - head.length, file);
    if (fflush(stdout) == EOF || fclose(file) == EOF)
        err(1, "the body");
    (void)close(fd);
    bool is_head = strcmp(request->method, "HEAD") == 0;
    return compare_length(&head, is_head, got);
}

int main(int argc, char **argv) {
    struct request request = {.method = "GET", .path = "/"};
    for (;;) {
        int option = getopt(argc, argv, "+He:f:o:p:");
        if (option == -1)
            break;
        if (option == 'H')
            request.method = "HEAD";
        else if (option == 'e')
            request.if_range = optarg;
        else if (option == 'f')
            request.field = optarg;
        else if (option == 'o')
            request.file = optarg;
        else if (option == 'p')
            request.path = optarg;
        else
            usage();
    }
    int left = argc - optind;
    if (left != 1 && left != 2)
        usage();
    if (left == 2)
        request.range = argv[optind + 1];
    return fetch(argv[optind], &request);
}
