/*
 * 32-http-server: serves the files of a folder over HTTP, and with -s over TLS.
 *
 * Shows what a server needs beside sockets: which files it may open (files.c),
 * what it replies to a request (reply.c), and how it stays fast and unharmed
 * with thousands of clients, the loop of lesson 27. The modules belong to this
 * lesson, so read them too.
 *
 * usage: 32-http-server [-s CERT KEY] [-m MAXCLIENTS] ROOT PORT
 *
 * ROOT is the folder. MAXCLIENTS may be connected (10,000 unless given); others
 * wait in the queue. Each request is a line on standard output. SIGINT or
 * SIGTERM ends the server.
 *
 * Left out: methods other than GET and HEAD; several ranges in one request;
 * compressed bodies; HTTP/2.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "files.h"
#include "http.h"
#include "listener.h"
#include "loop.h"
#include "number.h"
#include "reply.h"
#include "tls.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    MOST_CLIENTS = 1000000,
    DEFAULT_CLIENTS = 10000,
    HEAD_BYTES = 8192,       /* the longest head of a request */
    INPUT_BYTES = 64 * 1024, /* what one recv may return */
    /* What OpenSSL makes of it: it may have had a part of a record before. */
    PLAIN_BYTES = INPUT_BYTES + 16 * 1024,
    OUTPUT_BYTES = 512 * 1024, /* more is allocated when it is needed */
    OUTPUT_FULL = 256 * 1024,  /* it is sent before it becomes longer */
    SMALL_FILE = 32 * 1024,    /* such a file leaves together with its head */
    LOG_BYTES = 64 * 1024,     /* more lines than this are two writes */
    SENDFILE_BYTES = 1 << 20,  /* at most, before other clients have a turn */
    SKIPPED_BODY = 1 << 20,    /* we pass over no longer body of a request */
    HEAD_MS = 10 * 1000,  /* for a handshake, and for the head of a request */
    IDLE_MS = 60 * 1000,  /* between two requests */
    WRITE_MS = 30 * 1000, /* for a client that takes nothing */
    LEAVE_MS = 1000,      /* for a client that we have told to go */
    PAUSE_MS = 20,        /* after an accept that failed */
    STOP_MS = 1000,       /* for replies that are being sent when we end */
};

/* What OpenSSL has in the place of a socket: lesson 27. */
struct wire {
    char *input; /* encrypted, from the client */
    size_t input_length;
    size_t input_taken;
};

/* Bytes for the client that is served at the moment. */
struct output {
    char *bytes;
    size_t length;
    size_t room;
};

enum client_state {
    SHAKING_HANDS,
    IDLE,    /* we wait for a request */
    READING, /* a part of a request has come */
    WRITING, /* we wait until the client takes our reply */
    LEAVING, /* we only wait for the end of the client */
};

struct client {
    struct server *server;
    struct loop_watcher watcher;
    struct loop_timer timer;
    enum client_state state;
    bool closes;      /* after this reply */
    bool has_ended;   /* by TLS, the client has said that no more will come */
    int file;         /* whose bytes are still to be sent, or -1 */
    off_t at;         /* from here on */
    uint64_t left;    /* so many */
    uint64_t to_skip; /* so many bytes of a request's body */
    SSL *ssl;         /* or NULL */
    char *unread;     /* the beginning of a request, or NULL */
    size_t unread_length;
    char *unsent; /* what send did not take, or NULL */
    size_t unsent_length;
    in_addr_t address; /* for the log */
};

struct server {
    struct loop loop;
    struct loop_watcher listener;
    struct loop_timeout head_time;
    struct loop_timeout idle_time;
    struct loop_timeout write_time;
    struct loop_timeout leave_time;
    struct loop_timeout pause_time;
    struct loop_timer pause_timer;
    SSL_CTX *context; /* or NULL */
    BIO_METHOD *wire_method;
    struct wire wire;
    struct output output;    /* of HTTP */
    struct output encrypted; /* the same, and what else TLS has to send */
    char *input;             /* of HTTP: what was unread, and what has come */
    char *plain;             /* what one SSL_read returns */
    int root;                /* the folder */
    int clients;
    int most_clients;
    int writing; /* so many are in the state WRITING */
    time_t now;  /* in seconds; date and log_date belong to it */
    char date[REPLY_DATE_BYTES];
    char log_date[sizeof "10/Oct/2000:13:55:36 +0000"];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 32-http-server [-s CERT KEY] [-m MAXCLIENTS] ROOT PORT\n",
          out);
    exit(status);
}

/* ---- The output ------------------------------------------------------------
 */

/* Makes room for so many bytes more. Memory for a reply is little, and a server
 * without any cannot go on. */
