#include "head.h"

#include <string.h>

#include "bytes.h"
#include "http.h"

/* The longest first line. RFC 9112, section 3, recommends that a server takes
 * one of 8000 bytes, so hardly any is longer. */
enum { LINE_BYTES = 8192 };

/* Stands behind the first line, so that it is a whole head. */
static const char empty_line[] = "\r\n";

/* Copies the first line to head, with an empty line behind it. Returns the
 * length of both; or 0 if the line does not end, or is too long. */
static size_t copy_line(const uint8_t *bytes, size_t length,
                        char head[LINE_BYTES + sizeof empty_line]) {
    if (length > LINE_BYTES)
        length = LINE_BYTES;
    if (length == 0)
        return 0;
    const uint8_t *end = memchr(bytes, '\n', length);
    if (end == NULL)
        return 0;
    size_t line = (size_t)(end - bytes) + 1;
    memcpy(head, bytes, line);
    memcpy(head + line, empty_line, sizeof empty_line);
    return line + strlen(empty_line);
}

static void write_text(FILE *out, const struct http_text *text) {
    bytes_write_short(out, (const uint8_t *)text->bytes, text->length);
}

static void write_request(FILE *out, const struct http_head *head) {
    write_text(out, &head->method);
    (void)fputc(' ', out);
    write_text(out, &head->target);
    (void)fprintf(out, " HTTP/1.%u", head->minor);
}

static void write_reply(FILE *out, const struct http_head *head) {
    (void)fprintf(out, "HTTP/1.%u %u", head->minor, head->status);
    if (head->reason.length > 0)
        (void)fputc(' ', out);
    write_text(out, &head->reason);
}

bool head_write(FILE *out, const uint8_t *bytes, size_t length) {
    char line[LINE_BYTES + sizeof empty_line];
    struct http_head head;
    const char *flaw;
    size_t used = copy_line(bytes, length, line);
    if (used == 0)
        return false;
    if (http_parse_request(&head, line, used, &flaw) == HTTP_WHOLE) {
        write_request(out, &head);
        return true;
    }
    if (http_parse_reply(&head, line, used, &flaw) == HTTP_WHOLE) {
        write_reply(out, &head);
        return true;
    }
    return false;
}
