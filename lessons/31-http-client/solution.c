/*
 * 31 exercise: a download that goes on where it was cut. One good answer.
 *
 * usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "dial.h"
#include "http.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEFAULT_PATIENCE_MS = 10 * 1000,
    NAME_BYTES = 4096,
    ETAG_BYTES = 1024,
    REQUEST_BYTES = 16384,
};

struct download {
    const char *host;
    const char *port;
    const char *path;
    int patience_ms;            /* we wait so long for the next bytes */
    const char *file;           /* its name, when it is whole */
    char part[NAME_BYTES];      /* its name until then */
    char etag_file[NAME_BYTES]; /* the file with its ETag */
    uint64_t have;              /* so many bytes we have of it */
    uint64_t total;             /* and it has so many, as a 206 says */
    char etag[ETAG_BYTES];      /* or "" */
};

/* A connection, and the bytes that have come and are not read yet. */
struct connection {
    int fd;
    int patience_ms;
    size_t begin;
    size_t end;
    char buffer[HTTP_HEAD_BYTES];
};

/* What a reply means for the file. */
enum meaning {
    THE_REST,    /* the body belongs behind what we have */
    ALL_OF_IT,   /* the body is the whole file */
    COMPLETE,    /* we have had it all */
    START_AGAIN, /* what we have is of no use */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE\n", out);
    exit(status);
}

/* ---- What we have ----------------------------------------------------------
 */

static void make_name(char *name, const char *file, const char *ending) {
    int length = snprintf(name, NAME_BYTES, "%s%s", file, ending);
    if (length >= NAME_BYTES)
        errx(1, "%s: the name is too long", file);
}

/* Reads the ETag that the last run has kept. Without it, the part is of no use,
 * because nobody can say whether the file is still the same. */
static void read_etag(struct download *download) {
    FILE *file = fopen(download->etag_file, "re");
    if (file == NULL && errno == ENOENT)
        return;
    if (file == NULL)
        err(1, "%s", download->etag_file);
    if (fgets(download->etag, sizeof download->etag, file) == NULL)
        download->etag[0] = '\0';
    download->etag[strcspn(download->etag, "\n")] = '\0';
    (void)fclose(file); /* we have only read from it */
}

static void look_at_part(struct download *download) {
    struct stat part;
    read_etag(download);
    if (stat(download->part, &part) == 0)
        download->have = (uint64_t)part.st_size;
    else if (errno != ENOENT)
        err(1, "%s", download->part);
    if (download->etag[0] == '\0')
        download->have = 0;
}

/* Keeps the ETag of a file that has just begun. A weak one says only that two
 * files mean the same. Their bytes may differ: RFC 9110, section 8.8.1. */
static void keep_etag(const struct download *download,
                      const struct http_head *head) {
    const struct http_text *etag = http_find(head, "ETag");
    bool is_strong = etag != NULL && etag->length >= 2 &&
                     etag->length < ETAG_BYTES && etag->bytes[0] == '"';
    if (!is_strong) {
        if (unlink(download->etag_file) < 0 && errno != ENOENT)
            err(1, "%s", download->etag_file);
        return;
    }
    FILE *file = fopen(download->etag_file, "we");
    if (file == NULL)
        err(1, "%s", download->etag_file);
    (void)fprintf(file, "%.*s\n", (int)etag->length, etag->bytes);
    bool is_written = fflush(file) == 0;
    if (fclose(file) == EOF || !is_written)
        err(1, "%s", download->etag_file);
}

/* ---- The request and the head of the reply ---------------------------------
 */

static int connect_to(const struct download *download) {
    struct dial dial = {
        .host = download->host,
        .port = download->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = deadline_after(download->patience_ms),
    };
    int fd = dial_connect(&dial);
    if (fd < 0 && dial.lookup_error != 0)
        errx(1, "%s: %s", download->host, gai_strerror(dial.lookup_error));
    if (fd < 0)
        err(1, "connect %s port %s", download->host, download->port);
    return fd;
}

/* With If-Range, the server sends the rest only if the file is still the same:
 * RFC 9110, section 13.1.5. */