static void require_room(struct output *output, size_t length) {
    size_t needed = output->length + length;
    if (needed <= output->room)
        return;
    output->room = 2 * needed;
    output->bytes = realloc(output->bytes, output->room);
    if (output->bytes == NULL)
        err(1, "realloc");
}

static void add_bytes(struct output *output, const char *bytes, size_t length) {
    require_room(output, length);
    memcpy(output->bytes + output->length, bytes, length);
    output->length += length;
}

/* ---- TLS, as in lesson 27 --------------------------------------------------
 */

/* OpenSSL calls this when it would read from the socket. */
static int take_input(BIO *bio, char *bytes, int length) {
    struct server *server = BIO_get_data(bio);
    struct wire *wire = &server->wire;
    size_t count = wire->input_length - wire->input_taken;
    BIO_clear_retry_flags(bio);
    if (count == 0) {
        BIO_set_retry_read(bio); /* no error: more input may come */
        return -1;
    }
    if (count > (size_t)length)
        count = (size_t)length;
    memcpy(bytes, wire->input + wire->input_taken, count);
    wire->input_taken += count;
    return (int)count;
}

/* OpenSSL calls this when it would write to the socket. */
static int add_output(BIO *bio, const char *bytes, int length) {
    struct server *server = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    add_bytes(&server->encrypted, bytes, (size_t)length);
    return length;
}

/* OpenSSL calls this for anything else. 1 says that a flush was done. */
static long control_wire(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_FLUSH)
        return 1;
    return 0;
}

static BIO_METHOD *make_wire_method(void) {
    int type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;
    BIO_METHOD *method = BIO_meth_new(type, "wire");
    if (method == NULL)
        errx(1, "BIO_meth_new: out of memory");
    (void)BIO_meth_set_read(method, take_input);
    (void)BIO_meth_set_write(method, add_output);
    (void)BIO_meth_set_ctrl(method, control_wire);
    return method;
}

/* Makes a connection of OpenSSL's over the wire. Returns NULL if that fails. */
static SSL *make_ssl(struct server *server) {
    SSL *ssl = SSL_new(server->context);
    BIO *bio = BIO_new(server->wire_method);
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, server);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* to read and to write; SSL_free frees it */
    SSL_set_accept_state(ssl);
    return ssl;
}

/* Encrypts all of the output: what fits into one record becomes one record.
 * Returns false if OpenSSL cannot. */
static bool encrypt_output(struct client *client) {
    struct output *output = &client->server->output;
    int result = 1;
    if (output->length > 0)
        result = SSL_write(client->ssl, output->bytes, (int)output->length);
    output->length = 0;
    return result > 0;
}

/* Forgets what was for another client. */
static void empty_outputs(struct server *server) {
    server->output.length = 0;
    server->encrypted.length = 0;
}

/* ---- Clients come and go ---------------------------------------------------
 */

static void watch_listener(struct server *server) {
    if (server->loop.is_stop_requested)
        return;
    if (loop_watch(&server->loop, &server->listener, EPOLLIN) < 0)
        warn("epoll_ctl");
}

static void set_state(struct client *client, enum client_state state) {
    if (client->state == WRITING)
        client->server->writing--;
    if (state == WRITING)
        client->server->writing++;
    client->state = state;
}

static void close_file(struct client *client) {
    if (client->file >= 0)
        (void)close(client->file);
    client->file = -1;
}

static void close_client(struct client *client) {
    struct server *server = client->server;
    set_state(client, LEAVING);
    (void)loop_watch(&server->loop, &client->watcher, 0);
    loop_stop_timer(&client->timer);
    close_file(client);
    SSL_free(client->ssl);
    ERR_clear_error(); /* as in begin_leaving */
    (void)close(client->watcher.fd);
    free(client->unread);
    free(client->unsent);
    free(client);
    server->clients--;
    if (server->clients == server->most_clients - 1)
        watch_listener(server); /* there is a place again */
}

/* Waits for events of the client. Returns false if that failed: then the client
 * is closed. */
static bool watch(struct client *client, uint32_t events) {
    if (loop_watch(&client->server->loop, &client->watcher, events) == 0)
        return true;
    warn("epoll_ctl");
    close_client(client);
    return false;
}

/* ---- The log ---------------------------------------------------------------
 */

/* Works out the dates anew, when a second has passed. */
static void update_dates(struct server *server) {
    struct tm parts;
    time_t now = time(NULL);
    if (now == server->now)
        return;
    server->now = now;
    (void)reply_format_date(now, server->date);
    (void)gmtime_r(&now, &parts);
    (void)strftime(server->log_date, sizeof server->log_date,
                   "%d/%b/%Y:%H:%M:%S +0000", &parts);
}

/* Prints a text of the client in quotes. Characters that would end the quotes,
 * or that a terminal would obey, are written as numbers. */
