/*
 * rude-http: a web server that answers each request in one odd way.
 *
 *     rude-http [-p PORT] [-k COUNT] [-m] serve FACE
 *     rude-http faces
 *
 * Listens on a port of 127.0.0.1, prints `listening on 127.0.0.1:PORT`, and
 * sends the reply of its FACE on each connection, as soon as a request has
 * come. `faces` prints the names of all faces.
 *
 * With -k the first COUNT requests get a good reply, and their connection goes
 * on. With -m a connection goes on after the reply of the FACE, too, if its
 * ending is only that the server closes.
 *
 * Where a reply is good enough for a client that is lenient, its body is
 * `hello` and a newline.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "listener.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20 * 1000,
    REQUEST_BYTES = 65536,
    PAUSE_MS = 1,         /* between two bytes of a reply that dribbles */
    BEFORE_RESET_MS = 20, /* so that the bytes arrive first */
    FLOOD = 200 * 1000 * 1000,
};

/* What the server does when it has sent its reply. */
enum ending {
    CLOSES,
    DRIBBLES, /* sends it a byte at a time, and closes */
    RESETS,
    STALLS, /* keeps the connection until the client closes it */
};

/* A reply: its beginning, then a part that is repeated, then its end. */
struct face {
    const char *name;
    enum ending ending;
    const char *beginning;
    size_t length; /* of a beginning that has a NUL in it; 0: strlen says it */
    const char *repeated;
    size_t times;
    const char *end;
};

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define HELLO "Content-Length: 6\r\n\r\nhello\n"

