/* reply: decides what a web server replies to a request for a file. */
#define _GNU_SOURCE

#include "reply.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char date_format[] = "%a, %d %b %Y %H:%M:%S GMT";

const char *reply_reason(unsigned status) {
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 412:
        return "Precondition Failed";
    case 416:
        return "Range Not Satisfiable";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Internal Server Error";
    }
}

/* ---- Times and ETags -------------------------------------------------------
 */

/* Writes the last digits of a number, as many as digits says. */
static void write_digits(char *text, int number, int digits) {
    while (digits > 0) {
        digits--;
        text[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Each reply with a file has such a date, and strftime(3) would take more than
 * twice as long. */
const char *reply_format_date(time_t time, char *text) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const time_t last_time = 253402300799; /* of the year 9999 */
    struct tm parts;
    if (time < 0)
        time = 0;
    if (time > last_time)
        time = last_time;
    (void)gmtime_r(&time, &parts);
    memcpy(text, "Day, 00 Mon 0000 00:00:00 GMT", REPLY_DATE_BYTES);
    memcpy(text, days + (ptrdiff_t)3 * parts.tm_wday, 3);
    write_digits(text + 5, parts.tm_mday, 2);
    memcpy(text + 8, months + (ptrdiff_t)3 * parts.tm_mon, 3);
    write_digits(text + 12, 1900 + parts.tm_year, 4);
    write_digits(text + 17, parts.tm_hour, 2);
    write_digits(text + 20, parts.tm_min, 2);
    write_digits(text + 23, parts.tm_sec, 2);
    return text;
}

/* Reads a time as HTTP has it. The two old forms are not read: then a condition
 * is ignored. */
static bool parse_date(const struct http_text *value, time_t *time) {
    char text[REPLY_DATE_BYTES];
    struct tm parts = {0};
    if (value->length != REPLY_DATE_BYTES - 1)
        return false;
    memcpy(text, value->bytes, value->length);
    text[value->length] = '\0';
    const char *end = strptime(text, date_format, &parts);
    if (end == NULL || *end != '\0')
        return false;
    *time = timegm(&parts);
    return true;
}

/* Writes a number in hexadecimal digits, at least so many. Returns where it
 * ends. */
static char *write_hex(char *text, uint64_t number, int least_digits) {
    int shift = 60;
    while (shift >= 4 * least_digits && number >> shift == 0)
        shift -= 4;
    while (shift >= 0) {
        *text = "0123456789abcdef"[(number >> shift) & 15];
        text++;
        shift -= 4;
    }
    return text;
}

/* An ETag changes when the file's time or size does: it has both, as in
 * "6b0cb6db-00000000-400". */
static void make_etag(struct reply *reply, const struct stat *status) {
    char *end = reply->etag;
    *end = '"';
    end = write_hex(end + 1, (uint64_t)status->st_mtim.tv_sec, 8);
    *end = '-';
    end = write_hex(end + 1, (uint64_t)status->st_mtim.tv_nsec, 8);
    *end = '-';
    end = write_hex(end + 1, (uint64_t)status->st_size, 1);
    memcpy(end, "\"", sizeof "\"");
}

/* ---- Conditions ------------------------------------------------------------
 */

static bool is_etag(const struct reply *reply, struct http_text text) {
    return text.length == strlen(reply->etag) &&
           memcmp(text.bytes, reply->etag, text.length) == 0;
}

/* Returns whether a list has our ETag. A "*" means any. With weak, an ETag
 * counts also when W/ stands before it: RFC 9110, section 8.8.3.2. */
static bool lists_etag(const struct reply *reply, const struct http_text *list,
                       bool weak) {
    struct http_text rest = *list;
    if (rest.length == 1 && rest.bytes[0] == '*')
        return true;
    while (rest.length > 0) {
        struct http_text element = http_take_element(&rest);
        bool is_weak =
            element.length > 2 && memcmp(element.bytes, "W/", 2) == 0;
        if (is_weak && weak) {
            element.bytes += 2;
            element.length -= 2;
        }
        if (is_etag(reply, element))
            return true;
    }
    return false;
}

/* Returns whether one of the fields with this name lists our ETag. Several
 * fields mean the same as one with all their lists: RFC 9110, section 5.3. */
static bool any_lists_etag(const struct reply *reply,
                           const struct http_head *head, const char *name,
                           bool weak) {
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (http_text_is(&field->name, name) &&
            lists_etag(reply, &field->value, weak))
            return true;
    }
    return false;
}

/* The client wants a reply only if the file is still the one that it knows, and
 * 412 if it is not. */
static bool is_as_expected(const struct reply *reply,
                           const struct http_head *head) {
    const struct http_text *date = http_find(head, "If-Unmodified-Since");
    time_t time;
    if (http_find(head, "If-Match") != NULL)
        return any_lists_etag(reply, head, "If-Match", false);
    if (date != NULL && parse_date(date, &time))
        return reply->modified <= time;
    return true;
}

/* The client has a copy: is it still good? A date counts only if there is no
 * ETag. */
static bool has_good_copy(const struct reply *reply,
                          const struct http_head *head) {
    const struct http_text *date = http_find(head, "If-Modified-Since");
    time_t time;
    if (http_find(head, "If-None-Match") != NULL)
        return any_lists_etag(reply, head, "If-None-Match", true);
    if (date != NULL && parse_date(date, &time))
        return reply->modified <= time;
    return false;
}

/* A part of the file is of use only if the client's other part is of the same
 * file: RFC 9110, section 13.1.5. Only an ETag proves that. A file may change
 * twice in a second, so the field may have a date, but it never counts here. */
static bool is_range_wanted(const struct reply *reply,
                            const struct http_head *head) {
    const struct http_text *value = http_find(head, "If-Range");
    return value == NULL || is_etag(reply, *value);
}

/* ---- Ranges ----------------------------------------------------------------
 */

/* Takes a number in digits out of the beginning of a text. One that is too
 * large becomes the largest that there is. Returns false when there is no
 * digit. */
static bool take_number(struct http_text *text, uint64_t *number) {
    size_t digits = 0;
    *number = 0;
    while (digits < text->length && text->bytes[digits] >= '0' &&
           text->bytes[digits] <= '9') {
        unsigned digit = (unsigned)(text->bytes[digits] - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            *number = UINT64_MAX;
        else
            *number = *number * 10 + digit;
        digits++;
    }
    text->bytes += digits;
    text->length -= digits;
    return digits > 0;
}

static bool take_character(struct http_text *text, char character) {
    if (text->length == 0 || text->bytes[0] != character)
        return false;
    text->bytes++;
    text->length--;
    return true;
}

enum range {
    WHOLE,  /* there is no range that we understand */
    PART,   /* from reply->first on, reply->length bytes */
    NO_PART /* the file has no such bytes */
};

/* "bytes=-500": the last 500 bytes. */
static enum range read_last_bytes(struct reply *reply, struct http_text text) {
    uint64_t count;
    if (!take_number(&text, &count) || text.length > 0)
        return WHOLE;
    if (count == 0 || reply->total == 0)
        return NO_PART;
    if (count > reply->total)
        count = reply->total;
    reply->first = reply->total - count;
    reply->length = count;
    return PART;
}

/* "bytes=100-199", or "bytes=100-" up to the end. Several ranges, with commas
 * between them, are allowed, but a server may ignore them: RFC 9110, section
 * 14.2. */
static enum range read_range(struct reply *reply,
                             const struct http_text *value) {
    static const char unit[] = "bytes=";
    struct http_text text = *value;
    uint64_t first;
    uint64_t last = UINT64_MAX;
    if (text.length < strlen(unit) ||
        strncasecmp(text.bytes, unit, strlen(unit)) != 0)
        return WHOLE;
    text.bytes += strlen(unit);
    text.length -= strlen(unit);
    if (take_character(&text, '-'))
        return read_last_bytes(reply, text);
    if (!take_number(&text, &first) || !take_character(&text, '-'))
        return WHOLE;
    if (text.length > 0 && !take_number(&text, &last))
        return WHOLE;
    if (text.length > 0 || last < first)
        return WHOLE;
    if (first >= reply->total)
        return NO_PART;
    if (last >= reply->total)
        last = reply->total - 1;
    reply->first = first;
    reply->length = last - first + 1;
    return PART;
}

void reply_for_file(struct reply *reply, const struct http_head *head,
                    const struct stat *status) {
    const struct http_text *range = http_find(head, "Range");
    reply->status = 200;
    reply->first = 0;
    reply->total = (uint64_t)status->st_size;
    reply->length = reply->total;
    reply->modified = status->st_mtim.tv_sec;
    make_etag(reply, status);
    if (!is_as_expected(reply, head)) {
        reply->status = 412;
        reply->length = 0;
        return;
    }
    if (has_good_copy(reply, head)) {
        reply->status = 304;
        reply->length = 0;
        return;
    }
    if (range == NULL || !http_text_is(&head->method, "GET") ||
        !is_range_wanted(reply, head))
        return;
    switch (read_range(reply, range)) {
    case WHOLE:
        break;
    case PART:
        reply->status = 206;
        break;
    case NO_PART:
        reply->status = 416;
        reply->length = 0;
        break;
    }
}
