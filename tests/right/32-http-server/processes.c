/* 32 exercise: parts of a file. Another right answer: each client has
 * a process, and the kernel sends the file. */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "http.h"
#include "listener.h"

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
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD_BYTES = 8192,
    ETAG_BYTES = 64,
    PATIENCE_MS = 5 * 1000, /* with a client that does nothing */
    PAUSE_MS = 100,         /* after a call that failed */
};

/* One client, which has a process of its own. */
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

/* Sends length bytes of the file, from the byte number first on. Each client
 * has a process of its own, so sendfile may block. */
static void send_file(const struct client *client, const struct file *file,
                      uint64_t first, uint64_t length) {
    off_t at = (off_t)first;
    while (length > 0) {
        ssize_t sent = sendfile(client->fd, file->fd, &at, length);
        if (sent <= 0)
            return;
        length -= (uint64_t)sent;
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

/* The bytes of a part are those from begin to end, without that at end. */
struct part {
    uint64_t begin;
    uint64_t end;
};

/* Moves *at over the digits there, and adds them up. A number never becomes
 * larger than the limit. Returns how many digits there were. */
static int read_number(const char **at, const char *stop, uint64_t limit,
                       uint64_t *number) {
    int digits = 0;
    *number = 0;
    for (; *at < stop && **at >= '0' && **at <= '9'; (*at)++) {
        *number = *number * 10 + (uint64_t)(**at - '0');
        if (*number > limit)
            *number = limit;
        digits++;
    }
    return digits;
}

/* 1 for a part, 0 for the whole file. The part is empty if it has no byte. */
static int read_part(const struct http_text *value, uint64_t size,
                     struct part *part) {
    /* A number of one more digit must not become larger than UINT64_MAX. */
    const uint64_t limit = UINT64_MAX / 16;
    const char *at = value->bytes;
    const char *stop = value->bytes + value->length;
    uint64_t first;
    uint64_t last;
    if (value->length < 7 || memcmp(at, "bytes=", 6) != 0)
        return 0;
    at += 6;
    int first_digits = read_number(&at, stop, limit, &first);
    if (at == stop || *at != '-')
        return 0;
    at++;
    int last_digits = read_number(&at, stop, limit, &last);
    if (at != stop || first_digits + last_digits == 0)
        return 0;
    if (first_digits == 0) {
        part->begin = last < size ? size - last : 0;
        return 1;
    }
    if (last_digits > 0 && last < first)
        return 0;
    part->begin = first;
    if (last_digits > 0 && last < size)
        part->end = last + 1;
    return 1;
}

static void reply_with_file(const struct client *client,
                            const struct http_head *head,
                            const struct file *file) {
    const struct http_text *value = http_find(head, "Range");
    const struct http_text *etag = http_find(head, "If-Range");
    struct part part = {0, file->size};
    int is_get = http_text_is(&head->method, "GET");
    int is_part = 0;
    char field[128] = "";
    char reply[512];
    if (is_get && value != NULL &&
        (etag == NULL || (etag->length == strlen(file->etag) &&
                          memcmp(etag->bytes, file->etag, etag->length) == 0)))
        is_part = read_part(value, file->size, &part);
    if (is_part && part.begin >= part.end) {
        sprintf(field, "Content-Range: bytes */%llu\r\n",
                (unsigned long long)file->size);
        send_status(client, "416 Range Not Satisfiable", field);
        return;
    }
    if (is_part)
        sprintf(field, "Content-Range: bytes %llu-%llu/%llu\r\n",
                (unsigned long long)part.begin,
                (unsigned long long)part.end - 1,
                (unsigned long long)file->size);
    int length = sprintf(reply,
                         "HTTP/1.1 %s\r\nETag: %s\r\n%s"
                         "Accept-Ranges: bytes\r\n"
                         "Content-Length: %llu\r\nConnection: close\r\n\r\n",
                         is_part ? "206 Partial Content" : "200 OK", file->etag,
                         field, (unsigned long long)(part.end - part.begin));
    if (send_bytes(client, reply, (size_t)length) && is_get)
        send_file(client, file, part.begin, part.end - part.begin);
}

/* ---- The request -----------------------------------------------------------
 */

/* Reads the head of a request. Returns false when there is none, and the client
 * has been told. */
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

static void start_client(int fd, const char *path) {
    const struct client client = {.fd = fd, .path = path};
    pid_t child = fork();
    if (child < 0)
        warn("fork");
    if (child == 0) {
        serve_client(&client);
        _exit(0);
    }
    close(fd);
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
    (void)signal(SIGCHLD, SIG_IGN); /* nobody waits for the processes */
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