static void log_text(const struct http_text *text) {
    putchar('"');
    for (size_t i = 0; i < text->length; i++) {
        unsigned char byte = (unsigned char)text->bytes[i];
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

static void log_field(const struct http_head *head, const char *name) {
    static const struct http_text none = {.bytes = "-", .length = 1};
    const struct http_text *value = http_find(head, name);
    putchar(' ');
    if (value == NULL)
        value = &none;
    log_text(value);
}

/* Prints a line in the combined log format, which many programs can read. It is
 * written when the events at hand have all been handled. */
static void log_request(const struct client *client,
                        const struct http_head *head,
                        const struct http_text *line, unsigned status,
                        uint64_t length) {
    struct in_addr address = {.s_addr = client->address};
    char text[INET_ADDRSTRLEN];
    printf("%s - - [%s] ", inet_ntop(AF_INET, &address, text, sizeof text),
           client->server->log_date);
    log_text(line);
    printf(" %u %llu", status, (unsigned long long)length);
    log_field(head, "Referer");
    log_field(head, "User-Agent");
    putchar('\n');
}

/* ---- Replies ---------------------------------------------------------------
 */

/* A request that has been read, and what we reply to it. */
struct answer {
    const struct http_head *head;
    struct http_text line; /* its first line, for the log */
    bool is_head;          /* the reply has no body */
    unsigned status;
    uint64_t length;    /* of the body that the head announces */
    const char *type;   /* of the body, or NULL */
    const char *fields; /* more fields, each with its end of line */
};

/* Adds the head of a reply to the output. */
static void add_head(struct client *client, const struct answer *answer) {
    char head[HEAD_BYTES + FILES_PATH_BYTES];
    const char *connection = "keep-alive";
    char type[128] = "";
    char length[64] = "";
    if (client->closes)
        connection = "close";
    if (answer->type != NULL)
        (void)snprintf(type, sizeof type, "Content-Type: %s\r\n", answer->type);
    if (answer->status != 304)
        (void)snprintf(length, sizeof length, "Content-Length: %llu\r\n",
                       (unsigned long long)answer->length);
    int bytes = snprintf(head, sizeof head,
                         "HTTP/1.1 %u %s\r\nDate: %s\r\n%s%s%s"
                         "Connection: %s\r\n\r\n",
                         answer->status, reply_reason(answer->status),
                         client->server->date, type, length, answer->fields,
                         connection);
    add_bytes(&client->server->output, head, (size_t)bytes);
}

/* Adds a whole reply, whose body is in memory. */
static void add_page(struct client *client, struct answer *answer,
                     const char *body, size_t length) {
    answer->length = length;
    add_head(client, answer);
    log_request(client, answer->head, &answer->line, answer->status, length);
    if (!answer->is_head)
        add_bytes(&client->server->output, body, length);
}

/* Adds a reply that says only its status. */
static void add_status(struct client *client, struct answer *answer,
                       unsigned status) {
    char body[64];
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    int length =
        snprintf(body, sizeof body, "%u %s\n", status, reply_reason(status));
    add_page(client, answer, body, (size_t)length);
}

/* Reads a part of a file to the end of the output. If the file has become
 * shorter in the meantime, the reply cannot be right any more: then it returns
 * false, and the connection ends. */
static bool add_bytes_of_file(struct output *output, int file, off_t at,
                              size_t length) {
    require_room(output, length);
    ssize_t got = pread(file, output->bytes + output->length, length, at);
    if (got != (ssize_t)length) {
        warnx("a file became shorter while we sent it");
        return false;
    }
    output->length += length;
    return true;
}

/* Writes the field Content-Range into text, or nothing if the reply has none.
 */
static void format_range(const struct reply *reply, char *text, size_t room) {
    unsigned long long first = reply->first;
    unsigned long long last = reply->first + reply->length - 1;
    unsigned long long total = reply->total;
    text[0] = '\0';
    if (reply->status == 206)
        (void)snprintf(text, room, "Content-Range: bytes %llu-%llu/%llu\r\n",
                       first, last, total);
    if (reply->status == 416)
        (void)snprintf(text, room, "Content-Range: bytes */%llu\r\n", total);
}

/* Adds the head of a reply with a file. */
static void add_file_head(struct client *client, struct answer *answer,
                          const struct reply *reply, const char *path) {
    char modified[REPLY_DATE_BYTES];
    char range[128];
    char fields[512];
    format_range(reply, range, sizeof range);
    (void)snprintf(fields, sizeof fields,
                   "Last-Modified: %s\r\nETag: %s\r\n"
                   "Accept-Ranges: bytes\r\n%s",
                   reply_format_date(reply->modified, modified), reply->etag,
                   range);
    answer->status = reply->status;
    answer->length = reply->length;
    if (reply->status == 200 || reply->status == 206)
        answer->type = files_type(path);
    answer->fields = fields;
    add_head(client, answer);
    answer->fields = ""; /* ours are gone when we return */
    log_request(client, answer->head, &answer->line, answer->status,
                answer->length);
}

/* Adds a reply with a file, or with a part of it. A small body follows its head
 * at once, so both leave in one send. Takes the descriptor. */
static bool add_file(struct client *client, struct answer *answer, int file,
                     const struct stat *status, const char *path) {
    struct reply reply;
    reply_for_file(&reply, answer->head, status);
    add_file_head(client, answer, &reply, path);
    bool has_body = reply.length > 0 && !answer->is_head;
    if (has_body && reply.length > SMALL_FILE) {
        client->file = file;
        client->at = (off_t)reply.first;
        client->left = reply.length;
        return true;
    }
    bool is_added = true;
    if (has_body)
        is_added = add_bytes_of_file(&client->server->output, file,
                                     (off_t)reply.first, (size_t)reply.length);
    (void)close(file);
    return is_added;
}

/* Adds a page that lists a folder. */
static void add_list(struct client *client, struct answer *answer, int folder,
                     const char *path) {
    char title[FILES_PATH_BYTES + 1] = "/";
    size_t length;
    if (strcmp(path, ".") != 0)
        (void)snprintf(title, sizeof title, "/%s", path);
    char *page = files_list(folder, title, &length);
    if (page == NULL) {
        warn("a list of %s", title);
        add_status(client, answer, 500);
        return;
    }
    answer->status = 200;
    answer->type = "text/html; charset=utf-8";
    add_page(client, answer, page, length);
    free(page);
}

/* A folder must have a slash at the end, or the links in its page would lead to
 * the folder around it. */
static void add_move(struct client *client, struct answer *answer) {
    char fields[HEAD_BYTES];
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
    int length = snprintf(fields, sizeof fields, "Location: %.*s/%.*s\r\n",
                          (int)path, target.bytes, (int)(target.length - path),
                          target.bytes + path);
    if ((size_t)length >= sizeof fields) {
        add_status(client, answer, 404);
        return;
    }
    answer->fields = fields;
    add_status(client, answer, 301);
    answer->fields = ""; /* ours are gone when we return */
}

/* Finds what the target leads to, and adds the reply. Returns false when the
 * connection is of no more use. */
static bool add_target(struct client *client, struct answer *answer,
                       const struct http_text *target) {
    char path[FILES_PATH_BYTES];
    struct stat status;
    int fd = -1;
    enum files_result result = files_parse_target(target, path);
    if (result == FILES_FILE)
        result = files_open(client->server->root, path, &fd, &status);
    switch (result) {
    case FILES_FILE:
        return add_file(client, answer, fd, &status, path);
    case FILES_FOLDER:
        add_list(client, answer, fd, path);
        break;
    case FILES_MOVED:
        add_move(client, answer);
        break;
    case FILES_NONE:
        add_status(client, answer, 404);
        break;
    case FILES_BAD:
        client->closes = true;
        add_status(client, answer, 400);
        break;
    case FILES_FAILED:
        warn("open %s", path);
        add_status(client, answer, 500);
        break;
    }
    return true;
}

/* ---- Requests --------------------------------------------------------------
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
    size_t name = 0; /* where it begins */
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);
        if (path.length > length &&
            strncasecmp(path.bytes, schemes[i], length) == 0)
            name = length;
    }
    if (name == 0)
        return path;
    size_t end = name;
    while (end < path.length && path.bytes[end] != '/' &&
           path.bytes[end] != '?')
        end++;
    if (end == name)
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
        add_bytes(&client->server->output, go_on, strlen(go_on));
}

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
        add_status(client, &answer, 400);
        return true;
    }
    bool is_get = has_method(head, "GET");
    if (!is_get && !answer.is_head) {
        client->closes = true;
        answer.fields = "Allow: GET, HEAD\r\n";
        add_status(client, &answer, 405);
        return true;
    }
    add_continue(client, head);
    struct http_text target = path_of(&head->target);
    return add_target(client, &answer, &target);
}

