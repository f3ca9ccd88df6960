/* request: reads the requests of a client, and has them answered. */
#define _GNU_SOURCE

#include "request.h"

#include "answer.h"
#include "http.h"
#include "output.h"

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SKIPPED_BODY = 1 << 20 }; /* the longest body that we pass over */

void request_collect(struct client *client, const char *bytes, size_t length,
                     struct requests *requests) {
    struct server *server = client->server;
    requests->bytes = server->unread;
    requests->length = client->unread_length;
    if (client->unread != NULL)
        memcpy(server->unread, client->unread, client->unread_length);
    if (length > 0)
        memcpy(server->unread + requests->length, bytes, length);
    requests->length += length;
    free(client->unread);
    client->unread = NULL;
    client->unread_length = 0;
}

/* ---- Is it a good request? -------------------------------------------------
 */

/* Returns the number of fields with this name. */
static size_t count_fields(const struct http_head *head, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (http_text_is(&head->fields[i].name, name))
            count++;
    }
    return count;
}

/* Large and small letters differ in a method: RFC 9110, section 9.1. */
static bool has_method(const struct http_head *head, const char *method) {
    return head->method.length == strlen(method) &&
           memcmp(head->method.bytes, method, head->method.length) == 0;
}

/* A host is a name or an address, perhaps with a port. Other characters, such
 * as a slash, have no place in it. */
static bool is_host(const struct http_text *text) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._~%:[]";
    for (size_t i = 0; i < text->length; i++) {
        if (text->bytes[i] == '\0' || strchr(allowed, text->bytes[i]) == NULL)
            return false;
    }
    return true;
}

/* HTTP/1.1 demands one field Host: RFC 9112, section 3.2. */
static bool has_good_host(const struct http_head *head) {
    size_t count = count_fields(head, "Host");
    if (count == 0)
        return head->minor == 0;
    return count == 1 && is_host(http_find(head, "Host"));
}

/* A client may also send a whole URL: RFC 9112, section 3.2.2. Then the path
 * stands behind the name of the server. */
static struct http_text path_of(const struct http_text *target) {
    static const char *const schemes[] = {"http://", "https://"};
    static const struct http_text root = {.bytes = "/", .length = 1};
    struct http_text path = *target;
    size_t name_at = 0;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (path.length > length &&
            strncasecmp(path.bytes, schemes[i], length) == 0)
            name_at = length;
    }
    if (name_at == 0)
        return path;
    size_t end = name_at;
    while (end < path.length && path.bytes[end] != '/' &&
           path.bytes[end] != '?')
        end++;
    if (end == name_at)
        return path; /* no name: this is not a path either */
    if (end == path.length || path.bytes[end] == '?')
        return root;
    path.bytes += end;
    path.length -= end;
    return path;
}

/* Decides whether the connection goes on after this request, and how much of
 * its body we have to pass over. Returns false if the request is confused. */
static bool prepare_body(struct client *client, const struct http_head *head) {
    const char *flaw;
    uint64_t length;
    if (head->minor == 0 && !http_lists(head, "Connection", "keep-alive"))
        client->closes = true;
    if (http_lists(head, "Connection", "close"))
        client->closes = true;
    switch (http_request_framing(head, &length, &flaw)) {
    case HTTP_NO_BODY:
        return true;
    case HTTP_LENGTH:
        if (length > SKIPPED_BODY)
            client->closes = true;
        else
            client->to_skip = length;
        return true;
    case HTTP_CHUNKED:
        client->closes = true;   /* we do not read it */
        return head->minor >= 1; /* HTTP/1.0 knows no chunks */
    case HTTP_UNTIL_END:
    case HTTP_CONFUSED:
        break;
    }
    return false;
}

/* A client that is careful asks before it sends its body: RFC 9110, section
 * 10.1.1. We tell it to go on, because we pass over the body. */
static void add_continue(struct client *client, const struct http_head *head) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (head->minor == 0 || client->to_skip == 0 || client->closes)
        return;
    if (http_lists(head, "Expect", "100-continue"))
        output_add_text(&client->server->output, go_on);
}

/* ---- One request after the other -------------------------------------------
 */

