/*
 * pages: a web server for lesson 31. It has no files: its pages are made here.
 *
 *     pages [-s CERTIFICATE KEY] PORT
 *
 * Listens on a port of 127.0.0.1, prints `listening on 127.0.0.1:PORT`, and
 * serves one connection after the other, each for as many requests as come.
 * With -s it speaks HTTPS, with that certificate and key. It prints `connected`
 * for each connection, and the head of each request.
 *
 *     /hello        hello
 *     /chunks       a body of three chunks
 *     /end          a body that ends with the connection
 *     /early        a head with status 103 before that of the reply
 *     /bytes?N      N bytes, always the same ones; /many?N in chunks of 1 to
 * 999 /status?N     a short body with status N; without a body for 204 and 304
 *     /cut          400 bytes of 1000 that are promised; then the end
 *     /two-lengths  Content-Length twice, with two numbers
 *     /old          has moved to /hello; the connection stays
 *     /to?URL       has moved to URL, as it stands there; /301?URL with status
 *                   301, and so on
 *     /count?N      has moved to /count?N-1, and so on down to /hello
 *     /round        has moved to /back, which has moved to /round
 *     /leave        has moved to /hello; then the connection is closed
 *     /reset        has moved to /hello; the next request is answered by a
 *                   reset
 *     /busy         has moved to /hello; the next request is answered by 100
 *                   Continue and the end
 *
 * Any other path is 404 Not Found.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "http.h"
#include "listener.h"
#include "number.h"
#include "tls.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20 * 1000,
    REPLY_BYTES = 16384,
    PIECE_BYTES = 999,
    MOST_BYTES = 100 * 1000 * 1000,
    PROMISED_BYTES = 1000,
    SENT_BYTES = 400,
};

struct client {
    int fd;
    SSL *ssl;      /* or NULL */
    bool is_over;  /* close the connection behind this reply */
    bool is_reset; /* reset it at the next request */
    bool is_busy;  /* say at the next request that we are, and close it */
    size_t length; /* so many bytes are in the buffer */
    char buffer[HTTP_HEAD_BYTES];
};

static _Noreturn void usage(void) {
    fputs("usage: pages [-s CERTIFICATE KEY] PORT\n", stderr);
    exit(2);
}

/* ---- The connection --------------------------------------------------------
 */

static void send_bytes(struct client *client, const char *bytes,
                       size_t length) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    size_t sent;
    if (client->ssl == NULL) {
        if (deadline_send(deadline, client->fd, bytes, length, &sent) < 0)
            client->is_over = true;
        return;
    }
    while (length > 0) {
        int result = SSL_write(client->ssl, bytes, (int)length);
        if (result > 0)
            return;
        if (tls_wait(client->ssl, result, deadline) != TLS_RETRY) {
            client->is_over = true;
            return;
        }
    }
}

__attribute__((format(printf, 2, 3))) static void
send_text(struct client *client, const char *format, ...) {
    char text[REPLY_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= REPLY_BYTES)
        errx(1, "a reply is too long");
    send_bytes(client, text, (size_t)length);
}

/* Receives more into the buffer. Returns false at the end, or when it fails. */
static bool receive(struct client *client) {
    struct deadline deadline = deadline_after(PATIENCE_MS);
    char *place = client->buffer + client->length;
    size_t room = sizeof client->buffer - client->length;
    ssize_t received;
    if (client->ssl == NULL) {
        received = deadline_recv(deadline, client->fd, place, room);
    } else {
        enum tls_result result;
        do {
            received = SSL_read(client->ssl, place, (int)room);
            result = TLS_FAILED;
            if (received <= 0)
                result = tls_wait(client->ssl, (int)received, deadline);
        } while (result == TLS_RETRY);
    }
    if (received > 0)
        client->length += (size_t)received;
    return received > 0;
}

/* ---- The pages -------------------------------------------------------------
 */

static void send_page(struct client *client, unsigned status,
                      const char *reason, const char *body) {
    send_text(client,
              "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\n"
              "Content-Length: %zu\r\n\r\n%s",
              status, reason, strlen(body), body);
}