static void send_request(const struct connection *connection,
                         const struct download *download) {
    char request[REQUEST_BYTES];
    char range[ETAG_BYTES + 64] = "";
    size_t sent;
    if (download->have > 0)
        (void)snprintf(range, sizeof range,
                       "Range: bytes=%llu-\r\nIf-Range: %s\r\n",
                       (unsigned long long)download->have, download->etag);
    int length =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s:%s\r\n"
                 "Connection: close\r\n%s\r\n",
                 download->path, download->host, download->port, range);
    if (length >= REQUEST_BYTES)
        errx(1, "the path is too long");
    if (deadline_send(deadline_after(download->patience_ms), connection->fd,
                      request, (size_t)length, &sent) < 0)
        err(1, "send to %s", download->host);
}

/* Receives more into the buffer, in which there must be room. Returns how many
 * bytes, or 0 at the end. */
static size_t fill_buffer(struct connection *connection) {
    size_t unread = connection->end - connection->begin;
    memmove(connection->buffer, connection->buffer + connection->begin, unread);
    connection->begin = 0;
    connection->end = unread;
    ssize_t received = deadline_recv(
        deadline_after(connection->patience_ms), connection->fd,
        connection->buffer + unread, sizeof connection->buffer - unread);
    if (received < 0)
        err(1, "recv");
    connection->end += (size_t)received;
    return (size_t)received;
}

static void read_head(struct connection *connection, struct http_head *head) {
    const char *flaw;
    do {
        for (;;) {
            enum http_result result =
                http_parse_reply(head, connection->buffer + connection->begin,
                                 connection->end - connection->begin, &flaw);
            if (result == HTTP_WHOLE)
                break;
            if (result == HTTP_BAD)
                errx(1, "the reply has %s", flaw);
            if (fill_buffer(connection) == 0)
                errx(1, "the head of the reply is cut");
        }
        connection->begin += head->length;
    } while (head->status < 200);
}