static const struct face faces[] = {
    /* Good, if perhaps unusual. */
    {.name = "good", .beginning = OK HELLO},
    {.name = "dribble", .ending = DRIBBLES, .beginning = OK HELLO},
    {.name = "stays-open", .ending = STALLS, .beginning = OK HELLO},
    {.name = "lf-only",
     .beginning = "HTTP/1.1 200 OK\nContent-Length: 6\n\nhello\n"},
    {.name = "no-reason", .beginning = "HTTP/1.1 200\r\n" HELLO},
    {.name = "empty-reason", .beginning = "HTTP/1.1 200 \r\n" HELLO},
    {.name = "long-reason",
     .beginning = "HTTP/1.1 200 ",
     .repeated = "O",
     .times = 9000,
     .end = "K\r\n" HELLO},
    {.name = "version-1.0", .beginning = "HTTP/1.0 200 OK\r\n" HELLO},
    {.name = "version-1.9", .beginning = "HTTP/1.9 200 OK\r\n" HELLO},
    {.name = "small-names", .beginning = OK "content-length: 6\r\n\r\nhello\n"},
    {.name = "no-blank", .beginning = OK "Content-Length:6\r\n\r\nhello\n"},
    {.name = "many-blanks",
     .beginning = OK "Content-Length: \t 6 \t \r\n\r\nhello\n"},
    {.name = "folded", .beginning = OK "X-A: one\r\n two\r\n\tthree\r\n" HELLO},
    {.name = "folded-length",
     .beginning = OK "Content-Length:\r\n 6\r\n\r\nhello\n"},
    {.name = "empty-value", .beginning = OK "X-A:\r\n" HELLO},
    {.name = "eight-bits", .beginning = OK "X-A: \xe4\xf6\xfc\r\n" HELLO},
    {.name = "escape-in-value", .beginning = OK "X-A: \x1b[2J\r\n" HELLO},
    {.name = "continue", .beginning = "HTTP/1.1 100 Continue\r\n\r\n" OK HELLO},
    {.name = "hundred-hints",
     .beginning = "",
     .repeated = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
     .times = 100,
     .end = OK HELLO},
    {.name = "until-end", .beginning = OK "\r\nhello\n"},
    {.name = "until-end-close",
     .beginning = OK "Connection: close\r\n\r\nhello\n"},
    {.name = "no-fields", .beginning = "HTTP/1.0 200 OK\r\n\r\nhello\n"},
    {.name = "length-0", .beginning = OK "Content-Length: 0\r\n\r\n"},
    {.name = "length-zeros",
     .beginning = OK "Content-Length: 0000000006\r\n\r\nhello\n"},
    {.name = "same-length-twice",
     .beginning = OK "Content-Length: 6\r\n" HELLO},
    {.name = "same-length-listed",
     .beginning = OK "Content-Length: 6, 6\r\n\r\nhello\n"},
    {.name = "more-than-length", .beginning = OK HELLO "and more\n"},
    {.name = "second-reply", .beginning = OK HELLO OK HELLO},
    {.name = "no-content", .beginning = "HTTP/1.1 204 No Content\r\n\r\n"},
    {.name = "no-content-with-body",
     .beginning = "HTTP/1.1 204 No Content\r\n" HELLO},
    {.name = "chunks",
     .beginning = CHUNKED "2\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\n"},
    {.name = "chunks-dribble",
     .ending = DRIBBLES,
     .beginning = CHUNKED "2\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\n"},
    {.name = "chunks-lf", .beginning = CHUNKED "6\nhello\n\n0\n\n"},
    {.name = "chunks-capitals",
     .beginning = OK "TRANSFER-ENCODING: Chunked\r\n\r\n"
                     "00006\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-extension",
     .beginning = CHUNKED "6;a=\"b\"\r\nhello\n\r\n0;c\r\n\r\n"},
    {.name = "chunk-blank", .beginning = CHUNKED "6 \r\nhello\n\r\n0 \r\n\r\n"},
    {.name = "chunk-trailer",
     .beginning = CHUNKED "6\r\nhello\n\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n"},
    {.name = "chunks-and-length",
     .beginning = OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "many-chunks",
     .beginning = CHUNKED "6\r\nhello\n\r\n",
     .repeated = "1\r\n!\r\n",
     .times = 5000,
     .end = "0\r\n\r\n"},
    {.name = "fields-199",
     .beginning = OK,
     .repeated = "X-A: b\r\n",
     .times = 199,
     .end = HELLO},
    {.name = "head-60000",
     .beginning = OK "X-A: ",
     .repeated = "b",
     .times = 60000,
     .end = "\r\n" HELLO},
    {.name = "not-found", .beginning = "HTTP/1.1 404 Not Found\r\n" HELLO},
    {.name = "status-299", .beginning = "HTTP/1.1 299 Fine\r\n" HELLO},
    {.name = "status-999", .beginning = "HTTP/1.1 999 What\r\n" HELLO},
    {.name = "escape-in-reason",
     .beginning = "HTTP/1.1 404 \x1b[2JGone\r\n" HELLO},
    {.name = "moved-nowhere", .beginning = "HTTP/1.1 302 Found\r\n" HELLO},
    /* The connection is cut. */
    {.name = "nothing", .beginning = ""},
    {.name = "reset-at-once", .ending = RESETS, .beginning = ""},
    {.name = "silent", .ending = STALLS, .beginning = ""},
    {.name = "cut-in-version", .beginning = "HTTP/1."},
    {.name = "cut-in-status", .beginning = "HTTP/1.1 200 OK"},
    {.name = "cut-in-field", .beginning = OK "Content-Len"},
    {.name = "cut-before-empty-line", .beginning = OK "Content-Length: 6\r\n"},
    {.name = "cut-in-continue",
     .beginning = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 O"},
    {.name = "only-continue", .beginning = "HTTP/1.1 100 Continue\r\n\r\n"},
    {.name = "cut-body", .beginning = OK "Content-Length: 7\r\n\r\nhello\n"},
    {.name = "cut-body-close",
     .beginning = OK "Connection: close\r\nContent-Length: 7\r\n\r\nhello\n"},
    {.name = "cut-empty-body", .beginning = OK "Content-Length: 6\r\n\r\n"},
    {.name = "reset-body",
     .ending = RESETS,
     .beginning = OK "Content-Length: 7\r\n\r\nhello\n"},
    {.name = "reset-until-end",
     .ending = RESETS,
     .beginning = OK "\r\nhello\n"},
    {.name = "stall-head", .ending = STALLS, .beginning = OK},
    {.name = "stall-body",
     .ending = STALLS,
     .beginning = OK "Content-Length: 7\r\n\r\nhello\n"},
    {.name = "stall-chunk",
     .ending = STALLS,
     .beginning = CHUNKED "7\r\nhello\n"},
    {.name = "cut-chunk-size", .beginning = CHUNKED "6"},
    {.name = "cut-chunk", .beginning = CHUNKED "7\r\nhello\n"},
    {.name = "cut-behind-chunk", .beginning = CHUNKED "6\r\nhello\n"},
    {.name = "cut-before-last-chunk", .beginning = CHUNKED "6\r\nhello\n\r\n"},
    {.name = "cut-last-chunk", .beginning = CHUNKED "6\r\nhello\n\r\n0"},
    {.name = "cut-trailer",
     .beginning = CHUNKED "6\r\nhello\n\r\n0\r\nX-A: b\r\n"},
    {.name = "no-end-of-trailer", .beginning = CHUNKED "6\r\nhello\n\r\n0\r\n"},
    /* The first line is wrong. */
    {.name = "no-http", .beginning = "hello\n"},
    {.name = "another-protocol", .beginning = "SSH-2.0-OpenSSH_9.2\r\n"},
    {.name = "http-2", .beginning = "HTTP/2 200 OK\r\n" HELLO},
    {.name = "version-2.0", .beginning = "HTTP/2.0 200 OK\r\n" HELLO},
    {.name = "version-1.", .beginning = "HTTP/1. 200 OK\r\n" HELLO},
    {.name = "version-1.11", .beginning = "HTTP/1.11 200 OK\r\n" HELLO},
    {.name = "version-small", .beginning = "http/1.1 200 OK\r\n" HELLO},
    {.name = "icy", .beginning = "ICY 200 OK\r\n" HELLO},
    {.name = "status-20", .beginning = "HTTP/1.1 20 OK\r\n" HELLO},
    {.name = "status-2000", .beginning = "HTTP/1.1 2000 OK\r\n" HELLO},
    {.name = "status-099", .beginning = "HTTP/1.1 099 OK\r\n" HELLO},
    {.name = "status-2x0", .beginning = "HTTP/1.1 2x0 OK\r\n" HELLO},
    {.name = "status-negative", .beginning = "HTTP/1.1 -20 OK\r\n" HELLO},
    {.name = "no-status", .beginning = "HTTP/1.1\r\n" HELLO},
    {.name = "two-blanks", .beginning = "HTTP/1.1  200 OK\r\n" HELLO},
    {.name = "blank-first", .beginning = " HTTP/1.1 200 OK\r\n" HELLO},
    {.name = "empty-line-first", .beginning = "\r\n" OK HELLO},
    {.name = "switching-protocols",
     .beginning = "HTTP/1.1 101 Switching Protocols\r\n\r\n" OK HELLO},
    {.name = "part-not-asked-for",
     .beginning = "HTTP/1.1 206 Partial Content\r\n"
                  "Content-Range: bytes 0-5/9\r\n" HELLO},
    /* A field is wrong. */
    {.name = "no-colon", .beginning = OK "X-A b\r\n" HELLO},
    {.name = "blank-before-colon",
     .beginning = OK "Content-Length : 6\r\n\r\nhello\n"},
    {.name = "no-name", .beginning = OK ": b\r\n" HELLO},
    {.name = "blank-in-name", .beginning = OK "X A: b\r\n" HELLO},
    {.name = "folded-first", .beginning = OK " X-A: b\r\n" HELLO},
    {.name = "cr-in-value", .beginning = OK "X-A: b\rX-C: d\r\n" HELLO},
    {.name = "cr-before-cr-lf", .beginning = OK "X-A: b\r\r\n" HELLO},
    {.name = "nul-in-value",
     .beginning = OK "X-A: b\0c\r\n" HELLO,
     .length = sizeof OK "X-A: b\0c\r\n" HELLO - 1},
    {.name = "nul-in-name",
     .beginning = OK "X\0A: b\r\n" HELLO,
     .length = sizeof OK "X\0A: b\r\n" HELLO - 1},
    {.name = "fields-201",
     .beginning = OK,
     .repeated = "X-A: b\r\n",
     .times = 200,
     .end = HELLO},
    {.name = "head-too-long",
     .beginning = OK "X-A: ",
     .repeated = "b",
     .times = 65536,
     .end = "\r\n" HELLO},
    {.name = "endless-head",
     .beginning = OK,
     .repeated = "X-A: b\r\n",
     .times = FLOOD},
    {.name = "endless-line",
     .beginning = OK "X-A: ",
     .repeated = "bbbbbbbb",
     .times = FLOOD},
    {.name = "endless-first-line",
     .beginning = "H",
     .repeated = "T",
     .times = FLOOD},
    /* The length is wrong. */
    {.name = "two-lengths", .beginning = OK "Content-Length: 5\r\n" HELLO},
    {.name = "lengths-listed",
     .beginning = OK "Content-Length: 6, 5\r\n\r\nhello\n"},
    {.name = "length-plus",
     .beginning = OK "Content-Length: +6\r\n\r\nhello\n"},
    {.name = "length-minus",
     .beginning = OK "Content-Length: -6\r\n\r\nhello\n"},
    {.name = "length-empty", .beginning = OK "Content-Length:\r\n\r\nhello\n"},
    {.name = "length-word",
     .beginning = OK "Content-Length: six\r\n\r\nhello\n"},
    {.name = "length-x", .beginning = OK "Content-Length: 6x\r\n\r\nhello\n"},
    {.name = "length-hex",
     .beginning = OK "Content-Length: 0x6\r\n\r\nhello\n"},
    {.name = "length-point",
     .beginning = OK "Content-Length: 6.0\r\n\r\nhello\n"},
    {.name = "length-two-words",
     .beginning = OK "Content-Length: 6 6\r\n\r\nhello\n"},
    {.name = "length-2-64",
     .beginning = OK "Content-Length: 18446744073709551622\r\n\r\nhello\n"},
    {.name = "length-huge",
     .beginning = OK "Content-Length: 18446744073709551615\r\n\r\nhello\n"},
    {.name = "length-comma",
     .beginning = OK "Content-Length: 6,\r\n\r\nhello\n"},
    /* The coding is wrong. */
    {.name = "coding-unknown",
     .beginning = OK "Transfer-Encoding: rot13\r\n\r\nuryyb\n"},
    {.name = "coding-not-last",
     .beginning = OK "Transfer-Encoding: chunked, rot13\r\n\r\n"
                     "6\r\nuryyb\n\r\n0\r\n\r\n"},
    {.name = "chunked-twice",
     .beginning = OK "Transfer-Encoding: chunked\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n"
                     "6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "coding-empty",
     .beginning = OK "Transfer-Encoding:\r\n\r\n6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "coding-xchunked",
     .beginning = OK "Transfer-Encoding: xchunked\r\n\r\n"
                     "6\r\nhello\n\r\n0\r\n\r\n"},
    /* A chunk is wrong. */
    {.name = "chunk-no-size", .beginning = CHUNKED "\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-word", .beginning = CHUNKED "six\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-0x6", .beginning = CHUNKED "0x6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-plus", .beginning = CHUNKED "+6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-minus", .beginning = CHUNKED "-6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-blank-first",
     .beginning = CHUNKED " 6\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-overflow",
     .beginning = CHUNKED "10000000000000006\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-17-digits",
     .beginning = CHUNKED "ffffffffffffffff1\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-huge", .beginning = CHUNKED "ffffffffffffffff\r\nhello\n"},
    {.name = "chunk-too-long",
     .beginning = CHUNKED "5\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-too-short",
     .beginning = CHUNKED "7\r\nhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-cr", .beginning = CHUNKED "6\rhello\n\r\n0\r\n\r\n"},
    {.name = "chunk-cr-behind",
     .beginning = CHUNKED "6\r\nhello\n\rx0\r\n\r\n"},
    {.name = "chunk-no-end-of-line",
     .beginning = CHUNKED "6\r\nhello\n0\r\n\r\n"},
    {.name = "endless-size",
     .beginning = CHUNKED,
     .repeated = "0",
     .times = FLOOD},
    {.name = "endless-extension",
     .beginning = CHUNKED "6;",
     .repeated = "a",
     .times = FLOOD},
    {.name = "endless-trailer",
     .beginning = CHUNKED "6\r\nhello\n\r\n0\r\n",
     .repeated = "X-A: b\r\n",
     .times = FLOOD},
    /* It leads somewhere that we do not follow. */
    {.name = "moved-round",
     .beginning = "HTTP/1.1 302 Found\r\nLocation: /\r\n" HELLO},
    {.name = "moved-empty",
     .beginning = "HTTP/1.1 302 Found\r\nLocation:\r\n" HELLO},
    {.name = "moved-to-a-file",
     .beginning =
         "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n" HELLO},
    {.name = "moved-to-ftp",
     .beginning =
         "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1:1/a\r\n" HELLO},
    {.name = "moved-to-port-0",
     .beginning =
         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:0/\r\n" HELLO},
    {.name = "moved-to-port-65536",
     .beginning =
         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:65536/\r\n" HELLO},
    {.name = "moved-to-no-host",
     .beginning = "HTTP/1.1 302 Found\r\nLocation: http:///a\r\n" HELLO},
};

#undef OK
#undef CHUNKED
#undef HELLO

static _Noreturn void usage(void) {
    fputs("usage: rude-http [-p PORT] [-k COUNT] [-m] serve FACE\n"
          "       rude-http faces\n",
          stderr);
    exit(2);
}

/* Waits for a request, whatever it asks for. */
static bool receive_request(int fd) {
    char request[REQUEST_BYTES];
    size_t length = 0;
    while (length < sizeof request) {
        ssize_t received =
            deadline_recv(deadline_after(PATIENCE_MS), fd, request + length,
                          sizeof request - length);
        if (received <= 0)
            return false;
        length += (size_t)received;
        if (memmem(request, length, "\r\n\r\n", 4) != NULL)
            return true;
    }
    return false;
}

/* Sends so many bytes. Returns false when the client has gone. */
static bool send_bytes(int fd, enum ending ending, const char *bytes,
                       size_t length) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    size_t sent;
    if (ending != DRIBBLES)
        return deadline_send(deadline, fd, bytes, length, &sent) == 0;
    for (size_t i = 0; i < length; i++) {
        if (deadline_send(deadline, fd, bytes + i, 1, &sent) < 0)
            return false;
        deadline_pause(PAUSE_MS);
    }
    return true;
}

/* Sends the part that is repeated, as often as it says, a few KiB at a time. */
static bool send_repeated(int fd, const struct face *face) {
    char piece[4096];
    size_t length = strlen(face->repeated);
    size_t at_once = sizeof piece / length;
    size_t sent = 0;
    for (size_t i = 0; i < at_once; i++)
        memcpy(piece + i * length, face->repeated, length);
    while (sent < face->times) {
        if (at_once > face->times - sent)
            at_once = face->times - sent;
        if (!send_bytes(fd, face->ending, piece, at_once * length))
            return false;
        sent += at_once;
    }
    return true;
}

static void end(int fd, enum ending ending) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    char byte;
    if (ending == STALLS)
        (void)deadline_recv(deadline_after(PATIENCE_MS), fd, &byte, 1);
    if (ending == RESETS) {
        deadline_pause(BEFORE_RESET_MS);
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
}

/* Returns false when the client has gone. */
static bool reply(int fd, const struct face *face) {
    size_t length = face->length;
    if (length == 0)
        length = strlen(face->beginning);
    if (!send_bytes(fd, face->ending, face->beginning, length))
        return false;
    if (face->repeated != NULL && !send_repeated(fd, face))
        return false;
    if (face->end == NULL)
        return true;
    return send_bytes(fd, face->ending, face->end, strlen(face->end));
}

/* Serves a connection. *good_left is how many requests still get a good reply.
 */
static void serve(int fd, const struct face *face, bool goes_on,
                  unsigned long long *good_left) {
    bool is_good;
    do {
        const struct face *now = face;
        if (!receive_request(fd))
            return;
        is_good = *good_left > 0;
        if (is_good) {
            now = &faces[0];
            (*good_left)--;
        }
        if (!reply(fd, now))
            return;
        end(fd, now->ending);
    } while (is_good ||
             (goes_on && face->ending != RESETS && face->ending != STALLS));
}

static const struct face *find_face(const char *name) {
    for (size_t i = 0; i < sizeof faces / sizeof *faces; i++) {
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    }
    errx(1, "there is no face %s", name);
}

static void print_faces(void) {
    for (size_t i = 0; i < sizeof faces / sizeof *faces; i++)
        puts(faces[i].name);
}

static int open_listener(in_port_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int listener = listener_open((struct sockaddr *)&address, sizeof address,
                                 SOMAXCONN, 0, &failed);
    if (listener < 0 || listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    return listener;
}

int main(int argc, char **argv) {
    in_port_t port = 0;
    unsigned long long good_left = 0;
    bool goes_on = false;
    for (;;) {
        int option = getopt(argc, argv, "+p:k:m");
        int result = 0;
        if (option == -1)
            break;
        if (option == 'p')
            result = addr_parse_port(optarg, strlen(optarg), 0, &port);
        else if (option == 'k')
            result = number_parse(optarg, 1, 1000000, &good_left);
        else if (option == 'm')
            goes_on = true;
        else
            result = -1;
        if (result < 0)
            usage();
    }
    if (argc - optind == 1 && strcmp(argv[optind], "faces") == 0) {
        print_faces();
        return 0;
    }
    if (argc - optind != 2 || strcmp(argv[optind], "serve") != 0)
        usage();
    const struct face *face = find_face(argv[optind + 1]);
    int listener = open_listener(port);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        serve(fd, face, goes_on, &good_left);
        (void)close(fd);
    }
}