static void redirect(struct client *client, unsigned status, const char *url) {
    send_text(client,
              "HTTP/1.1 %u Moved\r\nLocation: %s\r\n"
              "Content-Length: 7\r\n\r\nMoved.\n",
              status, url);
}

/* The same bytes each time: the small letters, and a newline behind each z. */
static void make_bytes(char *bytes, size_t length, size_t at) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz\n";
    for (size_t i = 0; i < length; i++)
        bytes[i] = letters[(at + i) % (sizeof letters - 1)];
}

static void send_many(struct client *client, size_t total, bool is_chunked) {
    char piece[PIECE_BYTES];
    size_t done = 0;
    size_t length = PIECE_BYTES;
    if (is_chunked)
        send_text(client, "HTTP/1.1 200 OK\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    else
        send_text(client, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                  total);
    while (done < total && !client->is_over) {
        if (is_chunked)
            length = 1 + done % PIECE_BYTES;
        if (length > total - done)
            length = total - done;
        make_bytes(piece, length, done);
        if (is_chunked)
            send_text(client, "%zx\r\n%.*s\r\n", length, (int)length, piece);
        else
            send_bytes(client, piece, length);
        done += length;
    }
    if (is_chunked)
        send_text(client, "0\r\nX-Trailer: yes\r\n\r\n");
}

static void send_chunks(struct client *client) {
    send_text(client, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n"
                      "9\r\nThis came\r\n"
                      "4\r\n in \r\n"
                      "e\r\nthree chunks.\n\r\n"
                      "0\r\n\r\n");
}

static void send_cut(struct client *client) {
    char bytes[SENT_BYTES];
    make_bytes(bytes, sizeof bytes, 0);
    send_text(client, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
              PROMISED_BYTES);
    send_bytes(client, bytes, sizeof bytes);
    client->is_over = true;
}

static void send_status(struct client *client, unsigned status) {
    if (status == 204 || status == 304)
        send_text(client, "HTTP/1.1 %u None\r\n\r\n", status);
    else
        send_page(client, status, "As You Like It", "So it is.\n");
}

/* Pages whose path is all there is. Returns false if there is none. */
static bool send_plain(struct client *client, const char *path) {
    if (strcmp(path, "/hello") == 0) {
        send_page(client, 200, "OK", "hello\n");
    } else if (strcmp(path, "/chunks") == 0) {
        send_chunks(client);
    } else if (strcmp(path, "/end") == 0) {
        send_text(client, "HTTP/1.1 200 OK\r\n\r\nThis is all.\n");
        client->is_over = true;
    } else if (strcmp(path, "/early") == 0) {
        send_text(client, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        send_page(client, 200, "OK", "hello\n");
    } else if (strcmp(path, "/cut") == 0) {
        send_cut(client);
    } else if (strcmp(path, "/two-lengths") == 0) {
        send_text(client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                          "Content-Length: 6\r\n\r\nhello\n");
        client->is_over = true;
    } else {
        return false;
    }
    return true;
}

/* Pages that have moved. Returns false if there is none of this path. */
static bool send_moved(struct client *client, const char *path) {
    if (strcmp(path, "/old") == 0) {
        redirect(client, 301, "/hello");
    } else if (strcmp(path, "/round") == 0) {
        redirect(client, 302, "/back");
    } else if (strcmp(path, "/back") == 0) {
        redirect(client, 302, "/round");
    } else if (strcmp(path, "/leave") == 0) {
        redirect(client, 302, "/hello");
        client->is_over = true;
    } else if (strcmp(path, "/reset") == 0) {
        redirect(client, 302, "/hello");
        client->is_reset = true;
    } else if (strcmp(path, "/busy") == 0) {
        redirect(client, 302, "/hello");
        client->is_busy = true;
    } else {
        return false;
    }
    return true;
}

/* Pages with something behind a question mark. Returns false if there is none
 * of this path. */
static bool send_asked(struct client *client, const char *path,
                       const char *query) {
    unsigned long long number = 0;
    char url[REPLY_BYTES / 2];
    (void)number_parse(query, 0, MOST_BYTES, &number);
    if (strcmp(path, "/bytes") == 0) {
        send_many(client, (size_t)number, false);
    } else if (strcmp(path, "/many") == 0) {
        send_many(client, (size_t)number, true);
    } else if (strcmp(path, "/status") == 0) {
        send_status(client, (unsigned)number);
    } else if (strcmp(path, "/to") == 0) {
        redirect(client, 302, query);
    } else if (strcmp(path, "/count") == 0 && number > 1) {
        (void)snprintf(url, sizeof url, "/count?%llu", number - 1);
        redirect(client, 302, url);
    } else if (strcmp(path, "/count") == 0) {
        redirect(client, 302, "/hello");
    } else if (path[1] == '3' && strlen(path) == strlen("/301")) {
        redirect(client, (unsigned)strtoul(path + 1, NULL, 10), query);
    } else {
        return false;
    }
    return true;
}

static void answer(struct client *client, const struct http_text *target) {
    char path[REPLY_BYTES / 2];
    (void)snprintf(path, sizeof path, "%.*s", (int)target->length,
                   target->bytes);
    if (send_plain(client, path) || send_moved(client, path))
        return;
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query = '\0';
        if (send_asked(client, path, query + 1))
            return;
    }
    send_page(client, 404, "Not Found", "There is no such page.\n");
}

/* ---- Requests --------------------------------------------------------------
 */

static void print_head(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool is_empty_line = bytes[i] == '\n' && i > 1 && bytes[i - 2] == '\n';
        if (bytes[i] != '\r' && !is_empty_line)
            (void)putchar(bytes[i]);
    }
    (void)fflush(stdout);
}

