/* stream: reads lines and whole messages from a connection that has neither. */
#define _GNU_SOURCE

#include "stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Returns STREAM_OK when the buffer has unread bytes. If it has none, it calls
 * recv first. so_far is how many bytes the caller already has of its line or
 * message: when the stream ends, this tells whether it ends before one
 * (STREAM_END) or inside one (STREAM_CUT).
 */
static enum stream_result fill_buffer(struct stream *stream, size_t so_far) {
    ssize_t received;

    if (stream->start < stream->end)
        return STREAM_OK;
    do {
        stream->receives++;
        received = recv(stream->fd, stream->buffer, sizeof stream->buffer, 0);
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return STREAM_ERROR;
    if (received == 0) {
        if (so_far > 0)
            return STREAM_CUT;
        return STREAM_END;
    }
    stream->start = 0;
    stream->end = (size_t)received;
    return STREAM_OK;
}

/* Copies the first count unread bytes out of the buffer. They count as read. */
static void copy_out(struct stream *stream, char *bytes, size_t count) {
    memcpy(bytes, stream->buffer + stream->start, count);
    stream->start += count;
}

static size_t smaller(size_t one, size_t other) {
    if (one < other)
        return one;
    return other;
}

enum stream_result stream_read_line(struct stream *stream, char *line,
                                    size_t limit, size_t *length) {
    *length = 0;
    while (*length < limit) {
        enum stream_result result = fill_buffer(stream, *length);
        if (result != STREAM_OK)
            return result;
        const char *unread = stream->buffer + stream->start;
        size_t count = smaller(stream->end - stream->start, limit - *length);
        const char *newline = memchr(unread, '\n', count);
        if (newline != NULL)
            count = (size_t)(newline - unread) + 1;
        copy_out(stream, line + *length, count);
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
        enum stream_result result = fill_buffer(stream, *got);
        if (result != STREAM_OK)
            return result;
        size_t count = smaller(stream->end - stream->start, length - *got);
        copy_out(stream, bytes + *got, count);
        *got += count;
    }
    return STREAM_OK;
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
