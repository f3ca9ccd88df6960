/* 32 exercise: parts of a file. Another right answer: a pattern of
 * regcomp(3) says what a range looks like. */
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
#include <regex.h>
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
    PATIENCE_MS = 5 * 1000, /* with a client that does nothing */
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

/* The number in the text from begin on, at most limit. */
static uint64_t number_at(const char *text, regmatch_t place, uint64_t limit) {
    uint64_t number = 0;
    for (regoff_t i = place.rm_so; i < place.rm_eo; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
        if (number >= limit)
            return limit;
    }
    return number;
}

/* The pattern for a range: 0 if the text is one. */
static int match(const char *text, regmatch_t places[3]) {
    regex_t pattern;
    if (regcomp(&pattern, "^bytes=([0-9]*)-([0-9]*)$", REG_EXTENDED) != 0)
        return -1;
    int result = regexec(&pattern, text, 3, places, 0);
    regfree(&pattern);
    return result;
}

static void reply_with_file(const struct client *client,
                            const struct http_head *head,
                            const struct file *file) {
    const struct http_text *range = http_find(head, "Range");
    const struct http_text *condition = http_find(head, "If-Range");
    const uint64_t beyond = UINT64_C(1) << 60; /* no file is as large */
    uint64_t begin = 0;
    uint64_t end = file->size; /* behind the last byte */
    bool is_part = range != NULL && http_text_is(&head->method, "GET");
    if (condition != NULL &&
        (condition->length != strlen(file->etag) ||
         strncmp(condition->bytes, file->etag, condition->length) != 0))
        is_part = false;
    regmatch_t places[3] = {{0}};
    char *text = NULL;
    if (is_part) {
        text = strndup(range->bytes, range->length);
        if (text == NULL)
            err(1, "strndup");
        is_part = match(text, places) == 0;
    }
    bool has_first = is_part && places[1].rm_so < places[1].rm_eo;
    bool has_last = is_part && places[2].rm_so < places[2].rm_eo;
    uint64_t first = has_first ? number_at(text, places[1], beyond) : 0;
    uint64_t last = has_last ? number_at(text, places[2], beyond) : beyond;
    free(text);
    if (!has_first && !has_last)
        is_part = false;
    if (has_first && last < first)
        is_part = false;
    if (is_part && has_first) {
        begin = first;
        if (last < end)
            end = last + 1;
    } else if (is_part) {
        begin = last >= end ? 0 : end - last;
    }
    char line[100] = "";
    if (is_part && begin >= end) {
        snprintf(line, sizeof line, "Content-Range: bytes */%ju\r\n",
                 (uintmax_t)file->size);
        send_status(client, "416 Range Not Satisfiable", line);
        return;
    }
    const char *status = "200 OK";
    if (is_part) {
        status = "206 Partial Content";
        snprintf(line, sizeof line, "Content-Range: bytes %ju-%ju/%ju\r\n",
                 (uintmax_t)begin, (uintmax_t)end - 1, (uintmax_t)file->size);
    }
    char *reply;
    int length = asprintf(&reply,
                          "HTTP/1.1 %s\r\nETag: %s\r\n"
                          "Accept-ranges: bytes\r\n%s"
                          "Content-length: %ju\r\nConnection: close\r\n\r\n",
                          status, file->etag, line, (uintmax_t)(end - begin));
    if (length < 0)
        err(1, "asprintf");
    if (send_bytes(client, reply, (size_t)length) &&
        http_text_is(&head->method, "GET"))
        send_file(client, file, begin, end - begin);
    free(reply);
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
