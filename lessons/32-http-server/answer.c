/* answer: writes the reply to a request into the output. */
#define _GNU_SOURCE

#include "answer.h"

#include "files.h"
#include "log.h"
#include "output.h"
#include "reply.h"
#include "send.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_FILE = 32 * 1024 }; /* it leaves together with its head */

/* ---- The head --------------------------------------------------------------
 */

static void add_field(struct output *output, const char *name,
                      const char *value) {
    output_add_text(output, name);
    output_add_text(output, ": ");
    output_add_text(output, value);
    output_add_text(output, "\r\n");
}

/* Adds the first line, and the fields that all replies have. More may follow,
 * and then end_head. */
static void begin_head(struct client *client, const struct answer *answer) {
    struct output *output = &client->server->output;
    output_add_text(output, "HTTP/1.1 ");
    output_add_number(output, answer->status);
    output_add_text(output, " ");
    output_add_text(output, reply_reason(answer->status));
    output_add_text(output, "\r\n");
    add_field(output, "Date", client->server->log.http_date);
    if (answer->type != NULL)
        add_field(output, "Content-Type", answer->type);
    if (answer->status != 304) {
        output_add_text(output, "Content-Length: ");
        output_add_number(output, answer->length);
        output_add_text(output, "\r\n");
    }
    output_add_text(output, answer->fields);
}

static void end_head(struct client *client, const struct answer *answer) {
    struct server *server = client->server;
    if (client->closes)
        output_add_text(&server->output, "Connection: close\r\n\r\n");
    else
        output_add_text(&server->output, "Connection: keep-alive\r\n\r\n");
    log_request(&server->log, client->address, answer->head, &answer->line,
                answer->status, answer->length);
}

/* ---- A reply from memory ---------------------------------------------------
 */

/* Adds a whole reply, whose body is in memory. */
static void add_page(struct client *client, struct answer *answer,
                     const char *body, size_t length) {
    answer->length = length;
    begin_head(client, answer);
    end_head(client, answer);
    if (!answer->is_head)
        output_add_bytes(&client->server->output, body, length);
}

void answer_with_status(struct client *client, struct answer *answer,
                        unsigned status) {
    char body[64];
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    int length =
        snprintf(body, sizeof body, "%u %s\n", status, reply_reason(status));
    add_page(client, answer, body, (size_t)length);
}

/* ---- A file ----------------------------------------------------------------
 */

/* Adds the field Content-Range, if the reply has one. */
static void add_range(struct output *output, const struct reply *reply) {
    if (reply->status == 206) {
        output_add_text(output, "Content-Range: bytes ");
        output_add_number(output, reply->first);
        output_add_text(output, "-");
        output_add_number(output, reply->first + reply->length - 1);
        output_add_text(output, "/");
        output_add_number(output, reply->total);
        output_add_text(output, "\r\n");
    }
    if (reply->status == 416) {
        output_add_text(output, "Content-Range: bytes */");
        output_add_number(output, reply->total);
        output_add_text(output, "\r\n");
    }
}

/* Adds the head of a reply with a file. */
static void add_file_head(struct client *client, struct answer *answer,
                          const struct reply *reply, const char *path) {
    struct output *output = &client->server->output;
    char modified[REPLY_DATE_BYTES];
    answer->status = reply->status;
    answer->length = reply->length;
    if (reply->status == 200 || reply->status == 206)
        answer->type = files_type(path);
    begin_head(client, answer);
    add_field(output, "Last-Modified",
              reply_format_date(reply->modified, modified));
    add_field(output, "ETag", reply->etag);
    add_field(output, "Accept-Ranges", "bytes");
    add_range(output, reply);
    end_head(client, answer);
}

/* Adds a reply with a file, or with a part of it. A small body follows its head
 * at once, so both leave in one send. */
