/*
 * 32 exercise: parts of a file. One good answer.
 *
 * usage: 32-http-server FILE PORT
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "http.h"
#include "listener.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD_BYTES = 8192,
    PIECE_BYTES = 65536,
    ETAG_BYTES = 64,
    PATIENCE_MS = 5 * 1000, /* for a head, and for each send */
    PAUSE_MS = 100,         /* after a call that failed */
};

/* One client, which has a thread of its own. */
struct client {
    int fd;
    const char *path; /* of the file that we serve */
};

/* The file, as it is when a request comes. */
struct file {
    int fd;
    uint64_t size;
    char etag[ETAG_BYTES]; /* with its quotes; it changes when the file does */
};

/* What a client wants of the file. */
enum wish {
    ALL, /* there is no range, or none that we understand */
    PART,
    NO_PART, /* the file has no such bytes */
};

struct range {
    uint64_t first;
    uint64_t length;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 32-http-server FILE PORT\n", out);
    exit(status);
}

/* ---- Sending ---------------------------------------------------------------
 */

static bool send_bytes(const struct client *client, const char *bytes,
                       size_t length) {
    size_t sent;
    return deadline_send(deadline_after(PATIENCE_MS), client->fd, bytes, length,
                         &sent) == 0;
}

/* Sends length bytes of the file, from the byte number first on. */
static void send_file(const struct client *client, const struct file *file,
                      uint64_t first, uint64_t length) {
    static _Thread_local char piece[PIECE_BYTES];
    while (length > 0) {
        size_t wanted = sizeof piece;
        if (wanted > length)
            wanted = (size_t)length;
        ssize_t got = pread(file->fd, piece, wanted, (off_t)first);
        if (got <= 0)
            return; /* the client sees that the body is cut */
        if (!send_bytes(client, piece, (size_t)got))
            return;
        first += (uint64_t)got;
        length -= (uint64_t)got;
    }
}

/* Sends a reply that says only its status. */
static void send_status(const struct client *client, const char *status,
                        const char *fields) {
    char reply[512];
    int length = snprintf(reply, sizeof reply,
                          "HTTP/1.1 %s\r\n%sContent-Length: 0\r\n"
                          "Connection: close\r\n\r\n",
                          status, fields);
    (void)send_bytes(client, reply, (size_t)length);
}

/* ---- Ranges ----------------------------------------------------------------
 */

/* Takes a number in digits out of the beginning of a text. One that is too
 * large becomes the largest that there is. Returns false if there is no digit.
 */
