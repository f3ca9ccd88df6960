/* response: reads the replies of a web server, as far as a load needs it. */
#define _GNU_SOURCE

#include "response.h"

#include "number.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { STATUS_DIGITS = 3, NO_CONTENT = 204, NOT_MODIFIED = 304 };

static const char blanks[] = " \t";

void response_begin(struct response *response) {
    response->part = RESPONSE_STATUS_LINE;
    response->status = 0;
    response->has_length = 0;
    response->body_left = 0;
    response->head_length = 0;
    response->line_length = 0;
}

/* Adds the bytes to the line, up to its end. Returns how many it has used, or 0
 * if there is no room for them. *is_whole says whether the line has ended. */
static size_t add_to_line(struct response *response, const char *bytes,
                          size_t length, int *is_whole) {
    size_t used = length;
    const char *end = memchr(bytes, '\n', length);
    *is_whole = 0;
    if (end != NULL) {
        used = (size_t)(end - bytes) + 1;
        *is_whole = 1;
    }
    if (used > RESPONSE_HEAD_BYTES - response->head_length)
        return 0;
    memcpy(response->line + response->line_length, bytes, used);
    response->line_length += used;
    response->head_length += used;
    return used;
}

/* Makes the whole line a C string without its end, which is CR LF, or LF alone:
 * section 2.2. Returns 0, or -1 if there is a NUL in it. */
static int end_line(struct response *response) {
    size_t length = response->line_length - 1; /* without the LF */
    if (length > 0 && response->line[length - 1] == '\r')
        length--;
    response->line[length] = '\0';
    response->line_length = 0;
    if (memchr(response->line, '\0', length) != NULL)
        return -1;
    return 0;
}

static int is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* Reads a line such as "HTTP/1.1 200 OK": section 4. Returns NULL, or what is
 * wrong. */
static const char *read_status_line(struct response *response) {
    static const char version[] = "HTTP/1.";
    static const char no_status_line[] = "this is not HTTP/1";
    const char *next = response->line;
    if (strncmp(next, version, strlen(version)) != 0)
        return no_status_line;
    next += strlen(version);
    if (!is_digit(next[0]) || next[1] != ' ')
        return no_status_line;
    response->closes =
        next[0] == '0'; /* HTTP/1.0 closes, unless its head says otherwise */
    next += 2;
    response->status = 0;
    for (int i = 0; i < STATUS_DIGITS; i++) {
        if (!is_digit(*next))
            return no_status_line;
        response->status = response->status * 10 + (unsigned)(*next - '0');
        next++;
    }
    if (*next != ' ' && *next != '\0')
        return no_status_line;
    if (response->status < 200)
        return "a status below 200";
    response->part = RESPONSE_FIELDS;
    return NULL;
}

/* Reads what stands behind "Content-Length:". Blanks may stand on both sides.
 */
static const char *read_length(struct response *response, char *value) {
    unsigned long long number;
    value += strspn(value, blanks);
    size_t length = strlen(value);
    while (length > 0 && strchr(blanks, value[length - 1]) != NULL)
        length--;
    value[length] = '\0';
    if (response->has_length)
        return "two fields Content-Length";
    if (number_parse(value, 0, SIZE_MAX, &number) < 0)
        return "a Content-Length that is not a number";
    response->has_length = 1;
    response->body_left = (size_t)number;
    return NULL;
}

/* Reads what stands behind "Connection:": section 9.6. */
static void read_connection(struct response *response, const char *value) {
    if (strcasestr(value, "close") != NULL)
        response->closes = 1;
    else if (strcasestr(value, "keep-alive") != NULL)
        response->closes = 0;
}

/* Reads a line such as "Content-Length: 5": section 5. Large and small letters
 * make no difference in the name. */
static const char *read_field(struct response *response) {
    static const char length_field[] = "Content-Length:";
    static const char coding_field[] = "Transfer-Encoding:";
    static const char connection_field[] = "Connection:";
    char *line = response->line;
    const char *behind_name = line + strcspn(line, ": \t");
    if (behind_name == line || *behind_name != ':')
        return "a line in the head that is not a field";
    if (strncasecmp(line, coding_field, strlen(coding_field)) == 0)
        return "a body in chunks, which we do not read";
    if (strncasecmp(line, length_field, strlen(length_field)) == 0)
        return read_length(response, line + strlen(length_field));
    if (strncasecmp(line, connection_field, strlen(connection_field)) == 0)
        read_connection(response, line + strlen(connection_field));
    return NULL;
}

/* The head has ended. A reply of status 204 or 304 has no body, whatever its
 * head says. */
static const char *end_head(struct response *response) {
    response->part = RESPONSE_BODY;
    if (response->status == NO_CONTENT || response->status == NOT_MODIFIED)
        response->body_left = 0;
    else if (!response->has_length)
        return "no Content-Length";
    return NULL;
}

/* Handles a whole line of the head. */
static const char *read_line(struct response *response) {
    if (end_line(response) < 0)
        return "a NUL in the head";
    if (response->part == RESPONSE_STATUS_LINE)
        return read_status_line(response);
    if (response->line[0] != '\0')
        return read_field(response);
    return end_head(response);
}

enum response_result response_read(struct response *response, const char *bytes,
                                   size_t length, const char **flaw) {
    size_t used = 0;
    while (response->part != RESPONSE_BODY && used < length) {
        int is_whole;
        size_t more =
            add_to_line(response, bytes + used, length - used, &is_whole);
        *flaw = NULL;
        if (more == 0)
            *flaw = "a head of more than 8192 bytes";
        else if (is_whole)
            *flaw = read_line(response);
        if (*flaw != NULL)
            return RESPONSE_BAD;
        used += more;
    }
    if (response->part != RESPONSE_BODY)
        return RESPONSE_UNFINISHED;
    if (length - used > response->body_left) {
        *flaw = "more bytes than Content-Length says";
        return RESPONSE_BAD;
    }
    response->body_left -= length - used;
    if (response->body_left > 0)
        return RESPONSE_UNFINISHED;
    return RESPONSE_WHOLE;
}