static bool add_file(struct client *client, struct answer *answer,
                     struct file *file) {
    struct reply reply;
    reply_for_file(&reply, answer->head, &file->status);
    add_file_head(client, answer, &reply, file->path);
    if (reply.length == 0 || answer->is_head)
        return true;
    if (reply.length <= SMALL_FILE)
        return send_add_file(&client->server->output, file, (off_t)reply.first,
                             (size_t)reply.length);
    files_share(file);
    client->file = file;
    client->at = (off_t)reply.first;
    client->left = reply.length;
    return true;
}

/* ---- A folder, and what else a target leads to ----------------------------
 */

/* Adds a page that lists a folder. With many names, this takes long. So it ends
 * the turn of this client, or a thousand such requests, which fit into one
 * recv, would keep the others waiting. */
static void add_list(struct client *client, struct answer *answer,
                     const struct file *folder) {
    char title[FILES_PATH_BYTES + 1] = "/";
    struct output page = {0};
    client->has_had_turn = true;
    if (strcmp(folder->path, ".") != 0)
        (void)snprintf(title, sizeof title, "/%s", folder->path);
    if (files_list(folder, title, &page) < 0) {
        warn("a list of %s", title);
        answer_with_status(client, answer, 500);
        return;
    }
    answer->status = 200;
    answer->type = "text/html; charset=utf-8";
    add_page(client, answer, page.bytes, page.length);
    free(page.bytes);
}

/* A folder must have a slash at the end, or the links in its page would lead to
 * the folder around it. */
static void add_move(struct client *client, struct answer *answer) {
    char fields[HEAD_BYTES + 16]; /* a target is shorter than a head */
    struct http_text target = answer->head->target;
    const char *query = memchr(target.bytes, '?', target.length);
    size_t path = target.length;
    if (query != NULL)
        path = (size_t)(query - target.bytes);
    /* Two slashes in front would be taken for the name of a server. */
    while (path > 1 && target.bytes[1] == '/') {
        target.bytes++;
        target.length--;
        path--;
    }
    (void)snprintf(fields, sizeof fields, "Location: %.*s/%.*s\r\n", (int)path,
                   target.bytes, (int)(target.length - path),
                   target.bytes + path);
    answer->fields = fields;
    answer_with_status(client, answer, 301);
    answer->fields = ""; /* ours are gone when we return */
}

/* Opens what has this path. If several requests of one turn ask for the same
 * file, one after the other, then it is opened once for all of them. */
static enum files_result find_file(struct server *server, const char *path,
                                   struct file **file) {
    struct file *last = server->last_file;
    if (last != NULL && strcmp(last->path, path) == 0) {
        files_share(last);
        *file = last;
        return FILES_FILE;
    }
    enum files_result result = files_open(server->root, path, file);
    if (result == FILES_FILE) {
        files_release(last);
        files_share(*file);
        server->last_file = *file;
    }
    return result;
}

/* Says that there is no file, and why. */
static void add_failure(struct client *client, struct answer *answer,
                        enum files_result result) {
    switch (result) {
    case FILES_MOVED:
        add_move(client, answer);
        break;
    case FILES_NONE:
        answer_with_status(client, answer, 404);
        break;
    case FILES_BAD:
        client->closes = true;
        answer_with_status(client, answer, 400);
        break;
    case FILES_FILE: /* these two have a file */
    case FILES_FOLDER:
    case FILES_FAILED:
        answer_with_status(client, answer, 500);
        break;
    }
}

bool answer_with_target(struct client *client, struct answer *answer,
                        const struct http_text *target) {
    char path[FILES_PATH_BYTES];
    struct file *file = NULL;
    bool is_good = true;
    enum files_result result = files_parse_target(target, path);
    if (result == FILES_FILE)
        result = find_file(client->server, path, &file);
    if (result == FILES_FAILED)
        warn("open %s", path);
    if (file == NULL) {
        add_failure(client, answer, result);
        return true;
    }
    if (result == FILES_FILE)
        is_good = add_file(client, answer, file);
    else
        add_list(client, answer, file);
    files_release(file);
    return is_good;
}
