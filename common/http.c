/* http: reads the heads and the chunks of HTTP/1.1. */
#define _GNU_SOURCE

#include "http.h"

#include <string.h>
#include <strings.h>

enum {
    SPACE = ' ',
    DELETE = 127,
    STATUS_DIGITS = 3,
    LONGEST_CHUNK_LINE = 4096, /* of a line beside the data of the chunks */
};

/* ---- Characters ------------------------------------------------------------
 */

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

static bool is_letter(char character) {
    return (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z');
}

/* The characters of methods and of field names: RFC 9110, section 5.6.2. */
static bool is_token_character(char character) {
    if (is_digit(character) || is_letter(character))
        return true;
    return character != '\0' && strchr("!#$%&'*+-.^_`|~", character) != NULL;
}

static bool is_blank(char character) {
    return character == ' ' || character == '\t';
}

static bool is_control(char character) {
    unsigned char byte = (unsigned char)character;
    return byte < SPACE || byte == DELETE;
}

/* ---- Lines -----------------------------------------------------------------
 */

/* The part of a head that has not been read yet. */
struct rest {
    char *bytes;
    size_t length;
};

/* Takes a line out of the rest. The line has no end of line any more. Returns
 * HTTP_UNFINISHED if there is no end of line in the rest. */
static enum http_result take_line(struct rest *rest, struct http_text *line,
                                  const char **flaw) {
    const char *end = memchr(rest->bytes, '\n', rest->length);
    size_t length = rest->length;
    if (end != NULL)
        length = (size_t)(end - rest->bytes);
    line->bytes = rest->bytes;
    line->length = length;
    if (end == NULL)
        return HTTP_UNFINISHED;
    rest->bytes += length + 1;
    rest->length -= length + 1;
    if (line->length > 0 && line->bytes[line->length - 1] == '\r')
        line->length--;
    if (memchr(line->bytes, '\r', line->length) != NULL) {
        *flaw = "a CR that ends no line";
        return HTTP_BAD;
    }
    if (memchr(line->bytes, '\0', line->length) != NULL) {
        *flaw = "a NUL";
        return HTTP_BAD;
    }
    return HTTP_WHOLE;
}

/* Takes the characters up to the first blank out of the line, and the blank. */
static struct http_text take_word(struct http_text *line) {
    struct http_text word = {.bytes = line->bytes};
    while (word.length < line->length && word.bytes[word.length] != ' ')
        word.length++;
    size_t used = word.length;
    if (used < line->length)
        used++; /* the blank */
    line->bytes += used;
    line->length -= used;
    return word;
}

static void trim(struct http_text *text) {
    while (text->length > 0 && is_blank(text->bytes[0])) {
        text->bytes++;
        text->length--;
    }
    while (text->length > 0 && is_blank(text->bytes[text->length - 1]))
        text->length--;
}

static bool is_token(const struct http_text *text) {
    for (size_t i = 0; i < text->length; i++) {
        if (!is_token_character(text->bytes[i]))
            return false;
    }
    return text->length > 0;
}

bool http_text_is(const struct http_text *text, const char *other) {
    return text->length == strlen(other) &&
           strncasecmp(text->bytes, other, text->length) == 0;
}

/* ---- The first line --------------------------------------------------------
 */

/* Reads "HTTP/1.1". The number behind the point may be any digit. */
static bool parse_version(struct http_head *head,
                          const struct http_text *version) {
    static const char beginning[] = "HTTP/1.";
    size_t length = strlen(beginning);
    if (version->length != length + 1)
        return false;
    if (memcmp(version->bytes, beginning, length) != 0)
        return false;
    if (!is_digit(version->bytes[length]))
        return false;
    head->minor = (unsigned)(version->bytes[length] - '0');
    return true;
}

/* "HTTP/1.1 404 Not Found". The reason may be empty, and some servers then
 * leave out the blank before it, too. */
static enum http_result parse_status_line(struct http_head *head,
                                          struct http_text line,
                                          const char **flaw) {
    struct http_text version = take_word(&line);
    struct http_text status = take_word(&line);
    if (!parse_version(head, &version)) {
        *flaw = "no HTTP/1 in its first line";
        return HTTP_BAD;
    }
    *flaw = "a status that is not a number of three digits";
    if (status.length != STATUS_DIGITS)
        return HTTP_BAD;
    for (size_t i = 0; i < status.length; i++) {
        if (!is_digit(status.bytes[i]))
            return HTTP_BAD;
        head->status = head->status * 10 + (unsigned)(status.bytes[i] - '0');
    }
    if (head->status < 100)
        return HTTP_BAD;
    head->reason = line;
    return HTTP_WHOLE;
}

/* "GET /index.html HTTP/1.1", with one blank between two words. */
static enum http_result parse_request_line(struct http_head *head,
                                           struct http_text line,
                                           const char **flaw) {
    head->method = take_word(&line);
    head->target = take_word(&line);
    if (!is_token(&head->method)) {
        *flaw = "a wrong method";
        return HTTP_BAD;
    }
    if (head->target.length == 0) {
        *flaw = "no target";
        return HTTP_BAD;
    }
    for (size_t i = 0; i < head->target.length; i++) {
        if (is_control(head->target.bytes[i])) {
            *flaw = "a control character in the target";
            return HTTP_BAD;
        }
    }
    if (!parse_version(head, &line)) {
        *flaw = "no HTTP/1 in its first line";
        return HTTP_BAD;
    }
    return HTTP_WHOLE;
}

/* ---- The fields ------------------------------------------------------------
 */

static enum http_result parse_field(struct http_head *head,
                                    struct http_text line, const char **flaw) {
    const char *colon = memchr(line.bytes, ':', line.length);
    if (colon == NULL) {
        *flaw = "a line without a colon";
        return HTTP_BAD;
    }
    size_t name_length = (size_t)(colon - line.bytes);
    struct http_text name = {.bytes = line.bytes, .length = name_length};
    struct http_text value = {
        .bytes = colon + 1,
        .length = line.length - name_length - 1,
    };
    if (name_length > 0 && is_blank(name.bytes[name_length - 1])) {
        *flaw = "a space before a colon";
        return HTTP_BAD;
    }
    if (!is_token(&name)) {
        *flaw = "a wrong name of a field";
        return HTTP_BAD;
    }
    if (head->field_count == HTTP_FIELDS) {
        *flaw = "too many fields";
        return HTTP_BAD;
    }
    trim(&value);
    struct http_field *field = &head->fields[head->field_count];
    field->name = name;
    field->value = value;
    head->field_count++;
    return HTTP_WHOLE;
}

/* Joins a line with the value of the field before it. What lies between them,
 * an end of line and blanks, becomes blanks. */
static void continue_field(struct http_head *head, char *bytes,
                           const struct http_text *line) {
    struct http_text *value = &head->fields[head->field_count - 1].value;
    size_t begin = (size_t)(value->bytes - bytes) + value->length;
    size_t end = (size_t)(line->bytes - bytes);
    memset(bytes + begin, ' ', end - begin);
    value->length += end - begin + line->length;
    trim(value);
}

enum kind { REQUEST, REPLY };

/* Reads the lines up to the empty one. bytes is where the head begins. */
static enum http_result parse_fields(struct http_head *head, char *bytes,
                                     struct rest *rest, enum kind kind,
                                     const char **flaw) {
    for (;;) {
        struct http_text line;
        enum http_result result = take_line(rest, &line, flaw);
        if (result != HTTP_WHOLE)
            return result;
        if (line.length == 0)
            return HTTP_WHOLE;
        if (is_blank(line.bytes[0])) {
            if (kind == REQUEST || head->field_count == 0) {
                *flaw = "a line that begins with a blank";
                return HTTP_BAD;
            }
            continue_field(head, bytes, &line);
            continue;
        }
        result = parse_field(head, line, flaw);
        if (result != HTTP_WHOLE)
            return result;
    }
}

/* Forgets what is in a head. Its fields need not be cleared, because none of
 * them is used. */
static void clear_head(struct http_head *head) {
    static const struct http_text none = {NULL, 0};
    head->length = 0;
    head->minor = 0;
    head->method = none;
    head->target = none;
    head->status = 0;
    head->reason = none;
    head->field_count = 0;
}

static enum http_result parse_head(struct http_head *head, char *bytes,
                                   size_t length, enum kind kind,
                                   const char **flaw) {
    struct rest rest = {.bytes = bytes, .length = length};
    struct http_text line;
    clear_head(head);
    enum http_result result = take_line(&rest, &line, flaw);
    if (result != HTTP_WHOLE)
        return result;
    if (kind == REPLY)
        result = parse_status_line(head, line, flaw);
    else
        result = parse_request_line(head, line, flaw);
    if (result != HTTP_WHOLE)
        return result;
    result = parse_fields(head, bytes, &rest, kind, flaw);
    head->length = length - rest.length;
    return result;
}

/* Reads a head, and refuses one that is too long. */
static enum http_result parse(struct http_head *head, char *bytes,
                              size_t length, enum kind kind,
                              const char **flaw) {
    size_t allowed = length;
    if (allowed > HTTP_HEAD_BYTES)
        allowed = HTTP_HEAD_BYTES;
    enum http_result result = parse_head(head, bytes, allowed, kind, flaw);
    if (result == HTTP_UNFINISHED && allowed == HTTP_HEAD_BYTES) {
        *flaw = "a head that is too long";
        return HTTP_BAD;
    }
    return result;
}

enum http_result http_parse_reply(struct http_head *head, char *bytes,
                                  size_t length, const char **flaw) {
    return parse(head, bytes, length, REPLY, flaw);
}

enum http_result http_parse_request(struct http_head *head, char *bytes,
                                    size_t length, const char **flaw) {
    return parse(head, bytes, length, REQUEST, flaw);
}

const struct http_text *http_find(const struct http_head *head,
                                  const char *name) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (http_text_is(&head->fields[i].name, name))
            return &head->fields[i].value;
    }
    return NULL;
}

