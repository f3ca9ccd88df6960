/* body: copies the body of a reply, or passes over it. */
#define _GNU_SOURCE

#include "body.h"

#include <err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    /* The body of a redirect is only read so that the connection can be used
     * again. When it is longer, a new connection is cheaper. */
    LONGEST_REDIRECT_BODY = 1 << 20,
};

/* ---- Copy ------------------------------------------------------------------
 */

/* Makes sure that there are unread bytes. Returns how many there are, 0 at the
 * end of the connection, or -1 after it has reported the error. */
static ssize_t require_bytes(struct connection *connection) {
    if (connection->begin == connection->end) {
        ssize_t received = connection_fill(connection);
        if (received < 0)
            connection_warn_of_receive(connection);
        if (received <= 0)
            return received;
    }
    return (ssize_t)(connection->end - connection->begin);
}

static int warn_of_cut_body(const struct connection *connection) {
    warnx("%s: the body is cut", connection->server.host);
    return -1;
}

/* Copies a body of so many bytes. */
static int copy_length(struct connection *connection, uint64_t left,
                       struct output *output) {
    while (left > 0) {
        ssize_t unread = require_bytes(connection);
        if (unread < 0)
            return -1;
        if (unread == 0)
            return warn_of_cut_body(connection);
        size_t part = (size_t)unread;
        if (part > left)
            part = (size_t)left;
        if (output_write(output, connection->buffer + connection->begin, part) <
            0)
            return -1;
        connection->begin += part;
        left -= part;
    }
    return 0;
}

static int copy_chunks(struct connection *connection, struct output *output) {
    struct http_chunks chunks = {0};
    for (;;) {
        const char *data;
        const char *flaw;
        size_t data_length;
        size_t used;
        ssize_t unread = require_bytes(connection);
        if (unread < 0)
            return -1;
        if (unread == 0)
            return warn_of_cut_body(connection);
        enum http_chunk_result result =
            http_chunks_read(&chunks, connection->buffer + connection->begin,
                             (size_t)unread, &used, &data, &data_length, &flaw);
        connection->begin += used;
        switch (result) {
        case HTTP_CHUNK_MORE:
            break;
        case HTTP_CHUNK_DATA:
            if (output_write(output, data, data_length) < 0)
                return -1;
            break;
        case HTTP_CHUNK_LAST:
            return 0;
        case HTTP_CHUNK_BAD:
            warnx("%s: the body has %s", connection->server.host, flaw);
            return -1;
        }
    }
}

static int copy_until_end(struct connection *connection,
                          struct output *output) {
    for (;;) {
        ssize_t unread = require_bytes(connection);
        if (unread <= 0)
            return (int)unread;
        if (output_write(output, connection->buffer + connection->begin,
                         (size_t)unread) < 0)
            return -1;
        connection->begin = connection->end;
    }
}

int body_copy(struct connection *connection, const struct http_head *head,
              struct output *output) {
    uint64_t length;
    const char *flaw;
    switch (http_reply_framing(head, false, &length, &flaw)) {
    case HTTP_NO_BODY:
        return 0;
    case HTTP_LENGTH:
        return copy_length(connection, length, output);
    case HTTP_CHUNKED:
        return copy_chunks(connection, output);
    case HTTP_UNTIL_END:
        return copy_until_end(connection, output);
    case HTTP_CONFUSED:
        break;
    }
    warnx("%s: the reply has %s", connection->server.host, flaw);
    return -1;
}

/* ---- Pass over -------------------------------------------------------------
 */

/* Returns whether the server keeps the connection for another request: RFC
 * 9112, section 9.3. */
static bool is_reusable(const struct http_head *head) {
    return head->minor >= 1 && !http_lists(head, "Connection", "close");
}

/* Passes over so many bytes. Returns false if they do not come. That is not
 * reported, because nobody wants these bytes. */
static bool skip_bytes(struct connection *connection, uint64_t left) {
    while (left > 0) {
        size_t unread = connection->end - connection->begin;
        if (unread == 0 && connection_fill(connection) <= 0)
            return false;
        size_t part = connection->end - connection->begin;
        if (part > left)
            part = (size_t)left;
        connection->begin += part;
        left -= part;
    }
    return true;
}

void body_skip(struct connection *connection, const struct http_head *head) {
    uint64_t length;
    const char *flaw;
    enum http_framing framing = http_reply_framing(head, false, &length, &flaw);
    bool is_short = framing == HTTP_LENGTH && length <= LONGEST_REDIRECT_BODY;
    if (!is_short || !is_reusable(head)) {
        connection_close(connection);
        return;
    }
    if (!skip_bytes(connection, length))
        connection_close(connection);
}