static bool take_number(struct http_text *text, uint64_t *number) {
    size_t digits = 0;
    *number = 0;
    while (digits < text->length && text->bytes[digits] >= '0' &&
           text->bytes[digits] <= '9') {
        unsigned digit = (unsigned)(text->bytes[digits] - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            *number = UINT64_MAX;
        else
            *number = *number * 10 + digit;
        digits++;
    }
    text->bytes += digits;
    text->length -= digits;
    return digits > 0;
}

/* Takes these characters out of the beginning of a text. */
static bool take_text(struct http_text *text, const char *wanted) {
    size_t length = strlen(wanted);
    if (text->length < length || memcmp(text->bytes, wanted, length) != 0)
        return false;
    text->bytes += length;
    text->length -= length;
    return true;
}

/* "-500": the last 500 bytes. */
static enum wish read_last_bytes(struct http_text text, uint64_t size,
                                 struct range *range) {
    uint64_t count;
    if (!take_number(&text, &count) || text.length > 0)
        return ALL;
    if (count == 0 || size == 0)
        return NO_PART;
    if (count > size)
        count = size;
    range->first = size - count;
    range->length = count;
    return PART;
}

/* Reads the value of a field Range, such as "bytes=100-199". */
static enum wish read_range(struct http_text text, uint64_t size,
                            struct range *range) {
    uint64_t first;
    uint64_t last = UINT64_MAX;
    if (!take_text(&text, "bytes="))
        return ALL;
    if (take_text(&text, "-"))
        return read_last_bytes(text, size, range);
    if (!take_number(&text, &first) || !take_text(&text, "-"))
        return ALL;
    if (text.length > 0 && !take_number(&text, &last))
        return ALL;
    if (text.length > 0 || last < first)
        return ALL;
    if (first >= size)
        return NO_PART;
    if (last >= size)
        last = size - 1;
    range->first = first;
    range->length = last - first + 1;
    return PART;
}

/* Decides what the client wants. With another ETag in If-Range, its part is of
 * another file, so it needs all of this one. */
static enum wish read_wish(const struct http_head *head,
                           const struct file *file, struct range *range) {
    const struct http_text *value = http_find(head, "Range");
    const struct http_text *etag = http_find(head, "If-Range");
    if (value == NULL || !http_text_is(&head->method, "GET"))
        return ALL;
    if (etag != NULL) {
        bool is_same = etag->length == strlen(file->etag) &&
                       memcmp(etag->bytes, file->etag, etag->length) == 0;
        if (!is_same)
            return ALL;
    }
    return read_range(*value, file->size, range);
}

/* Replies to a request for the file. */
static void reply_with_file(const struct client *client,
                            const struct http_head *head,
                            const struct file *file) {
    struct range range = {.first = 0, .length = file->size};
    const char *status = "200 OK";
    char fields[128] = "";
    char reply[512];
    switch (read_wish(head, file, &range)) {
    case ALL:
        break;
    case PART:
        status = "206 Partial Content";
        (void)snprintf(fields, sizeof fields,
                       "Content-Range: bytes %llu-%llu/%llu\r\n",
                       (unsigned long long)range.first,
                       (unsigned long long)(range.first + range.length - 1),
                       (unsigned long long)file->size);
        break;
    case NO_PART:
        (void)snprintf(fields, sizeof fields, "Content-Range: bytes */%llu\r\n",
                       (unsigned long long)file->size);
        send_status(client, "416 Range Not Satisfiable", fields);
        return;
    }
    int length =
        snprintf(reply, sizeof reply,
                 "HTTP/1.1 %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n"
                 "%sContent-Length: %llu\r\nConnection: close\r\n\r\n",
                 status, file->etag, fields, (unsigned long long)range.length);
    if (!send_bytes(client, reply, (size_t)length))
        return;
    if (http_text_is(&head->method, "GET"))
        send_file(client, file, range.first, range.length);
}

/* ---- The request -----------------------------------------------------------
 */

/* Reads the head of a request. Returns false when there is none. If something
 * came that is no head, the client has been told. */
static bool receive_head(const struct client *client, char bytes[HEAD_BYTES],
                         struct http_head *head) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    size_t length = 0;
    const char *flaw;
    for (;;) {
        ssize_t received = deadline_recv(deadline, client->fd, bytes + length,
                                         HEAD_BYTES - length);
        if (received <= 0)
            return false;
        length += (size_t)received;
        enum http_result result =
            http_parse_request(head, bytes, length, &flaw);
        if (result == HTTP_WHOLE)
            return true;
        if (result == HTTP_BAD || length == HEAD_BYTES) {
            send_status(client, "400 Bad Request", "");
            return false;
        }
    }
}

/* Opens the file. Returns false when it cannot be opened. */
static bool open_file(const struct client *client, struct file *file) {
    struct stat status;
    file->fd = open(client->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0) {
        warn("%s", client->path);
        return false;
    }
    if (fstat(file->fd, &status) < 0) {
        warn("%s", client->path);
        (void)close(file->fd);
        return false;
    }
    file->size = (uint64_t)status.st_size;
    (void)snprintf(file->etag, sizeof file->etag, "\"%llx-%lx-%llx\"",
                   (unsigned long long)status.st_mtim.tv_sec,
                   (unsigned long)status.st_mtim.tv_nsec,
                   (unsigned long long)status.st_size);
    return true;
}

static void serve_client(const struct client *client) {
    char bytes[HEAD_BYTES];
    struct http_head head;
    struct file file;
    if (!receive_head(client, bytes, &head))
        return;
    if (!http_text_is(&head.method, "GET") &&
        !http_text_is(&head.method, "HEAD")) {
        send_status(client, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
        return;
    }
    if (!open_file(client, &file)) {
        send_status(client, "404 Not Found", "");
        return;
    }
    reply_with_file(client, &head, &file);
    (void)close(file.fd);
}

static void *run_client(void *argument) {
    struct client *client = argument;
    serve_client(client);
    (void)close(client->fd);
    free(client);
    return NULL;
}

static void start_client(int fd, const char *path) {
    pthread_t thread;
    struct client *client = malloc(sizeof *client);
    if (client == NULL)
        err(1, "malloc");
    client->fd = fd;
    client->path = path;
    int error = pthread_create(&thread, NULL, run_client, client);
    if (error == 0) {
        (void)pthread_detach(thread);
        return;
    }
    warnx("pthread_create: %s", strerror(error));
    (void)close(fd);
    free(client);
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (listener_announce(fd, &failed) < 0)
        err(1, "%s", failed);
    return fd;
}

int main(int argc, char **argv) {
    in_port_t port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    if (addr_parse_port(argv[2], strlen(argv[2]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[2]);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */
    int listener = listen_on(port);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            start_client(fd, argv[1]);
            continue;
        }
        warn("accept");
        deadline_pause(PAUSE_MS); /* the next call may fail, too */
    }
}