struct http_text http_take_element(struct http_text *list) {
    struct http_text element = {.bytes = list->bytes};
    while (element.length < list->length &&
           element.bytes[element.length] != ',')
        element.length++;
    size_t used = element.length;
    if (used < list->length)
        used++; /* the comma */
    list->bytes += used;
    list->length -= used;
    trim(&element);
    return element;
}

bool http_lists(const struct http_head *head, const char *name,
                const char *token) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_text_is(&head->fields[i].name, name))
            continue;
        struct http_text list = head->fields[i].value;
        while (list.length > 0) {
            struct http_text element = http_take_element(&list);
            if (http_text_is(&element, token))
                return true;
        }
    }
    return false;
}

/* ---- Where a body ends -----------------------------------------------------
 */

/* Reads a number in digits alone. Returns false if it is none, or too large. */
static bool parse_length(const struct http_text *text, uint64_t *length) {
    uint64_t number = 0;
    for (size_t i = 0; i < text->length; i++) {
        if (!is_digit(text->bytes[i]))
            return false;
        unsigned digit = (unsigned)(text->bytes[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *length = number;
    return text->length > 0;
}

/* Reads all lengths that a head has. There may be several, in several fields or
 * in one, but they must be equal: section 6.3. *found says whether there is
 * one.
 */
static bool read_lengths(const struct http_head *head, bool *found,
                         uint64_t *length, const char **flaw) {
    *found = false;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_text_is(&head->fields[i].name, "Content-Length"))
            continue;
        struct http_text list = head->fields[i].value;
        do {
            struct http_text element = http_take_element(&list);
            uint64_t number;
            if (!parse_length(&element, &number)) {
                *flaw = "a Content-Length that is not a number";
                return false;
            }
            if (*found && number != *length) {
                *flaw = "two different lengths";
                return false;
            }
            *length = number;
            *found = true;
        } while (list.length > 0);
    }
    return true;
}

/* What a head says of codings: section 6.1. */
enum coding {
    NO_CODING,
    CODING_CHUNKED, /* chunked, and nothing else */
    CODING_UNKNOWN,
};

static enum coding coding_of(const struct http_head *head) {
    const struct http_text *value = http_find(head, "Transfer-Encoding");
    size_t fields = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (http_text_is(&head->fields[i].name, "Transfer-Encoding"))
            fields++;
    }
    if (fields == 0)
        return NO_CODING;
    if (fields == 1 && http_text_is(value, "chunked"))
        return CODING_CHUNKED;
    return CODING_UNKNOWN;
}

