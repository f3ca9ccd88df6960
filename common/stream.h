/*
 * stream: reads lines and whole messages from a TCP connection, which knows
 * neither, and sends all of a message. Built by lesson 05.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stddef.h>
#include <sys/types.h>

enum { STREAM_BUFFER_BYTES = 4096 };

/*
 * A connection, and the bytes that recv(2) returned from it but that nobody has
 * read yet. Before the first call, set fd to a connected socket, and all other
 * members to 0. The socket stays the caller's, who closes it. All memory is in
 * the struct, so there is nothing to free.
 */
struct stream {
    int fd;
    size_t start;           /* the first unread byte is buffer[start] */
    size_t end;             /* the last unread byte is buffer[end - 1] */
    unsigned long receives; /* how often recv(2) was called so far */
    char buffer[STREAM_BUFFER_BYTES];
};

enum stream_result {
    STREAM_OK,   /* all bytes that were asked for */
    STREAM_LINE, /* a whole line, with its newline */
    STREAM_END,  /* the peer ended the stream, before this line or message */
    STREAM_CUT,  /* the peer ended the stream inside a line or message */
    STREAM_TOO_LONG, /* no newline within the limit */
    STREAM_ERROR,    /* recv(2) failed; errno has the reason */
};

/*
 * Reads one line, up to and with its newline, into line, which has room for
 * limit bytes. Puts the number of bytes in line into *length.
 *
 * Returns STREAM_LINE when the line is whole. Otherwise it returns STREAM_END,
 * STREAM_CUT, STREAM_TOO_LONG or STREAM_ERROR; what was read of the line before
 * is in line then, and *length says how much that is. A limit of 0 is
 * STREAM_TOO_LONG. recv(2) interrupted by a signal (EINTR) is not an error: it
 * is called again.
 *
 * A line may hold any byte, NUL too, and no NUL is put behind it. The bytes
 * behind the newline, or behind the limit, stay in the stream for the next
 * call. So the rest of a line that is too long can still be read.
 */
enum stream_result stream_read_line(struct stream *stream, char *line,
                                    size_t limit, size_t *length);

/*
 * Reads exactly length bytes into bytes, which has room for them. Puts the
 * number of bytes that came into *got.
 *
 * Returns STREAM_OK when all are there, also for a length of 0. Otherwise it
 * returns STREAM_END when the peer ended the stream before the first byte,
 * STREAM_CUT when it ended it before the last, or STREAM_ERROR; the *got bytes
 * that came before are in bytes then. EINTR is not an error.
 */
enum stream_result stream_read_exactly(struct stream *stream, char *bytes,
                                       size_t length, size_t *got);

/*
 * Sends all length bytes to the connected socket fd, as lesson 02 does: send(2)
 * may take only a part of them, and is then called again for the rest.
 *
 * Returns 0 when the kernel has taken all, or -1 and errno of send(2). Either
 * way *sent is the number of bytes that the kernel took. A peer that has gone
 * is the error EPIPE or ECONNRESET, and never the signal SIGPIPE. EINTR is not
 * an error.
 */
int stream_write_all(int fd, const char *bytes, size_t length, size_t *sent);

#endif