/* Returns the first line of a request, without its end. */
static struct http_text first_line(const char *bytes, size_t length) {
    struct http_text line = {.bytes = bytes};
    while (line.length < length && bytes[line.length] != '\r' &&
           bytes[line.length] != '\n')
        line.length++;
    return line;
}

/* Replies to what is no request. */
static void refuse_request(struct client *client, const char *bytes,
                           size_t length, unsigned status) {
    static const struct http_head nothing = {.minor = 1};
    struct answer answer = {
        .head = &nothing,
        .line = first_line(bytes, length),
        .fields = "",
    };
    client->closes = true;
    add_status(client, &answer, status);
}

/* The requests that have come, and are not handled yet. */
struct requests {
    char *bytes;
    size_t length;
};

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
}

/* Some old clients send an empty line behind a request: RFC 9112, section 2.2.
 */
static void skip_empty_lines(struct requests *requests) {
    while (requests->length > 0 &&
           (requests->bytes[0] == '\r' || requests->bytes[0] == '\n'))
        skip_bytes(requests, 1);
}

/* What became of the requests that have come. */
enum handled {
    ALL_HANDLED, /* what is left is the beginning of one */
    INTERRUPTED, /* the replies must be sent before more are handled */
    USELESS,     /* the connection has failed */
};

