/*
 * 32 exercise: parts of a file.
 *
 * A friend keeps a film on a server, and wants to jump to its middle. A player
 * then asks for a part of the file. The server of your friend always sends the
 * whole film. You teach it to send parts.
 *
 * It is called as `32-http-server FILE PORT`, and serves this one file,
 * whatever path a client asks for. The starter does this already, with a
 * thread for each client, and sends the field `ETag`. It closes each
 * connection after its reply. You write the code for ranges, in
 * `reply_with_file`. (`reply.c` of this lesson does nearly the same for the
 * server. Try the exercise first without a look at it.)
 *
 * The bytes of a file are counted from 0. In a file of 1000 bytes,
 * `bytes=0-99` means the first 100 bytes, and `bytes=900-` means all from byte
 * 900 to the end. `bytes=-100` means the last 100 bytes. `bytes=900-5000`
 * means the same as `bytes=900-`, because there is no more. `bytes=1000-`
 * means nothing that exists.
 *
 * 1. It sends the whole file when there is no Range. The status is 200. The
 *    field `Accept-Ranges: bytes` says that parts can be had.
 * 2. It sends a part from one byte to another. The status is 206. The field
 *    `Content-Range: bytes 2-4/10` has the first byte, the last byte, and the
 *    length of the whole file.
 * 3. It sends a part up to the end. An example is `bytes=900-`.
 * 4. It sends the last bytes. An example is `bytes=-100`. If the file has
 *    fewer bytes, the part is the whole file. The status is 206 then, too.
 * 5. It ends a part at the end of the file. The request may ask for bytes
 *    behind the end of the file. Then the last byte of the part is the last
 *    one of the file. This is so for `bytes=900-5000`, and for any number of
 *    digits in the place of 5000.
 * 6. It says that there is no such part, with the status 416, when the first
 *    byte is not in the file. In the field Content-Range, an asterisk (`*`)
 *    then stands in the place of `2-4`. The same holds for `bytes=-0`, for
 *    `bytes=-5` of an empty file, and for a first byte whose number does not
 *    even fit into 64 bits.
 * 7. It sends the whole file when it does not understand the Range. The status
 *    is 200. Examples are another unit than bytes, a last byte before the
 *    first one (`bytes=5-2`), no numbers (`bytes=a-b`), and several ranges
 *    (`bytes=0-1,5-6`). `bytes=50-20` is not understood either, even if the
 *    file has only 10 bytes.
 * 8. It looks at If-Range. If the text of this field is not the ETag of the
 *    file, byte for byte, the whole file is sent, with the status 200. This is
 *    so for a weak ETag and for a date, too. With such an If-Range there is no
 *    416 either: the whole file is sent, also if Range asks for a part that
 *    the file does not have.
 * 9. It ignores Range in a HEAD request. (HEAD asks for the head of the reply
 *    only.) The reply has the status 200, the length of the whole file, and no
 *    body.
 * 10. It sends a large part of a large file, byte for byte. The file may have
 *     more than 4 GiB.
 * 11. It serves others while a client takes nothing. The starter does this
 *     already.
 *
 * What is here compiles, and serves the whole file. Your part begins in
 * reply_with_file.
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
    PATIENCE_MS = 5 * 1000, /* for a head, or for each piece that we send */
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

/* Replies to a request for the file. */
static void reply_with_file(const struct client *client,
                            const struct http_head *head,
                            const struct file *file) {
    char reply[512];
    int length = snprintf(reply, sizeof reply,
                          "HTTP/1.1 200 OK\r\nETag: %s\r\n"
                          "Content-Length: %llu\r\nConnection: close\r\n\r\n",
                          file->etag, (unsigned long long)file->size);
    /* Your part: look for the field Range, and reply with a part. */
    if (!send_bytes(client, reply, (size_t)length))
        return;
    if (http_text_is(&head->method, "GET"))
        send_file(client, file, 0, file->size);
}

/* ---- The request -----------------------------------------------------------
 */

/* Reads the head of a request. Returns false when there is none. If what has
 * come is wrong, the client has been told. */
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
