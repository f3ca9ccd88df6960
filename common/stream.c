/* stream: lines and whole messages over what has neither. */
#define _GNU_SOURCE

#include "stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Sees to it that there are unread bytes; recv is called only when there are
 * none. so_far is how much the caller has of what it reads: whether an end of
 * stream comes between two of them, or in the middle of one. */
static enum stream_result fill(struct stream *stream, size_t so_far) {
    ssize_t received;

    if (stream->start < stream->end)
        return STREAM_LINE;
    do {
        stream->receives++;
        received = recv(stream->fd, stream->buffer, sizeof stream->buffer, 0);
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return STREAM_ERROR;
    if (received == 0)
        return so_far == 0 ? STREAM_END : STREAM_CUT;
    stream->start = 0;
    stream->end = (size_t)received;
    return STREAM_LINE;
}

/* Takes the first count of the unread bytes. */
static void take(struct stream *stream, char *bytes, size_t count) {
    memcpy(bytes, stream->buffer + stream->start, count);
    stream->start += count;
}

static size_t smaller(size_t one, size_t other) {
    return one < other ? one : other;
}

enum stream_result stream_read_line(struct stream *stream, char *line,
                                    size_t limit, size_t *length) {
    *length = 0;
    while (*length < limit) {
        enum stream_result result = fill(stream, *length);
        if (result != STREAM_LINE)
            return result;
        const char *unread = stream->buffer + stream->start;
        size_t count = smaller(stream->end - stream->start, limit - *length);
        const char *newline = memchr(unread, '\n', count);
        if (newline != NULL)
            count = (size_t)(newline - unread) + 1;
        take(stream, line + *length, count);
        *length += count;
        if (newline != NULL)
            return STREAM_LINE;
    }
    return STREAM_TOO_LONG;
}

enum stream_result stream_read_exactly(struct stream *stream, char *bytes,
                                       size_t length, size_t *got) {
    *got = 0;
    while (*got < length) {
        enum stream_result result = fill(stream, *got);
        if (result != STREAM_LINE)
            return result;
        size_t count = smaller(stream->end - stream->start, length - *got);
        take(stream, bytes + *got, count);
        *got += count;
    }
    return STREAM_LINE;
}

int stream_write_all(int fd, const char *bytes, size_t length, size_t *sent) {
    *sent = 0;
    while (*sent < length) {
        ssize_t taken = send(fd, bytes + *sent, length - *sent, MSG_NOSIGNAL);
        if (taken < 0 && errno != EINTR)
            return -1;
        if (taken > 0)
            *sent += (size_t)taken;
    }
    return 0;
}