/* Replies to the request that comes next, of which head says whether it is one.
 * Returns false when the connection is of no more use. */
static bool handle_head(struct client *client, const struct http_head *head,
                        enum http_result result, struct requests *requests) {
    if (result == HTTP_WHOLE) {
        struct http_text line = first_line(requests->bytes, requests->length);
        bool is_good = answer_request(client, head, line);
        skip_bytes(requests, head->length);
        set_state(client, IDLE); /* the next one has not begun */
        return is_good;
    }
    unsigned status = 400;
    if (result == HTTP_UNFINISHED)
        status = 431; /* it is longer than we allow */
    refuse_request(client, requests->bytes, requests->length, status);
    return true;
}

/* Handles requests until one of them is not whole, or until there is enough to
 * be sent. */
static enum handled handle_requests(struct client *client,
                                    struct requests *requests) {
    static struct http_head head;
    const struct output *output = &client->server->output;
    const char *flaw;
    while (!client->closes && client->file < 0 &&
           output->length < OUTPUT_FULL) {
        skip_body(client, requests);
        if (client->to_skip == 0)
            skip_empty_lines(requests);
        if (requests->length == 0)
            return ALL_HANDLED;
        size_t allowed = requests->length;
        if (allowed > HEAD_BYTES)
            allowed = HEAD_BYTES;
        enum http_result result =
            http_parse_request(&head, requests->bytes, allowed, &flaw);
        if (result == HTTP_UNFINISHED && allowed < HEAD_BYTES)
            return ALL_HANDLED;
        if (!handle_head(client, &head, result, requests))
            return USELESS;
    }
    return INTERRUPTED;
}