static bool has_no_body(const struct http_head *head, bool is_head) {
    return is_head || head->status < 200 || head->status == 204 ||
           head->status == 304;
}

enum http_framing http_reply_framing(const struct http_head *head, bool is_head,
                                     uint64_t *length, const char **flaw) {
    bool has_length;
    *length = 0;
    if (has_no_body(head, is_head))
        return HTTP_NO_BODY;
    switch (coding_of(head)) {
    case CODING_CHUNKED:
        return HTTP_CHUNKED; /* a length does not count then */
    case CODING_UNKNOWN:
        *flaw = "an unknown Transfer-Encoding";
        return HTTP_CONFUSED;
    case NO_CODING:
        break;
    }
    if (!read_lengths(head, &has_length, length, flaw))
        return HTTP_CONFUSED;
    if (has_length)
        return HTTP_LENGTH;
    return HTTP_UNTIL_END;
}

enum http_framing http_request_framing(const struct http_head *head,
                                       uint64_t *length, const char **flaw) {
    bool has_length;
    *length = 0;
    enum coding coding = coding_of(head);
    if (!read_lengths(head, &has_length, length, flaw))
        return HTTP_CONFUSED;
    if (coding == CODING_UNKNOWN) {
        *flaw = "an unknown Transfer-Encoding";
        return HTTP_CONFUSED;
    }
    if (coding == CODING_CHUNKED && has_length) {
        *flaw = "a length and chunks";
        return HTTP_CONFUSED;
    }
    if (coding == CODING_CHUNKED)
        return HTTP_CHUNKED;
    if (has_length)
        return HTTP_LENGTH;
    return HTTP_NO_BODY;
}