/* Answers the requests of one connection. */
static void serve(struct client *client) {
    static struct http_head head;
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    const char *flaw;
    while (!client->is_over) {
        enum http_result result =
            http_parse_request(&head, client->buffer, client->length, &flaw);
        if (result == HTTP_BAD) {
            printf("a request with %s\n", flaw);
            return;
        }
        if (result == HTTP_UNFINISHED) {
            if (!receive(client))
                return;
            continue;
        }
        print_head(client->buffer, head.length);
        if (client->is_reset) {
            (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once,
                             sizeof at_once);
            return;
        }
        if (client->is_busy) {
            send_text(client, "HTTP/1.1 100 Continue\r\n\r\n");
            return;
        }
        answer(client, &head.target);
        client->length -= head.length;
        memmove(client->buffer, client->buffer + head.length, client->length);
    }
}

static void serve_connection(int fd, SSL_CTX *context) {
    static struct client client;
    memset(&client, 0, sizeof client);
    client.fd = fd;
    if (context != NULL) {
        client.ssl = SSL_new(context);
        if (client.ssl == NULL || SSL_set_fd(client.ssl, fd) != 1)
            errx(1, "SSL_new");
        SSL_set_accept_state(client.ssl);
        if (tls_handshake(client.ssl, deadline_after(PATIENCE_MS)) < 0) {
            char reason[TLS_REASON_BYTES];
            printf("no handshake: %s\n", tls_explain(client.ssl, reason));
            client.is_over = true;
        }
    }
    serve(&client);
    if (client.ssl != NULL && !client.is_reset)
        (void)SSL_shutdown(client.ssl);
    SSL_free(client.ssl);
    (void)close(fd);
}

int main(int argc, char **argv) {
    SSL_CTX *context = NULL;
    const char *failed;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    in_port_t port;
    bool is_secure = argc == 5 && strcmp(argv[1], "-s") == 0;
    if (argc != 2 && !is_secure)
        usage();
    const char *text = argv[argc - 1];
    if (addr_parse_port(text, strlen(text), 0, &port) < 0)
        errx(1, "%s is not a port", text);
    if (is_secure) {
        context = tls_server_context(argv[2], argv[3]);
        if (context == NULL)
            errx(1, "%s and %s are of no use", argv[2], argv[3]);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* SSL_write fails instead of killing us */
    address.sin_port = htons(port);
    int listener = listener_open((struct sockaddr *)&address, sizeof address,
                                 SOMAXCONN, 0, &failed);
    if (listener < 0 || listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            err(1, "accept");
        puts("connected");
        (void)fflush(stdout);
        serve_connection(fd, context);
    }
}