/* Keeps what has come of requests that are not handled yet. */
static bool store_unread(struct client *client,
                         const struct requests *requests) {
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

/* ---- Sending ---------------------------------------------------------------
 */

/* Returns whether a call that failed with this error can be tried again later.
 */
static bool is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Copies the output that send did not take. */
static bool store_unsent(struct client *client, const struct output *output,
                         size_t sent) {
    size_t length = output->length - sent;
    client->unsent = malloc(length);
    if (client->unsent == NULL) {
        warn("malloc");
        return false;
    }
    memcpy(client->unsent, output->bytes + sent, length);
    client->unsent_length = length;
    return true;
}

/* Sends all of the output, in one call. What the kernel does not take is kept.
 * If a file follows, the kernel waits for it before it sends the last segment
 * (MSG_MORE). Returns false when the connection is of no more use. */
static bool send_output(struct client *client) {
    struct output *output = &client->server->output;
    int flags = 0;
    ssize_t sent = 0;
    if (client->ssl != NULL) {
        if (!encrypt_output(client))
            return false;
        output = &client->server->encrypted;
    } else if (client->file >= 0) {
        flags = MSG_MORE;
    }
    if (output->length > 0)
        sent = send(client->watcher.fd, output->bytes, output->length, flags);
    if (sent < 0 && !is_worth_another_try(errno)) {
        warn("send");
        return false;
    }
    if (sent < 0)
        sent = 0;
    bool is_kept = true;
    if ((size_t)sent < output->length)
        is_kept = store_unsent(client, output, (size_t)sent);
    output->length = 0;
    return is_kept;
}

/* Sends more of the unsent bytes. */
static bool send_unsent(struct client *client) {
    ssize_t sent =
        send(client->watcher.fd, client->unsent, client->unsent_length, 0);
    if (sent < 0 && is_worth_another_try(errno))
        return true;
    if (sent < 0) {
        warn("send");
        return false;
    }
    client->unsent_length -= (size_t)sent;
    memmove(client->unsent, client->unsent + sent, client->unsent_length);
    if (client->unsent_length == 0) {
        free(client->unsent);
        client->unsent = NULL;
    }
    return true;
}

/* Sends more of the file, without TLS: lesson 20. */
static bool send_file(struct client *client) {
    size_t length = SENDFILE_BYTES;
    if (length > client->left)
        length = (size_t)client->left;
    ssize_t sent =
        sendfile(client->watcher.fd, client->file, &client->at, length);
    if (sent < 0 && is_worth_another_try(errno))
        return true;
    if (sent < 0) {
        warn("sendfile");
        return false;
    }
    if (sent == 0) {
        warnx("a file became shorter while we sent it");
        return false;
    }
    client->left -= (uint64_t)sent;
    return true;
}

/* Reads more of the file behind the output, as much as fits, and sends it. The
 * records leave in one send. */
static bool send_encrypted_file(struct client *client) {
    struct output *output = &client->server->output;
    size_t length = 0;
    if (output->length < OUTPUT_FULL)
        length = OUTPUT_FULL - output->length;
    if (length > client->left)
        length = (size_t)client->left;
    if (!add_bytes_of_file(output, client->file, client->at, length))
        return false;
    client->at += (off_t)length;
    client->left -= length;
    return send_output(client);
}

/* Sends what can be sent now. Returns false when the connection is of no more
 * use. */
static bool send_more(struct client *client) {
    if (client->unsent != NULL)
        return send_unsent(client);
    if (client->file < 0)
        return true;
    bool is_good;
    if (client->ssl == NULL)
        is_good = send_file(client);
    else
        is_good = send_encrypted_file(client);
    if (client->left == 0)
        close_file(client);
    return is_good;
}

/* ---- What a client does ----------------------------------------------------
 */

/* We send no more. If we closed now, while the client still sends, it would be
 * told of a reset, and could lose our reply: lesson 06. So we wait for its end,
 * but not for long. */
static void begin_leaving(struct client *client) {
    if (client->ssl != NULL)
        (void)SSL_shutdown(client->ssl); /* adds a record to the output */
    ERR_clear_error(); /* the queue is to be empty for the next client */
    if (!send_output(client)) {
        close_client(client);
        return;
    }
    set_state(client, LEAVING);
    (void)shutdown(client->watcher.fd, SHUT_WR);
    loop_start_timer(&client->server->leave_time, &client->timer);
    (void)watch(client, EPOLLIN);
}

static bool is_writing(const struct client *client) {
    return client->unsent != NULL || client->file >= 0;
}

/* Waits for the next request, or for the rest of one that has begun. The time
 * for a request does not begin anew with each of its bytes, or a client could
 * send one byte from time to time, and stay for ever. */
static void wait_for_request(struct client *client) {
    struct server *server = client->server;
    bool has_begun = client->unread != NULL || client->to_skip > 0;
    if (!has_begun) {
        set_state(client, IDLE);
        loop_start_timer(&server->idle_time, &client->timer);
    } else if (client->state != READING) {
        set_state(client, READING);
        loop_start_timer(&server->head_time, &client->timer);
    }
    (void)watch(client, EPOLLIN);
}

/* Sets the state that follows from what is left to be sent, and waits for what
 * it needs. */
static void choose_state(struct client *client) {
    if (is_writing(client)) {
        set_state(client, WRITING);
        loop_start_timer(&client->server->write_time, &client->timer);
        (void)watch(client, EPOLLOUT);
    } else if (client->closes || client->has_ended) {
        begin_leaving(client);
    } else {
        wait_for_request(client);
    }
}

/* Sends the output, and as much of the file as the client takes. Returns false
 * when the connection is of no more use. */
static bool send_reply(struct client *client) {
    if (client->file >= 0 && client->ssl != NULL)
        return send_more(client); /* the head leaves together with the file */
    if (!send_output(client))
        return false;
    if (client->file >= 0 && client->unsent == NULL)
        return send_more(client);
    return true;
}

/* Puts what was unread and what has come one behind the other. */
static void collect_requests(struct client *client, const char *bytes,
                             size_t length, struct requests *requests) {
    struct server *server = client->server;
    requests->bytes = server->input;
    requests->length = client->unread_length;
    if (client->unread != NULL)
        memcpy(server->input, client->unread, client->unread_length);
    if (length > 0)
        memcpy(server->input + requests->length, bytes, length);
    requests->length += length;
    free(client->unread);
    client->unread = NULL;
    client->unread_length = 0;
}

/* Handles the requests that are unread, and length bytes that have come. */
static void handle_input(struct client *client, const char *bytes,
                         size_t length) {
    struct requests requests;
    enum handled handled;
    collect_requests(client, bytes, length, &requests);
    do {
        handled = handle_requests(client, &requests);
        if (handled == USELESS || !send_reply(client)) {
            close_client(client);
            return;
        }
    } while (handled == INTERRUPTED && !client->closes && !is_writing(client));
    /* What comes behind the last request is ignored. */
    if (!client->closes && !store_unread(client, &requests)) {
        close_client(client);
        return;
    }
    choose_state(client);
}

/* SSL_read has returned no bytes. Returns false when the connection is of no
 * more use. */
static bool handle_no_bytes(struct client *client, int result) {
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_ZERO_RETURN:
        client->has_ended = true;
        return true;
    default:
        (void)send_output(client); /* OpenSSL may have an alert for it */
        return false;
    }
}

