/*
 * response: reads the replies of a web server, as far as a load needs it. Built
 * by lesson 26, for the load on lesson 32's server. Lesson 31 builds a module
 * that reads all of HTTP/1.1.
 *
 * A reply is a head and a body. The head is lines of text: a status line, and
 * then fields, such as "Content-Length: 5". It ends with an empty line. We know
 * where the body ends only if the head has the field Content-Length: RFC 9112,
 * section 6.3. Left out is everything else that says where a body ends, and
 * replies with a status of 1xx, which come before the reply itself.
 */
#ifndef RESPONSE_H
#define RESPONSE_H

#include <stddef.h>

enum { RESPONSE_HEAD_BYTES = 8192 }; /* we read no longer head */

/* Which part of a reply comes next. */
enum response_part {
    RESPONSE_STATUS_LINE,
    RESPONSE_FIELDS,
    RESPONSE_BODY,
};

/* A reply that is being read. Before the first byte of a reply, call
 * response_begin. There is nothing to free. */
struct response {
    enum response_part part;
    unsigned status;  /* 200 to 999, once the status line has come */
    int has_length;   /* whether the field Content-Length has come */
    int closes;       /* whether the last reply said that the server closes */
    size_t body_left; /* so many bytes of the body are still to come */
    size_t head_length;
    size_t line_length;
    char line[RESPONSE_HEAD_BYTES + 1]; /* the line that is coming, and a NUL */
};

enum response_result {
    RESPONSE_WHOLE,      /* the reply has been read */
    RESPONSE_UNFINISHED, /* so far all is well, but more bytes must come */
    RESPONSE_BAD,        /* we cannot read it: *flaw says why */
};

void response_begin(struct response *response);

/*
 * Goes on with the length bytes that come next, of which there is at least one.
 * A client that waits for one reply at a time can receive no byte of the next
 * one, so bytes behind the reply make it bad.
 *
 * With RESPONSE_BAD, *flaw is a text such as "no Content-Length". It is a
 * constant: do not free it.
 */
enum response_result response_read(struct response *response, const char *bytes,
                                   size_t length, const char **flaw);

#endif
