/*
 * http: reads the heads and the chunks of HTTP/1.1, for clients and for
 * servers. Built by lesson 31.
 *
 * Nothing here touches a socket, and no number of the peer is believed before
 * it has been checked. A section number without another name is one of RFC
 * 9112.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_HEAD_BYTES = 65536, /* we read no longer head */
    HTTP_FIELDS = 200,       /* and not more fields */
};

/* Bytes within a head. There is no NUL behind them. */
struct http_text {
    const char *bytes;
    size_t length;
};

/* A line of a head, such as "Content-Length: 5". */
struct http_field {
    struct http_text name;
    struct http_text value; /* without the blanks before and behind it */
};

/* What a head says. All texts point into the head, so they are good for as long
 * as it is. */
struct http_head {
    size_t length;           /* of the head, with the empty line at its end */
    unsigned minor;          /* 1 for HTTP/1.1 */
    struct http_text method; /* of a request: "GET" */
    struct http_text target; /* of a request: "/index.html" */
    unsigned status;         /* of a reply: 100 to 999 */
    struct http_text reason; /* of a reply, for people: "Not Found" */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS];
};

enum http_result {
    HTTP_WHOLE,      /* it has been read */
    HTTP_UNFINISHED, /* so far all is well, but more bytes must come */
    HTTP_BAD,        /* it does not follow the rules: *flaw says which one */
};

/*
 * Reads the head of a reply (section 4) or of a request (section 3) from the
 * first length bytes of a message. Lines may end with CR LF or with LF alone:
 * section 2.2.
 *
 * A field that goes on in the next line is bad in a request. In a reply, the
 * bytes between its lines are replaced by blanks (section 5.2), so bytes is
 * changed.
 *
 * If the result is HTTP_BAD, *flaw is a text such as "a space before a colon".
 * It is a constant: do not free it. *head has a meaning only with HTTP_WHOLE.
 * A head that is not whole within HTTP_HEAD_BYTES is bad.
 */
enum http_result http_parse_reply(struct http_head *head, char *bytes,
                                  size_t length, const char **flaw);
enum http_result http_parse_request(struct http_head *head, char *bytes,
                                    size_t length, const char **flaw);

/* Returns the value of the first field with this name, or NULL. Large and small
 * letters make no difference. */
const struct http_text *http_find(const struct http_head *head,
                                  const char *name);

/* Takes the next element out of a list with commas between its elements, such
 * as "a, b". The element has no blank before it or behind it. */
struct http_text http_take_element(struct http_text *list);

/* Returns whether a text is this one. Large and small letters of ASCII make no
 * difference. */
bool http_text_is(const struct http_text *text, const char *other);

/* Returns whether one of the fields with this name lists the token, as in
 * "Connection: keep-alive, Upgrade": RFC 9110, section 5.6.1. */
bool http_lists(const struct http_head *head, const char *name,
                const char *token);

/* How one knows where a body ends: section 6.3. */
enum http_framing {
    HTTP_NO_BODY,
    HTTP_LENGTH,    /* after *length bytes */
    HTTP_CHUNKED,   /* after the last chunk */
    HTTP_UNTIL_END, /* where the connection ends */
    HTTP_CONFUSED,  /* the head contradicts itself: *flaw says how */
};

/*
 * Says how the body of a reply ends. is_head says whether the request was HEAD:
 * then there is no body. With HTTP_LENGTH, *length is the number of its bytes.
 * With HTTP_CONFUSED, *flaw is a constant text.
 */
enum http_framing http_reply_framing(const struct http_head *head, bool is_head,
                                     uint64_t *length, const char **flaw);

/* The same for the body of a request. Here, the result is never HTTP_UNTIL_END,
 * and a length together with chunks is confused. */
enum http_framing http_request_framing(const struct http_head *head,
                                       uint64_t *length, const char **flaw);

/* Where we are in a body of chunks: section 7.1. */
enum http_chunk_state {
    HTTP_IN_SIZE,     /* in the digits of a chunk's size */
    HTTP_BEHIND_SIZE, /* in what may stand behind them, which we ignore */
    HTTP_SIZE_CR,     /* behind the CR that ends this line */
    HTTP_IN_DATA,     /* in the bytes of a chunk */
    HTTP_BEHIND_DATA, /* where the line behind them must end */
    HTTP_DATA_CR,     /* behind the CR that ends it */
    HTTP_IN_TRAILER,  /* behind the last chunk, in fields that we ignore */
    HTTP_TRAILER_CR,  /* behind a CR there */
};

/* A body of chunks that is being read. Set it to 0 before the first call. There
 * is nothing to free. */
struct http_chunks {
    enum http_chunk_state state;
    uint64_t left;      /* so many bytes of the chunk are still to come */
    size_t line_length; /* so many bytes of the line have come */
    size_t ignored;     /* so many bytes of the trailer have come */
};

enum http_chunk_result {
    HTTP_CHUNK_MORE, /* all bytes are used up: more must come */
    HTTP_CHUNK_DATA, /* *data has bytes of the body */
    HTTP_CHUNK_LAST, /* the body has ended */
    HTTP_CHUNK_BAD,  /* *flaw says what is wrong */
};

/*
 * Goes on in a body of chunks, with the length bytes that come next. *used
 * becomes the number of bytes that it has read; call it again with the others.
 * With HTTP_CHUNK_DATA, *data points to bytes of the body among those, and
 * *data_length says how many there are. With HTTP_CHUNK_LAST, the bytes behind
 * *used belong to the next message.
 *
 * Each line of the chunks must end with CR LF. Where one program takes LF alone
 * and another does not, they find different chunks in the same bytes. The lines
 * of the trailer may end with LF alone, as those of a head.
 */
enum http_chunk_result http_chunks_read(struct http_chunks *chunks,
                                        const char *bytes, size_t length,
                                        size_t *used, const char **data,
                                        size_t *data_length, const char **flaw);

#endif