/* Lets OpenSSL work on the input: on the handshake, and then on requests. */
static void handle_encrypted_input(struct client *client) {
    struct server *server = client->server;
    size_t length = 0;
    int result;
    do {
        result = SSL_read(client->ssl, server->plain + length,
                          (int)(PLAIN_BYTES - length));
        if (result > 0)
            length += (size_t)result;
    } while (result > 0 && length < PLAIN_BYTES);
    if (result <= 0 && !handle_no_bytes(client, result)) {
        close_client(client);
        return;
    }
    if (!SSL_is_init_finished(client->ssl)) {
        /* It fits into what the kernel keeps for us: it is the first. */
        if (!send_output(client) || client->unsent != NULL)
            close_client(client);
        return;
    }
    if (client->state == SHAKING_HANDS)
        set_state(client, IDLE);
    handle_input(client, server->plain, length);
}

/* Receives what the client has sent, and handles it. */
static void receive_input(struct client *client) {
    struct server *server = client->server;
    ssize_t received =
        recv(client->watcher.fd, server->wire.input, INPUT_BYTES, 0);
    if (received < 0 && is_worth_another_try(errno))
        return;
    /* A client that closes at once may reset our goodbye, which is no news. */
    if (received < 0 && client->state != LEAVING)
        warn("recv");
    if (received <= 0) {
        close_client(client);
        return;
    }
    if (client->state == LEAVING)
        return; /* it is ignored */
    if (client->ssl == NULL) {
        handle_input(client, server->wire.input, (size_t)received);
        return;
    }
    server->wire.input_length = (size_t)received;
    server->wire.input_taken = 0;
    handle_encrypted_input(client);
}

/* Sends more. When all has been sent, the next request may have come already.
 */
static void continue_reply(struct client *client) {
    if (!send_more(client))
        close_client(client);
    else if (is_writing(client))
        loop_start_timer(&client->server->write_time, &client->timer);
    else if (client->closes)
        begin_leaving(client);
    else
        handle_input(client, NULL, 0);
}

/* The loop calls this when a client is ready. */
static void handle_client(void *owner, uint32_t events) {
    struct client *client = owner;
    (void)events; /* an error is reported by the next call */
    empty_outputs(client->server);
    update_dates(client->server);
    if (client->state == WRITING)
        continue_reply(client);
    else
        receive_input(client);
}

/* The loop calls this when a client has been slow. */
static void handle_slow_client(void *owner) {
    struct client *client = owner;
    if (client->unread == NULL) {
        close_client(client);
        return;
    }
    empty_outputs(client->server);
    update_dates(client->server);
    refuse_request(client, client->unread, client->unread_length, 408);
    if (!send_reply(client)) {
        close_client(client);
        return;
    }
    choose_state(client);
}

/* The loop calls this when the time of a client that leaves is over. */
static void handle_late_client(void *owner) {
    close_client(owner);
}

/* ---- Accepting -------------------------------------------------------------
 */

static void admit_client(struct server *server, int fd,
                         const struct sockaddr_in *peer) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        warn("calloc");
        (void)close(fd);
        return;
    }
    client->server = server;
    client->watcher.handle = handle_client;
    client->watcher.owner = client;
    client->watcher.fd = fd;
    client->timer.owner = client;
    client->state = IDLE;
    client->file = -1;
    client->address = peer->sin_addr.s_addr;
    server->clients++;
    if (server->context != NULL) {
        client->state = SHAKING_HANDS;
        client->ssl = make_ssl(server);
        if (client->ssl == NULL) {
            warnx("SSL_new: out of memory");
            close_client(client);
            return;
        }
    }
    if (client->state == SHAKING_HANDS)
        loop_start_timer(&server->head_time, &client->timer);
    else
        loop_start_timer(&server->idle_time, &client->timer);
    (void)watch(client, EPOLLIN);
}

/* The loop calls this when the pause after a failed accept is over. */
static void end_pause(void *owner) {
    struct server *server = owner;
    if (server->clients < server->most_clients)
        watch_listener(server);
}

