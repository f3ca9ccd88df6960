/*
 * resume: a web server with one file, whose downloads are cut, for the exercise
 * of lesson 31.
 *
 *     resume [OPTION...] PORT
 *     resume [OPTION...] payload
 *     resume faces
 *
 * Listens on a port of 127.0.0.1 and prints `listening on 127.0.0.1:PORT`. It
 * answers one request on each connection, whatever its path, and prints the
 * head of each request. A request with a Range gets that part of the file, if
 * its If-Range is the ETag of the file, or if it has none.
 *
 *     -s SEED   the bytes of the file are drawn from it (1)
 *     -n BYTES  the file has so many (1000)
 *     -c COUNT  the first COUNT replies with a body are cut (1)
 *     -k BYTES  they are cut after so many bytes of the body (400)
 *     -e ETAG   the file has this ETag ("a7c3"); with -e '' it has none
 *     -f FACE   it answers in this way (length)
 *
 * `payload` prints the bytes of the file, and `faces` the names of all faces.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "http.h"
#include "listener.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20 * 1000,
    LARGEST_FILE = 1 << 20,
    HEAD_BYTES = 4096,
    PAUSE_MS = 1, /* between two pieces of a reply */
    PIECE_BYTES = 7,
    FEWER = 100,          /* of the face few */
    BEFORE_RESET_MS = 10, /* so that the bytes arrive first */
};

/* How it answers. */
enum face {
    LENGTH,    /* the body has a Content-Length */
    CHUNKS,    /* it comes in chunks */
    END,       /* it ends with the connection */
    DRIBBLE,   /* the reply comes a few bytes at a time */
    BUSY,      /* a head with status 100 comes before that of the reply */
    IGNORE,    /* the server knows no ranges */
    EARLY,     /* a range begins one byte too early */
    LATE,      /* a range begins one byte too late */
    SHORT,     /* a range ends one byte before the file does */
    BARE,      /* a range has no Content-Range */
    FEW,       /* a range has fewer bytes than its Content-Range says */
    FAIL,      /* there is a 503 for each range */
    ABSENT,    /* there is a 404 for everything */
    SILENT,    /* the connection ends without a reply */
    STALL,     /* instead of a cut, the rest does not come */
    RESET,     /* instead of a cut, there is a reset */
    END_STALL, /* STALL, for a body that ends with the connection */
    END_RESET, /* RESET, for such a body */
    TAGLESS,   /* a range has no ETag */
    FACES,
};

static const char *const face_names[FACES] = {
    "length", "chunks", "end",       "dribble",   "busy",    "ignore", "early",
    "late",   "short",  "bare",      "few",       "fail",    "absent", "silent",
    "stall",  "reset",  "end-stall", "end-reset", "tagless",
};

struct server {
    enum face face;
    const char *etag;
    uint64_t seed;
    unsigned long long size; /* of the file */
    unsigned long long cuts; /* so many replies are still to be cut */
    unsigned long long kept; /* so many bytes each of them has */
    char file[LARGEST_FILE];
};

/* A reply that is being put together. */
struct reply {
    const char *status;
    char fields[HEAD_BYTES];
    const char *body;
    size_t length;
};

static _Noreturn void usage(void) {
    fputs("usage: resume [OPTION...] PORT|payload\n"
          "       resume faces\n",
          stderr);
    exit(2);
}

/* Draws the file from the seed, by xorshift64*. Its first byte is a NUL, which
 * a program that takes bytes for text does not survive. */
static void make_file(struct server *server) {
    uint64_t state = server->seed;
    for (size_t i = 0; i < server->size; i++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        server->file[i] = (char)(state * 0x2545F4914F6CDD1DULL >> 56);
    }
    server->file[0] = '\0';
}

/* ---- What to answer --------------------------------------------------------
 */

/* Reads "bytes=400-". Returns false if it is anything else. */
static bool parse_range(const struct http_text *range,
                        unsigned long long *first) {
    static const char unit[] = "bytes=";
    char text[HEAD_BYTES];
    (void)snprintf(text, sizeof text, "%.*s", (int)range->length, range->bytes);
    size_t length = strlen(text);
    if (strncmp(text, unit, strlen(unit)) != 0 || text[length - 1] != '-')
        return false;
    text[length - 1] = '\0';
    return number_parse(text + strlen(unit), 0, LARGEST_FILE, first) == 0;
}