/* Replies to a request. Returns false when the connection is of no more use. */
static bool answer_request(struct client *client, const struct http_head *head,
                           struct http_text line) {
    struct answer answer = {
        .head = head,
        .line = line,
        .is_head = has_method(head, "HEAD"),
        .fields = "",
    };
    if (!prepare_body(client, head) || !has_good_host(head)) {
        client->closes = true;
        answer_with_status(client, &answer, 400);
        return true;
    }
    bool is_get = has_method(head, "GET");
    if (!is_get && !answer.is_head) {
        client->closes = true;
        answer.fields = "Allow: GET, HEAD\r\n";
        answer_with_status(client, &answer, 405);
        return true;
    }
    add_continue(client, head);
    struct http_text target = path_of(&head->target);
    return answer_with_target(client, &answer, &target);
}

/* Returns the first line of a request, without its end. */
static struct http_text first_line(const char *bytes, size_t length) {
    struct http_text line = {.bytes = bytes};
    while (line.length < length && bytes[line.length] != '\r' &&
           bytes[line.length] != '\n')
        line.length++;
    return line;
}

void request_refuse(struct client *client, const char *bytes, size_t length,
                    unsigned status) {
    static const struct http_head nothing = {.minor = 1};
    struct answer answer = {
        .head = &nothing,
        .line = first_line(bytes, length),
        .fields = "",
    };
    client->closes = true;
    answer_with_status(client, &answer, status);
}

static void skip_bytes(struct requests *requests, size_t count) {
    requests->bytes += count;
    requests->length -= count;
}

/* Passes over the body of the last request. */
static void skip_body(struct client *client, struct requests *requests) {
    size_t count = requests->length;
    if (count > client->to_skip)
        count = (size_t)client->to_skip;
    client->to_skip -= count;
    skip_bytes(requests, count);
    if (count > 0 && client->to_skip == 0)
        client_expect_request(client);
}

/* Some old clients send an empty line behind a request: RFC 9112, section 2.2.
 */
static void skip_empty_lines(struct requests *requests) {
    while (requests->length > 0 &&
           (requests->bytes[0] == '\r' || requests->bytes[0] == '\n'))
        skip_bytes(requests, 1);
}

/* Replies to the request that comes next. If result is not HTTP_WHOLE,
 * what has come is no good request, and is refused.
 * Returns false when the connection is of no more use. */
static bool handle_head(struct client *client, const struct http_head *head,
                        enum http_result result, struct requests *requests) {
    if (result == HTTP_WHOLE) {
        struct http_text line = first_line(requests->bytes, requests->length);
        bool is_good = answer_request(client, head, line);
        skip_bytes(requests, head->length);
        client_expect_request(client);
        return is_good;
    }
    size_t length = requests->length;
    if (length > HEAD_BYTES)
        length = HEAD_BYTES;
    unsigned status = 400;
    if (result == HTTP_UNFINISHED)
        status = 431; /* it is longer than we allow */
    request_refuse(client, requests->bytes, length, status);
    return true;
}

enum request_result request_handle(struct client *client,
                                   struct requests *requests) {
    static struct http_head head;
    const struct output *output = &client->server->output;
    const char *flaw;
    while (!client->closes && client->file == NULL && !client->has_had_turn &&
           output->length < OUTPUT_FULL) {
        skip_body(client, requests);
        if (client->to_skip == 0)
            skip_empty_lines(requests);
        if (requests->length == 0)
            return REQUEST_ALL;
        size_t allowed = requests->length;
        if (allowed > HEAD_BYTES)
            allowed = HEAD_BYTES;
        enum http_result result =
            http_parse_request(&head, requests->bytes, allowed, &flaw);
        if (result == HTTP_UNFINISHED && allowed < HEAD_BYTES)
            return REQUEST_ALL;
        if (!handle_head(client, &head, result, requests))
            return REQUEST_USELESS;
    }
    return REQUEST_INTERRUPTED;
}

bool request_store(struct client *client, const struct requests *requests) {
    if (requests->length == 0)
        return true;
    client->unread = malloc(requests->length);
    if (client->unread == NULL) {
        warn("malloc");
        return false;
    }
    memcpy(client->unread, requests->bytes, requests->length);
    client->unread_length = requests->length;
    return true;
}