/* ---- Chunks ----------------------------------------------------------------
 */

/* Returns the value of a hexadecimal digit, or -1. */
static int digit_value(char character) {
    if (is_digit(character))
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

static enum http_chunk_result bad_chunk(const char **flaw, const char *text) {
    *flaw = text;
    return HTTP_CHUNK_BAD;
}

/* The line with the size has ended. A size of 0 is that of the last chunk. */
static void end_size_line(struct http_chunks *chunks) {
    chunks->line_length = 0;
    if (chunks->left == 0)
        chunks->state = HTTP_IN_TRAILER;
    else
        chunks->state = HTTP_IN_DATA;
}

/* Reads one byte of the digits, such as "1a", or the byte behind them. */
static enum http_chunk_result read_size(struct http_chunks *chunks, char byte,
                                        const char **flaw) {
    int digit = digit_value(byte);
    if (digit >= 0) {
        if (chunks->left > (UINT64_MAX >> 4))
            return bad_chunk(flaw, "a chunk size that is too large");
        chunks->left = (chunks->left << 4) | (unsigned)digit;
        return HTTP_CHUNK_MORE;
    }
    if (chunks->line_length == 1) /* this byte is the first one */
        return bad_chunk(flaw, "a chunk size that is not a number");
    if (byte == '\n')
        return bad_chunk(flaw, "a chunk size whose line has no CR");
    if (byte == '\r')
        chunks->state = HTTP_SIZE_CR;
    else if (byte == ';' || is_blank(byte))
        chunks->state = HTTP_BEHIND_SIZE;
    else
        return bad_chunk(flaw, "a chunk size that is not a number");
    return HTTP_CHUNK_MORE;
}

/* Reads one byte of the fields behind the last chunk, whose lines may end with
 * CR LF, or with LF alone. The trailer ends with an empty line. */
static enum http_chunk_result read_trailer(struct http_chunks *chunks,
                                           char byte, const char **flaw) {
    bool is_behind_cr = chunks->state == HTTP_TRAILER_CR;
    chunks->ignored++;
    if (chunks->ignored > HTTP_HEAD_BYTES)
        return bad_chunk(flaw, "a trailer that is too long");
    if (is_behind_cr && byte != '\n')
        return bad_chunk(flaw, "a CR that ends no line");
    if (byte == '\r')
        chunks->state = HTTP_TRAILER_CR;
    if (byte != '\n')
        return HTTP_CHUNK_MORE;

    size_t end_of_line = is_behind_cr ? 2 : 1; /* so many bytes are its end */
    if (chunks->line_length == end_of_line)
        return HTTP_CHUNK_LAST;
    chunks->line_length = 0;
    chunks->state = HTTP_IN_TRAILER;
    return HTTP_CHUNK_MORE;
}

/* Reads the CR behind the data of a chunk, or the LF behind that. */
static enum http_chunk_result read_behind_data(struct http_chunks *chunks,
                                               char byte, const char **flaw) {
    if (chunks->state == HTTP_BEHIND_DATA && byte == '\r') {
        chunks->state = HTTP_DATA_CR;
        return HTTP_CHUNK_MORE;
    }
    if (chunks->state == HTTP_DATA_CR && byte == '\n') {
        chunks->state = HTTP_IN_SIZE;
        chunks->line_length = 0;
        return HTTP_CHUNK_MORE;
    }
    return bad_chunk(flaw, "a chunk without CR LF behind its data");
}

/* Reads one byte that is not one of a chunk's data. */
static enum http_chunk_result read_byte(struct http_chunks *chunks, char byte,
                                        const char **flaw) {
    chunks->line_length++;
    if (chunks->line_length > LONGEST_CHUNK_LINE)
        return bad_chunk(flaw, "a line beside the chunks that is too long");
    switch (chunks->state) {
    case HTTP_IN_SIZE:
        return read_size(chunks, byte, flaw);
    case HTTP_BEHIND_SIZE:
        if (byte == '\n')
            return bad_chunk(flaw, "a chunk size whose line has no CR");
        if (byte == '\r')
            chunks->state = HTTP_SIZE_CR;
        return HTTP_CHUNK_MORE;
    case HTTP_SIZE_CR:
        if (byte != '\n')
            return bad_chunk(flaw, "a CR that ends no line");
        end_size_line(chunks);
        return HTTP_CHUNK_MORE;
    case HTTP_IN_TRAILER:
    case HTTP_TRAILER_CR:
        return read_trailer(chunks, byte, flaw);
    case HTTP_IN_DATA: /* http_chunks_read has read those bytes */
    case HTTP_BEHIND_DATA:
    case HTTP_DATA_CR:
        break;
    }
    return read_behind_data(chunks, byte, flaw);
}

enum http_chunk_result http_chunks_read(struct http_chunks *chunks,
                                        const char *bytes, size_t length,
                                        size_t *used, const char **data,
                                        size_t *data_length,
                                        const char **flaw) {
    *used = 0;
    while (*used < length) {
        if (chunks->state == HTTP_IN_DATA) {
            *data = bytes + *used;
            *data_length = length - *used;
            if (*data_length > chunks->left)
                *data_length = (size_t)chunks->left;
            *used += *data_length;
            chunks->left -= *data_length;
            if (chunks->left == 0)
                chunks->state = HTTP_BEHIND_DATA;
            return HTTP_CHUNK_DATA;
        }
        enum http_chunk_result result = read_byte(chunks, bytes[*used], flaw);
        (*used)++;
        if (result != HTTP_CHUNK_MORE)
            return result;
    }
    return HTTP_CHUNK_MORE;
}