/* Returns whether the request wants a part, and may have it. */
static bool wants_part(const struct server *server,
                       const struct http_head *request,
                       unsigned long long *first) {
    const struct http_text *range = http_find(request, "Range");
    const struct http_text *condition = http_find(request, "If-Range");
    if (server->face == IGNORE || range == NULL)
        return false;
    if (condition != NULL) {
        bool is_strong = server->etag[0] == '"';
        if (!is_strong || condition->length != strlen(server->etag) ||
            memcmp(condition->bytes, server->etag, condition->length) != 0)
            return false;
    }
    return parse_range(range, first);
}

static void add_field(struct reply *reply, const char *name,
                      const char *value) {
    size_t length = strlen(reply->fields);
    (void)snprintf(reply->fields + length, sizeof reply->fields - length,
                   "%s: %s\r\n", name, value);
}

static void say_status(struct reply *reply, const char *status) {
    reply->status = status;
    reply->body = "No.\n";
    reply->length = strlen(reply->body);
}

static void give_part(const struct server *server, struct reply *reply,
                      unsigned long long first) {
    char range[HEAD_BYTES];
    unsigned long long last = server->size - 1;
    if (server->face == EARLY)
        first--;
    if (server->face == LATE)
        first++;
    if (server->face == SHORT)
        last--;
    reply->status = "206 Partial Content";
    reply->body = server->file + first;
    reply->length = (size_t)(last + 1 - first);
    if (server->face == FEW && reply->length > FEWER)
        reply->length -= FEWER;
    (void)snprintf(range, sizeof range, "bytes %llu-%llu/%llu", first, last,
                   server->size);
    if (server->face != BARE)
        add_field(reply, "Content-Range", range);
}

static void choose_reply(const struct server *server, struct reply *reply,
                         const struct http_head *request) {
    unsigned long long first;
    char range[HEAD_BYTES];
    bool is_part = wants_part(server, request, &first);
    bool has_tag = server->etag[0] != '\0';
    if (is_part && server->face == TAGLESS)
        has_tag = false;
    if (has_tag)
        add_field(reply, "ETag", server->etag);
    if (server->face == ABSENT) {
        say_status(reply, "404 Not Found");
    } else if (is_part && server->face == FAIL) {
        say_status(reply, "503 Service Unavailable");
    } else if (is_part && first >= server->size) {
        (void)snprintf(range, sizeof range, "bytes */%llu", server->size);
        add_field(reply, "Content-Range", range);
        say_status(reply, "416 Range Not Satisfiable");
    } else if (is_part) {
        give_part(server, reply, first);
    } else {
        reply->status = "200 OK";
        reply->body = server->file;
        reply->length = server->size;
    }
}

/* ---- How it is sent --------------------------------------------------------
 */

/* Bytes that are to be sent. */
struct message {
    size_t length;
    char bytes[HEAD_BYTES + 2 * LARGEST_FILE];
};

static void append(struct message *message, const char *bytes, size_t length) {
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static void append_text(struct message *message, const char *text) {
    append(message, text, strlen(text));
}

/* Writes a body into the message, up to the kept bytes. */
static void append_body(struct message *message, const struct reply *reply,
                        size_t kept, bool is_chunked) {
    char size[sizeof "ffffffffffffffff\r\n"];
    if (!is_chunked) {
        append(message, reply->body, kept);
        return;
    }
    size_t done = 0;
    while (done < kept) {
        size_t piece = 1 + done / 2;
        if (piece > kept - done)
            piece = kept - done;
        (void)snprintf(size, sizeof size, "%zx\r\n", piece);
        append_text(message, size);
        append(message, reply->body + done, piece);
        append_text(message, "\r\n");
        done += piece;
    }
    if (kept == reply->length)
        append_text(message, "0\r\n\r\n");
}

static void send_message(const struct server *server, int fd,
                         const struct message *message) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    size_t piece = message->length;
    size_t done = 0;
    size_t sent;
    if (server->face == DRIBBLE)
        piece = PIECE_BYTES;
    while (done < message->length) {
        if (piece > message->length - done)
            piece = message->length - done;
        /* A client that has gone needs no reply. */
        if (deadline_send(deadline, fd, message->bytes + done, piece, &sent) <
            0)
            return;
        done += piece;
        if (server->face == DRIBBLE)
            deadline_pause(PAUSE_MS);
    }
}

/* What comes instead of the rest of a reply. */
static void end_early(const struct server *server, int fd) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    char byte;
    if (server->face == STALL ||
        server->face == END_STALL) /* until the client gives up */
        (void)deadline_recv(deadline_after(PATIENCE_MS), fd, &byte, 1);
    if (server->face == RESET || server->face == END_RESET) {
        deadline_pause(BEFORE_RESET_MS);
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
}