/* Takes a number in digits out of the beginning of a text. */
static bool take_number(struct http_text *text, uint64_t *number) {
    char digits[sizeof "18446744073709551615"];
    unsigned long long value;
    size_t length = 0;
    while (length < text->length && length < sizeof digits - 1 &&
           text->bytes[length] >= '0' && text->bytes[length] <= '9') {
        digits[length] = text->bytes[length];
        length++;
    }
    digits[length] = '\0';
    if (number_parse(digits, 0, UINT64_MAX, &value) < 0)
        return false;
    *number = value;
    text->bytes += length;
    text->length -= length;
    return true;
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

/* Reads "bytes 100-199/200" of a 206. Returns false unless these bytes begin
 * where ours end, and go on to the end of the file. */
static bool is_rest(const struct http_head *head, struct download *download) {
    const struct http_text *field = http_find(head, "Content-Range");
    uint64_t first;
    uint64_t last;
    if (field == NULL)
        return false;
    struct http_text text = *field;
    if (!take_text(&text, "bytes ") || !take_number(&text, &first))
        return false;
    if (!take_text(&text, "-") || !take_number(&text, &last))
        return false;
    if (!take_text(&text, "/") || !take_number(&text, &download->total))
        return false;
    return text.length == 0 && first == download->have &&
           last + 1 == download->total;
}

/* Reads the "bytes *" + "/200" of a 416: the file has so many bytes. */
static bool is_complete(const struct http_head *head,
                        const struct download *download) {
    const struct http_text *field = http_find(head, "Content-Range");
    uint64_t total;
    if (field == NULL)
        return false;
    struct http_text text = *field;
    if (!take_text(&text, "bytes */") || !take_number(&text, &total))
        return false;
    return text.length == 0 && total == download->have;
}

static enum meaning judge(const struct http_head *head,
                          struct download *download) {
    if (head->status == 200)
        return ALL_OF_IT;
    if (head->status == 206 && download->have > 0) {
        if (!is_rest(head, download))
            errx(1, "the server has sent another part");
        return THE_REST;
    }
    if (head->status == 416 && download->have > 0) {
        if (is_complete(head, download))
            return COMPLETE;
        return START_AGAIN;
    }
    errx(1, "the server says %u %.*s", head->status, (int)head->reason.length,
         head->reason.bytes);
}

/* ---- The body --------------------------------------------------------------
 */

/* Opens the part for the bytes that come: behind what we have, or anew. */
static FILE *open_part(struct download *download, enum meaning meaning) {
    const char *mode = "ae";
    if (meaning == ALL_OF_IT) {
        mode = "we";
        download->have = 0;
    }
    FILE *file = fopen(download->part, mode);
    if (file == NULL)
        err(1, "%s", download->part);
    return file;
}

static void write_part(struct download *download, FILE *file, const char *bytes,
                       size_t length) {
    if (fwrite(bytes, 1, length, file) != length)
        err(1, "%s", download->part);
    download->have += length;
}

/* Copies the chunks. Returns false when the body is cut. */
static bool copy_chunks(struct connection *connection,
                        struct download *download, FILE *file) {
    struct http_chunks chunks = {0};
    for (;;) {
        const char *data;
        const char *flaw;
        size_t used;
        size_t length;
        if (connection->begin == connection->end &&
            fill_buffer(connection) == 0)
            return false;
        enum http_chunk_result result = http_chunks_read(
            &chunks, connection->buffer + connection->begin,
            connection->end - connection->begin, &used, &data, &length, &flaw);
        connection->begin += used;
        if (result == HTTP_CHUNK_DATA)
            write_part(download, file, data, length);
        if (result == HTTP_CHUNK_LAST)
            return true;
        if (result == HTTP_CHUNK_BAD)
            errx(1, "the body has %s", flaw);
    }
}

/* Copies up to so many bytes. Returns false when there are fewer. */
static bool copy_length(struct connection *connection, uint64_t left,
                        struct download *download, FILE *file) {
    while (left > 0) {
        if (connection->begin == connection->end &&
            fill_buffer(connection) == 0)
            return false;
        size_t part = connection->end - connection->begin;
        if (part > left)
            part = (size_t)left;
        write_part(download, file, connection->buffer + connection->begin,
                   part);
        connection->begin += part;
        left -= part;
    }
    return true;
}

/* Copies the body. What comes stays in the part, even if the body is cut: the
 * next run goes on there. */
static void copy_body(struct connection *connection,
                      const struct http_head *head, struct download *download,
                      FILE *file) {
    uint64_t length;
    const char *flaw;
    bool is_whole = true;
    switch (http_reply_framing(head, false, &length, &flaw)) {
    case HTTP_CONFUSED:
        errx(1, "the reply has %s", flaw);
    case HTTP_NO_BODY:
        break;
    case HTTP_LENGTH:
        is_whole = copy_length(connection, length, download, file);
        break;
    case HTTP_CHUNKED:
        is_whole = copy_chunks(connection, download, file);
        break;
    case HTTP_UNTIL_END:
        (void)copy_length(connection, UINT64_MAX, download, file);
        break;
    }
    if (fflush(file) == EOF)
        err(1, "%s", download->part);
    if (!is_whole)
        errx(1, "the body is cut");
}

/* The file is whole: it gets its name. */
static void finish(const struct download *download) {
    if (rename(download->part, download->file) < 0)
        err(1, "%s", download->file);
    if (unlink(download->etag_file) < 0 && errno != ENOENT)
        err(1, "%s", download->etag_file);
}

/* Asks once. Returns false when we have to start again, from the beginning. */
static bool ask(struct download *download) {
    static struct connection connection;
    static struct http_head head;
    connection.begin = 0;
    connection.end = 0;
    connection.patience_ms = download->patience_ms;
    connection.fd = connect_to(download);
    send_request(&connection, download);
    read_head(&connection, &head);
    enum meaning meaning = judge(&head, download);
    if (meaning == THE_REST || meaning == ALL_OF_IT) {
        FILE *file = open_part(download, meaning);
        if (meaning == ALL_OF_IT)
            keep_etag(download, &head);
        copy_body(&connection, &head, download, file);
        if (fclose(file) == EOF)
            err(1, "%s", download->part);
        if (meaning == THE_REST && download->have != download->total)
            errx(1, "the body is not as long as its Content-Range says");
    }
    (void)close(connection.fd);
    return meaning != START_AGAIN;
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

static void parse_arguments(struct download *download, int argc, char **argv) {
    in_port_t port;
    download->patience_ms = DEFAULT_PATIENCE_MS;
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            download->patience_ms = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 4)
        usage(stderr, 2);
    download->host = argv[optind];
    download->port = argv[optind + 1];
    download->path = argv[optind + 2];
    download->file = argv[optind + 3];
    if (addr_parse_port(download->port, strlen(download->port), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", download->port);
}

int main(int argc, char **argv) {
    static struct download download;
    parse_arguments(&download, argc, argv);
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    make_name(download.part, download.file, ".part");
    make_name(download.etag_file, download.file, ".etag");
    look_at_part(&download);
    if (!ask(&download)) {
        download.have = 0;
        (void)ask(&download); /* without a range, no reply says so again */
    }
    finish(&download);
    return 0;
}
