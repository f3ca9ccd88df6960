/* The whole reply into memory first, by poll and recv; then write(2). What
 * came before an error is written, too. */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "http.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct blob {
    char *bytes;
    size_t length;
};

static int milliseconds = 10000;

static struct blob slurp(const char *name) {
    struct blob b = {malloc(1), 0};
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return b;
    if (fd < 0)
        err(1, "%s", name);
    for (;;) {
        b.bytes = realloc(b.bytes, b.length + 65536);
        ssize_t n = read(fd, b.bytes + b.length, 65536);
        if (n < 0)
            err(1, "%s", name);
        if (n == 0)
            break;
        b.length += (size_t)n;
    }
    close(fd);
    return b;
}

static void spit(const char *name, int flags, const char *bytes,
                 size_t length) {
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        err(1, "%s", name);
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0)
            err(1, "%s", name);
        bytes += n;
        length -= (size_t)n;
    }
    if (close(fd) < 0)
        err(1, "%s", name);
}

/* Sends the request and receives up to the end; *why is errno, or 0. */
static struct blob talk(const char *host, const char *port, const char *request,
                        int *why) {
    struct addrinfo *list;
    struct blob b = {malloc(1), 0};
    int e = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    int fd = -1;
    if (e)
        errx(1, "%s: %s", host, gai_strerror(e));
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && deadline_connect(deadline_after(milliseconds), fd,
                                        a->ai_addr, a->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0)
        err(1, "connect");
    freeaddrinfo(list);
    size_t sent;
    if (deadline_send(deadline_after(milliseconds), fd, request,
                      strlen(request), &sent) < 0)
        err(1, "send");
    *why = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, milliseconds);
        b.bytes = realloc(b.bytes, b.length + 65536);
        ssize_t n = -1;
        errno = ETIMEDOUT;
        if (ready > 0)
            n = recv(fd, b.bytes + b.length, 65536, 0);
        if (n < 0)
            *why = errno;
        if (n <= 0)
            break;
        b.length += (size_t)n;
    }
    close(fd);
    return b;
}

/* Puts the body into *body, in place. Returns whether it is whole. */
static int cut_body(struct http_head *head, char *bytes, size_t length,
                    struct blob *body) {
    uint64_t wanted;
    const char *flaw;
    body->bytes = bytes;
    body->length = length;
    switch (http_reply_framing(head, 0, &wanted, &flaw)) {
    case HTTP_LENGTH:
        if (body->length > wanted)
            body->length = (size_t)wanted;
        return body->length == wanted;
    case HTTP_UNTIL_END:
        return 1;
    case HTTP_NO_BODY:
        body->length = 0;
        return 1;
    case HTTP_CONFUSED:
        errx(1, "%s", flaw);
    case HTTP_CHUNKED:
        break;
    }
    struct http_chunks chunks = {0};
    body->length = 0;
    while (length > 0) {
        const char *data;
        size_t used, n;
        int r =
            http_chunks_read(&chunks, bytes, length, &used, &data, &n, &flaw);
        if (r == HTTP_CHUNK_DATA) {
            memmove(body->bytes + body->length, data, n);
            body->length += n;
        }
        if (r == HTTP_CHUNK_LAST)
            return 1;
        if (r == HTTP_CHUNK_BAD)
            return 0;
        bytes += used;
        length -= used;
    }
    return 0;
}

int main(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "+t:")) != -1)
        if (option != 't' ||
            deadline_parse(optarg, strlen(optarg), &milliseconds) < 0) {
            fputs("usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE\n",
                  stderr);
            return 2;
        }
    argv += optind;
    if (argc - optind != 4) {
        fputs("usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE\n",
              stderr);
        return 2;
    }
    in_port_t number;
    if (addr_parse_port(argv[1], strlen(argv[1]), 1, &number) < 0)
        errx(1, "%s is not a port", argv[1]);
    signal(SIGPIPE, SIG_IGN);

    char *part, *tag_name, *request, *range;
    if (asprintf(&part, "%s.part", argv[3]) < 0 ||
        asprintf(&tag_name, "%s.etag", argv[3]) < 0)
        err(1, "memory");
    struct blob old = slurp(part), tag = slurp(tag_name);
    while (tag.length > 0 && tag.bytes[tag.length - 1] == '\n')
        tag.length--;
    int ranged = old.length > 0 && tag.length > 0;
    static struct http_head head;
    struct blob reply, body;
    int why;
    const char *flaw;
    for (;;) {
        if (asprintf(&range, "Range: bytes=%zu-\r\nIf-Range: %.*s\r\n",
                     old.length, (int)tag.length, tag.bytes) < 0 ||
            asprintf(&request,
                     "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n"
                     "%s\r\n",
                     argv[2], argv[0], argv[1], ranged ? range : "") < 0)
            err(1, "memory");
        reply = talk(argv[0], argv[1], request, &why);
        do {
            if (http_parse_reply(&head, reply.bytes, reply.length, &flaw) !=
                HTTP_WHOLE)
                errx(1, "no good reply: %s", why ? strerror(why) : "its end");
            reply.bytes += head.length;
            reply.length -= head.length;
        } while (head.status < 200);
        if (head.status != 416 || !ranged)
            break;
        const struct http_text *r = http_find(&head, "Content-Range");
        char complete[64];
        snprintf(complete, sizeof complete, "bytes */%zu", old.length);
        if (r && http_text_is(r, complete))
            goto finish;
        ranged = 0;
    }
    size_t total = 0;
    if (head.status == 206 && ranged) {
        const struct http_text *r = http_find(&head, "Content-Range");
        char text[128] = "";
        size_t first, last;
        if (r)
            snprintf(text, sizeof text, "%.*s", (int)r->length, r->bytes);
        if (sscanf(text, "bytes %zu-%zu/%zu", &first, &last, &total) != 3 ||
            first != old.length || last + 1 != total)
            errx(1, "a wrong range");
    } else if (head.status == 200) {
        const struct http_text *t = http_find(&head, "ETag");
        spit(part, O_TRUNC, "", 0);
        old.length = 0;
        unlink(tag_name);
        if (t && t->length > 0 && t->bytes[0] == '"') {
            spit(tag_name, O_TRUNC, t->bytes, t->length);
            spit(tag_name, O_APPEND, "\n", 1);
        }
    } else {
        errx(1, "the server says %u", head.status);
    }
    int whole = cut_body(&head, reply.bytes, reply.length, &body);
    spit(part, O_APPEND, body.bytes, body.length);
    uint64_t length;
    if (why && http_reply_framing(&head, 0, &length, &flaw) == HTTP_UNTIL_END)
        whole = 0;
    if (!whole && why)
        errx(1, "recv: %s", strerror(why));
    if (!whole || (total > 0 && old.length + body.length != total))
        errx(1, "the body is cut");
finish:
    if (rename(part, argv[3]) < 0)
        err(1, "%s", argv[3]);
    unlink(tag_name);
    return 0;
}