/* Returns whether a body has no length, and no chunks. */
static bool ends_with_connection(enum face face) {
    return face == END || face == END_STALL || face == END_RESET;
}

static void send_reply(struct server *server, int fd,
                       const struct reply *reply) {
    static struct message message;
    char length[HEAD_BYTES];
    bool has_body = reply->status[0] == '2';
    bool is_cut = has_body && server->cuts > 0 && server->kept < reply->length;
    size_t kept = reply->length;
    if (is_cut) {
        server->cuts--;
        kept = (size_t)server->kept;
    }
    message.length = 0;
    if (server->face == BUSY)
        append_text(&message, "HTTP/1.1 100 Continue\r\n\r\n");
    append_text(&message, "HTTP/1.1 ");
    append_text(&message, reply->status);
    append_text(&message, "\r\nConnection: close\r\n");
    append_text(&message, reply->fields);
    (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n",
                   reply->length);
    bool is_chunked = has_body && server->face == CHUNKS;
    if (is_chunked)
        append_text(&message, "Transfer-Encoding: chunked\r\n");
    else if (!has_body || !ends_with_connection(server->face))
        append_text(&message, length);
    append_text(&message, "\r\n");
    append_body(&message, reply, kept, is_chunked);
    send_message(server, fd, &message);
    if (is_cut)
        end_early(server, fd);
}

/* ---- Requests --------------------------------------------------------------
 */

static void print_head(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\r')
            (void)putchar(bytes[i]);
    }
    (void)fflush(stdout);
}

static void serve(struct server *server, int fd) {
    static struct http_head request;
    char buffer[HTTP_HEAD_BYTES];
    size_t length = 0;
    const char *flaw;
    enum http_result result = HTTP_UNFINISHED;
    while (result == HTTP_UNFINISHED) {
        ssize_t received =
            deadline_recv(deadline_after(PATIENCE_MS), fd, buffer + length,
                          sizeof buffer - length);
        if (received <= 0)
            return;
        length += (size_t)received;
        result = http_parse_request(&request, buffer, length, &flaw);
    }
    if (result == HTTP_BAD) {
        printf("a request with %s\n", flaw);
        (void)fflush(stdout);
        return;
    }
    print_head(buffer, request.length);
    if (server->face == SILENT)
        return;
    struct reply reply = {0};
    choose_reply(server, &reply, &request);
    send_reply(server, fd, &reply);
}

static enum face parse_face(const char *name) {
    int face = 0;
    while (face < FACES && strcmp(face_names[face], name) != 0)
        face++;
    if (face == FACES)
        usage();
    return (enum face)face;
}

static unsigned long long parse_number(const char *text, size_t most) {
    unsigned long long number;
    if (number_parse(text, 0, most, &number) < 0)
        usage();
    return number;
}

static void parse_options(struct server *server, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+c:e:f:k:n:s:");
        if (option == -1)
            break;
        if (option == 'c')
            server->cuts = parse_number(optarg, UINT32_MAX);
        else if (option == 'e')
            server->etag = optarg;
        else if (option == 'f')
            server->face = parse_face(optarg);
        else if (option == 'k')
            server->kept = parse_number(optarg, LARGEST_FILE);
        else if (option == 'n')
            server->size = parse_number(optarg, LARGEST_FILE);
        else if (option == 's')
            server->seed = parse_number(optarg, SIZE_MAX);
        else
            usage();
    }
    if (argc - optind != 1)
        usage();
}

static int print_payload(const struct server *server) {
    (void)fwrite(server->file, 1, server->size, stdout);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}

static int print_faces(void) {
    for (int face = 0; face < FACES; face++)
        puts(face_names[face]);
    return 0;
}

int main(int argc, char **argv) {
    static struct server server = {
        .etag = "\"a7c3\"", .seed = 1, .size = 1000, .cuts = 1, .kept = 400};
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    in_port_t port;
    parse_options(&server, argc, argv);
    make_file(&server);
    const char *text = argv[optind];
    if (strcmp(text, "payload") == 0)
        return print_payload(&server);
    if (strcmp(text, "faces") == 0)
        return print_faces();
    if (addr_parse_port(text, strlen(text), 0, &port) < 0)
        errx(1, "%s is not a port", text);
    address.sin_port = htons(port);
    int listener = listener_open((struct sockaddr *)&address, sizeof address,
                                 SOMAXCONN, 0, &failed);
    if (listener < 0 || listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        serve(&server, fd);
        (void)close(fd);
    }
}
