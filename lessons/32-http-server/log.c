/* log: prints a line for each request. */
#define _GNU_SOURCE

#include "log.h"

#include <stdbool.h>
#include <stdio.h>

void log_update_dates(struct log *log) {
    struct tm parts;
    time_t now = time(NULL);
    if (now == log->second)
        return;
    log->second = now;
    (void)reply_format_date(now, log->http_date);
    (void)gmtime_r(&now, &parts);
    (void)strftime(log->log_date, sizeof log->log_date,
                   "%d/%b/%Y:%H:%M:%S +0000", &parts);
}

/* Other characters would end the quotes, or a terminal would obey them. */
static bool is_harmless(char character) {
    return character >= ' ' && character <= '~' && character != '"' &&
           character != '\\';
}

/* Adds a byte as "\x1b". */
static void add_escape(struct output *line, char character) {
    char escape[sizeof "\\x1b"];
    (void)snprintf(escape, sizeof escape, "\\x%02x", (unsigned char)character);
    output_add_text(line, escape);
}

/* Adds a text of the client in quotes. */
static void add_quoted(struct output *line, const struct http_text *text) {
    size_t added = 0;
    output_add_text(line, "\"");
    for (size_t i = 0; i < text->length; i++) {
        if (is_harmless(text->bytes[i]))
            continue;
        output_add_bytes(line, text->bytes + added, i - added);
        add_escape(line, text->bytes[i]);
        added = i + 1;
    }
    output_add_bytes(line, text->bytes + added, text->length - added);
    output_add_text(line, "\"");
}

static void add_field(struct output *line, const struct http_head *head,
                      const char *name) {
    static const struct http_text none = {.bytes = "-", .length = 1};
    const struct http_text *value = http_find(head, name);
    if (value == NULL)
        value = &none;
    output_add_text(line, " ");
    add_quoted(line, value);
}

void log_request(struct log *log, const char *address,
                 const struct http_head *head, const struct http_text *line,
                 unsigned status, uint64_t length) {
    struct output *text = &log->line;
    text->length = 0;
    output_add_text(text, address);
    output_add_text(text, " - - [");
    output_add_text(text, log->log_date);
    output_add_text(text, "] ");
    add_quoted(text, line);
    output_add_text(text, " ");
    output_add_number(text, status);
    output_add_text(text, " ");
    output_add_number(text, length);
    add_field(text, head, "Referer");
    add_field(text, head, "User-Agent");
    output_add_text(text, "\n");
    /* If this fails, fflush or ferror says so after the turn. */
    (void)fwrite(text->bytes, 1, text->length, stdout);
}