/* The loop calls this when a client is in the queue. */
static void accept_client(void *owner, uint32_t events) {
    struct server *server = owner;
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    (void)events;
    int fd = accept4(server->listener.fd, (struct sockaddr *)&peer, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return;
    if (fd < 0) {
        warn("accept");
        (void)loop_watch(&server->loop, &server->listener, 0);
        loop_start_timer(&server->pause_time, &server->pause_timer);
        return;
    }
    admit_client(server, fd, &peer);
    if (server->clients == server->most_clients)
        (void)loop_watch(&server->loop, &server->listener, 0);
}

/* ---- The server ------------------------------------------------------------
 */

/* If 0, 1 or 2 were free, a socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static SSL_CTX *make_context(const char *cert, const char *key) {
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL) {
        char reason[TLS_REASON_BYTES];
        errx(1, "%s with %s: %s", cert, key, tls_explain(NULL, reason));
    }
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    const char *failed;
    int fd = listener_open((const struct sockaddr *)&own, sizeof own, SOMAXCONN,
                           0, &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    /* The sockets that it accepts inherit TCP_NODELAY: lesson 05. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

static void set_timeout(struct server *server, struct loop_timeout *timeout,
                        int milliseconds, void (*handle)(void *owner)) {
    timeout->milliseconds = milliseconds;
    timeout->handle = handle;
    loop_add_timeout(&server->loop, timeout);
}

/* Gets all that the server needs before it can listen. */
static void prepare(struct server *server) {
    const char *failed;
    if (server->context != NULL)
        server->wire_method = make_wire_method();
    server->wire.input = malloc(INPUT_BYTES);
    server->plain = malloc(PLAIN_BYTES);
    server->input = malloc(2 * PLAIN_BYTES + HEAD_BYTES);
    if (server->wire.input == NULL || server->plain == NULL ||
        server->input == NULL)
        err(1, "malloc");
    require_room(&server->output, OUTPUT_BYTES);
    if (server->context != NULL)
        require_room(&server->encrypted, OUTPUT_BYTES);
    if (loop_open(&server->loop, &failed) < 0)
        err(1, "%s", failed);
    set_timeout(server, &server->head_time, HEAD_MS, handle_slow_client);
    set_timeout(server, &server->idle_time, IDLE_MS, handle_slow_client);
    set_timeout(server, &server->write_time, WRITE_MS, handle_late_client);
    set_timeout(server, &server->leave_time, LEAVE_MS, handle_late_client);
    set_timeout(server, &server->pause_time, PAUSE_MS, end_pause);
    server->pause_timer.owner = server;
}

static void start_listening(struct server *server, in_port_t port) {
    const char *failed;
    server->listener.handle = accept_client;
    server->listener.owner = server;
    server->listener.fd = open_listener(port);
    if (loop_watch(&server->loop, &server->listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (listener_announce(server->listener.fd, &failed) < 0)
        err(1, "%s", failed);
}

/* Handles events for so many milliseconds, or until there are some (-1). The
 * lines of the log are written once for all of them. */
static void handle_events(struct server *server, int milliseconds) {
    if (loop_turn(&server->loop, milliseconds) < 0) {
        warn("epoll_wait");
        deadline_pause(PAUSE_MS);
    }
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
}

/* Accepts no more clients. Replies that have been begun are sent to their end,
 * if that does not take long. */
static void finish(struct server *server) {
    struct deadline end = deadline_after(STOP_MS);
    (void)loop_watch(&server->loop, &server->listener, 0);
    (void)close(server->listener.fd);
    while (server->writing > 0 && deadline_left(end) > 0)
        handle_events(server, deadline_left(end));
}

static int open_root(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    return fd;
}

static int parse_clients(const char *text) {
    unsigned long long number;
    if (number_parse(text, 1, MOST_CLIENTS, &number) < 0)
        errx(1, "%s is not a number of clients: 1 to %d", text, MOST_CLIENTS);
    return (int)number;
}

int main(int argc, char **argv) {
    static struct server server;
    static char log_lines[LOG_BYTES];
    const char *cert = NULL;
    const char *key = NULL;
    in_port_t port;
    server.most_clients = DEFAULT_CLIENTS;
    for (;;) {
        int option = getopt(argc, argv, "+hs:m:");
        if (option == -1)
            break;
        if (option == 'h') {
            usage(stdout, 0);
        } else if (option == 's' && optind < argc) {
            cert = optarg;
            key = argv[optind]; /* -s has two arguments */
            optind++;
        } else if (option == 'm') {
            server.most_clients = parse_clients(optarg);
        } else {
            usage(stderr, 2);
        }
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    const char *port_text = argv[optind + 1];
    if (addr_parse_port(port_text, strlen(port_text), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", port_text, LARGEST_PORT);
    require_standard_descriptors();
    /* When a client has left, send must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    (void)setvbuf(stdout, log_lines, _IOFBF, sizeof log_lines);
    raise_descriptor_limit();
    server.root = open_root(argv[optind]);
    if (cert != NULL)
        server.context = make_context(cert, key);
    prepare(&server);
    start_listening(&server, port);
    while (!server.loop.is_stop_requested)
        handle_events(&server, -1);
    finish(&server);
    return 0; /* this closes all connections */
}
