/*
 * stream: lines and whole messages over what has neither. Built by lesson 05.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stddef.h>
#include <sys/types.h>

enum { STREAM_BUFFER_BYTES = 4096 };

/*
 * What has been received from fd, and not been asked for yet. The caller owns
 * fd; set it, and zero the rest, before the first call.
 */
struct stream {
    int fd;
    size_t start, end; /* the unread bytes are buffer[start] to buffer[end-1] */
    unsigned long receives; /* how many recv(2) calls it took so far */
    char buffer[STREAM_BUFFER_BYTES];
};

enum stream_result {
    STREAM_LINE,     /* a whole line, its newline included */
    STREAM_END,      /* the peer ended, between two lines */
    STREAM_CUT,      /* the peer ended in the middle of a line */
    STREAM_TOO_LONG, /* no newline within the limit */
    STREAM_ERROR,    /* recv failed: see errno */
};

/*
 * Reads one line, of limit bytes at most with its newline, into line; its
 * length goes to *length, whatever the result: also that of what came of a line
 * that was cut, too long or broken off by an error. Any byte may be in it, NUL
 * too, and none is put after it. What follows stays in the stream for the next
 * call, so the rest of a line that was too long can be read, or passed over.
 * EINTR is not an error.
 */
enum stream_result stream_read_line(struct stream *stream, char *line,
                                    size_t limit, size_t *length);

/*
 * Reads exactly length bytes. Returns STREAM_LINE when all are there,
 * STREAM_END when the peer ended before the first, STREAM_CUT when it ended
 * before the last, STREAM_ERROR; *got says how many came, whatever the result.
 */
enum stream_result stream_read_exactly(struct stream *stream, char *bytes,
                                       size_t length, size_t *got);

/*
 * Sends all of length bytes, however few each send(2) takes. Returns 0, or -1
 * and errno; *sent says how far it came. A peer that has gone is EPIPE or
 * ECONNRESET, never SIGPIPE. EINTR is not an error.
 */
int stream_write_all(int fd, const char *bytes, size_t length, size_t *sent);

#endif
