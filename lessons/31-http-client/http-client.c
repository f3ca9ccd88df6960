/*
 * 31-http-client: fetches what a URL names, over HTTP or HTTPS.
 *
 * Shows what a request and a reply look like, three ways in which a reply can
 * end, and how one notices that it was cut. common/http.c reads heads and
 * chunks, and url.c reads URLs. Both belong to this lesson, so read them too.
 * resolve.c and socks.c are for -d and -x.
 *
 * usage: 31-http-client [-C CAFILE] [-d SERVER | -x PROXY] [-i] [-o FILE]
 *                       [-t SECONDS] URL
 *
 * The body goes to standard output, or to FILE. FILE appears only when the body
 * has come whole. -i prints the head of the reply first. -C is a file with the
 * certificates of those whom we trust. All of it takes SECONDS at most (300
 * unless given).
 *
 * With -d, we ask the name server SERVER for addresses, and not getaddrinfo.
 * SERVER is an address, or an address and a port: 127.0.0.1:5300. With -x, we
 * connect through PROXY, which is HOST:PORT and speaks SOCKS 5. The proxy looks
 * up the name.
 *
 * Left out: other methods than GET; cookies and passwords; compressed bodies;
 * HTTP/2.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "dial.h"
#include "http.h"
#include "resolve.h"
#include "socks.h"
#include "tls.h"
#include "url.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEFAULT_MILLISECONDS = 300 * 1000,
    REDIRECTS = 10, /* we follow no more */
    REQUEST_BYTES = URL_BYTES + URL_HOST_BYTES + 256,
    /* The body of a redirect is only read so that the connection can be used
     * again. When it is longer, a new connection is cheaper. */
    LONGEST_REDIRECT_BODY = 1 << 20,
    PATH_BYTES = 4096,
    REASON_BYTES = 64, /* we print no more of it */
    USUAL_MODE = 0666, /* of a new file, without what umask(2) forbids */
};

struct options {
    const char *ca_file;       /* or NULL: those whom this system trusts */
    struct resolve *resolve;   /* or NULL: getaddrinfo looks up names */
    struct socks_proxy *proxy; /* or NULL: we connect to the server itself */
    bool prints_head;
    const char *path; /* of the file to write, or NULL */
    struct deadline deadline;
};

/* A connection to a server, and the bytes that have come and are not read yet.
 */
struct connection {
    int fd; /* or -1 if there is none */
    SSL_CTX *context;
    SSL *ssl;     /* or NULL for HTTP without TLS */
    bool is_kept; /* it has had a request before */
    struct url server;
    struct deadline deadline;
    size_t begin; /* the unread bytes are those from begin to end */
    size_t end;
    char buffer[HTTP_HEAD_BYTES];
};

/* Where the body goes. */
struct output {
    FILE *file;            /* or NULL: nowhere */
    const char *path;      /* of the file that we write, or NULL */
    char part[PATH_BYTES]; /* its name until it is whole */
};

/* What an exchange of a request and a reply has come to. */
enum outcome {
    DONE,
    FAILED,     /* which has been reported */
    NOT_A_BYTE, /* the connection has ended before the reply */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 31-http-client [-C CAFILE] [-d SERVER | -x PROXY] [-i] "
          "[-o FILE]\n"
          "                      [-t SECONDS] URL\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- The connection --------------------------------------------------------
 */

static void warn_of_dial(const struct dial *dial) {
    if (dial->lookup_error == EAI_SYSTEM)
        warn("%s", dial->host);
    else if (dial->lookup_error != 0)
        warnx("%s: %s", dial->host, gai_strerror(dial->lookup_error));
    else
        warn("connect %s port %s", dial->host, dial->port);
}

/* Reports why a call of OpenSSL has failed. */
static void warn_of_tls(const char *call, const struct connection *connection) {
    char reason[TLS_REASON_BYTES];
    warnx("%s %s: %s", call, connection->server.host,
          tls_explain(connection->ssl, reason));
}

/* Reports why the certificates that we trust could not be loaded. */
static void warn_of_trust(const char *ca_file) {
    char reason[TLS_REASON_BYTES];
    const char *whose = "this system's certificates";
    if (ca_file != NULL)
        whose = ca_file;
    warnx("trust %s: %s", whose, tls_explain(NULL, reason));
}

/* Makes the handshake, in which the server proves who it is: lesson 08. */
static int start_tls(struct connection *connection,
                     const struct options *options) {
    if (connection->context == NULL)
        connection->context = tls_client_context(options->ca_file, NULL);
    if (connection->context == NULL) {
        warn_of_trust(options->ca_file);
        return -1;
    }
    connection->ssl = tls_client(connection->context, connection->fd,
                                 connection->server.host);
    if (connection->ssl == NULL) {
        warn_of_tls("SSL_new", connection);
        return -1;
    }
    if (tls_handshake(connection->ssl, connection->deadline) < 0) {
        warn_of_tls("SSL_connect", connection);
        return -1;
    }
    return 0;
}

/* Closes the connection, if there is one. We tell the server, but do not wait
 * for its answer: what we wanted, we have. */
static void close_connection(struct connection *connection, bool is_healthy) {
    if (connection->ssl != NULL && is_healthy)
        (void)SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl); /* NULL is allowed */
    connection->ssl = NULL;
    if (connection->fd >= 0)
        (void)close(connection->fd);
    connection->fd = -1;
}

/* Asks the proxy, to which we are connected, for the server. */
static int pass_proxy(const struct connection *connection,
                      const struct socks_proxy *proxy, const struct url *url) {
    const char *flaw;
    if (socks_connect(connection->fd, connection->deadline, url->host,
                      url->port, &flaw) == 0)
        return 0;
    warnx("proxy %s port %s: %s", proxy->host, proxy->port, flaw);
    return -1;
}

/* Connects to the server, or to the proxy if there is one. */
static int connect_tcp(struct connection *connection, const struct url *url,
                       const struct options *options) {
    struct dial dial = {
        .host = url->host,
        .port = url->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = connection->deadline,
    };
    if (options->proxy != NULL) {
        dial.host = options->proxy->host;
        dial.port = options->proxy->port;
    }
    if (options->resolve != NULL) {
        if (resolve_host(options->resolve, url->host, url->port) < 0) {
            warnx("%s", options->resolve->reason);
            return -1;
        }
        dial.addresses = options->resolve->list;
    }
    connection->fd = dial_connect(&dial);
    if (connection->fd < 0) {
        warn_of_dial(&dial);
        return -1;
    }
    return 0;
}

static int open_connection(struct connection *connection, const struct url *url,
                           const struct options *options) {
    connection->server = *url;
    connection->is_kept = false;
    connection->begin = 0;
    connection->end = 0;
    if (connect_tcp(connection, url, options) < 0)
        return -1;
    if (options->proxy != NULL &&
        pass_proxy(connection, options->proxy, url) < 0) {
        close_connection(connection, false);
        return -1;
    }
    if (url->is_secure && start_tls(connection, options) < 0) {
        close_connection(connection, false);
        return -1;
    }
    return 0;
}

/* Sends all bytes. Returns -1 with errno, or with errors of OpenSSL. */
static int send_all(struct connection *connection, const char *bytes,
                    size_t length) {
    if (connection->ssl == NULL) {
        size_t sent;
        return deadline_send(connection->deadline, connection->fd, bytes,
                             length, &sent);
    }
    for (;;) {
        int result = SSL_write(connection->ssl, bytes, (int)length);
        if (result > 0)
            return 0; /* SSL_write sends all, or has to wait */
        if (tls_wait(connection->ssl, result, connection->deadline) !=
            TLS_RETRY)
            return -1;
    }
}

/* Receives what has come. Returns how many bytes, 0 at the end, or -1 with
 * errno, or with errors of OpenSSL. With TLS, an end without close_notify is an
 * error: lesson 08. */
static ssize_t receive(struct connection *connection, char *bytes,
                       size_t length) {
    if (connection->ssl == NULL)
        return deadline_recv(connection->deadline, connection->fd, bytes,
                             length);
    for (;;) {
        int result = SSL_read(connection->ssl, bytes, (int)length);
        if (result > 0)
            return result;
        switch (tls_wait(connection->ssl, result, connection->deadline)) {
        case TLS_RETRY:
            break;
        case TLS_CLOSED:
            return 0;
        case TLS_FAILED:
            return -1;
        }
    }
}

static void warn_of_call(const struct connection *connection, const char *call,
                         const char *tls_call) {
    if (connection->ssl != NULL)
        warn_of_tls(tls_call, connection);
    else
        warn("%s %s", call, connection->server.host);
}

/* Receives more bytes into the buffer, in which there must be room for one.
 * Returns what receive returns. */
static ssize_t fill_buffer(struct connection *connection) {
    size_t unread = connection->end - connection->begin;
    memmove(connection->buffer, connection->buffer + connection->begin, unread);
    connection->begin = 0;
    connection->end = unread;
    ssize_t received = receive(connection, connection->buffer + unread,
                               sizeof connection->buffer - unread);
    if (received > 0)
        connection->end += (size_t)received;
    return received;
}

static void warn_of_receive(const struct connection *connection) {
    warn_of_call(connection, "recv from", "SSL_read");
}

/* ---- The request -----------------------------------------------------------
 */

/* The Host field names the server, because one machine may serve many names.
 * Its port is left out if it is the usual one: RFC 9110, section 7.2. */
static void write_host(char *text, size_t size, const struct url *url) {
    const char *usual_port = "80";
    char port[sizeof ":65535"] = "";
    if (url->is_secure)
        usual_port = "443";
    if (strcmp(url->port, usual_port) != 0)
        (void)snprintf(port, sizeof port, ":%s", url->port);
    if (url->is_ipv6)
        (void)snprintf(text, size, "[%s]%s", url->host, port);
    else
        (void)snprintf(text, size, "%s%s", url->host, port);
}

static int send_request(struct connection *connection, const struct url *url) {
    char host[URL_HOST_BYTES + sizeof "[]:65535"];
    char request[REQUEST_BYTES];
    write_host(host, sizeof host, url);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\n"
                          "Host: %s\r\n"
                          "User-Agent: 31-http-client\r\n"
                          "Accept: */*\r\n"
                          "\r\n",
                          url->target, host);
    return send_all(connection, request, (size_t)length);
}

/* ---- The head of the reply -------------------------------------------------
 */

/* No byte of the head has come, and none will: the server has ended the
 * connection (received is 0), or a call has failed (-1). A server may end a
 * kept connection at any time. Then a failure is no reason to give up, unless
 * our time is over. */
static enum outcome end_without_head(const struct connection *connection,
                                     ssize_t received) {
    if (received == 0)
        return NOT_A_BYTE;
    if (connection->is_kept && errno != ETIMEDOUT)
        return NOT_A_BYTE;
    warn_of_receive(connection);
    return FAILED;
}

/* Reads a head. The bytes behind it stay in the buffer. */
static enum outcome read_head(struct connection *connection,
                              struct http_head *head) {
    const char *flaw;
    for (;;) {
        char *bytes = connection->buffer + connection->begin;
        size_t length = connection->end - connection->begin;
        switch (http_parse_reply(head, bytes, length, &flaw)) {
        case HTTP_WHOLE:
            connection->begin += head->length;
            return DONE;
        case HTTP_BAD:
            warnx("%s: the reply has %s", connection->server.host, flaw);
            return FAILED;
        case HTTP_UNFINISHED:
            break;
        }
        ssize_t received = fill_buffer(connection);
        if (received <= 0 && length == 0)
            return end_without_head(connection, received);
        if (received < 0) {
            warn_of_receive(connection);
            return FAILED;
        }
        if (received == 0) {
            warnx("%s: the head of the reply is cut", connection->server.host);
            return FAILED;
        }
    }
}

/* Reads the head of the reply, and passes over those before it that say only
 * that the server is still busy: 100 to 199. */
static enum outcome read_final_head(struct connection *connection,
                                    struct http_head *head) {
    for (;;) {
        enum outcome outcome = read_head(connection, head);
        if (outcome != DONE)
            return outcome;
        if (head->status == 101) {
            warnx("%s: it wants another protocol", connection->server.host);
            return FAILED;
        }
        if (head->status >= 200)
            return DONE;
    }
}

/* ---- The body --------------------------------------------------------------
 */

static int write_output(struct output *output, const char *bytes,
                        size_t length) {
    if (output->file == NULL)
        return 0;
    if (fwrite(bytes, 1, length, output->file) == length)
        return 0;
    if (output->path != NULL)
        warn("%s", output->path);
    else
        warn("standard output");
    return -1;
}

/* Makes sure that there are unread bytes. Returns how many there are, 0 at the
 * end of the connection, or -1 after it has reported the error. */
static ssize_t require_bytes(struct connection *connection) {
    if (connection->begin == connection->end) {
        ssize_t received = fill_buffer(connection);
        if (received < 0)
            warn_of_receive(connection);
        if (received <= 0)
            return received;
    }
    return (ssize_t)(connection->end - connection->begin);
}

static int warn_of_cut_body(const struct connection *connection) {
    warnx("%s: the body is cut", connection->server.host);
    return -1;
}

/* Copies a body of so many bytes. */
static int copy_length(struct connection *connection, uint64_t left,
                       struct output *output) {
    while (left > 0) {
        ssize_t unread = require_bytes(connection);
        if (unread < 0)
            return -1;
        if (unread == 0)
            return warn_of_cut_body(connection);
        size_t part = (size_t)unread;
        if (part > left)
            part = (size_t)left;
        if (write_output(output, connection->buffer + connection->begin, part) <
            0)
            return -1;
        connection->begin += part;
        left -= part;
    }
    return 0;
}

static int copy_chunks(struct connection *connection, struct output *output) {
    struct http_chunks chunks = {0};
    for (;;) {
        const char *data;
        const char *flaw;
        size_t data_length;
        size_t used;
        ssize_t unread = require_bytes(connection);
        if (unread < 0)
            return -1;
        if (unread == 0)
            return warn_of_cut_body(connection);
        enum http_chunk_result result =
            http_chunks_read(&chunks, connection->buffer + connection->begin,
                             (size_t)unread, &used, &data, &data_length, &flaw);
        connection->begin += used;
        switch (result) {
        case HTTP_CHUNK_MORE:
            break;
        case HTTP_CHUNK_DATA:
            if (write_output(output, data, data_length) < 0)
                return -1;
            break;
        case HTTP_CHUNK_LAST:
            return 0;
        case HTTP_CHUNK_BAD:
            warnx("%s: the body has %s", connection->server.host, flaw);
            return -1;
        }
    }
}

static int copy_until_end(struct connection *connection,
                          struct output *output) {
    for (;;) {
        ssize_t unread = require_bytes(connection);
        if (unread <= 0)
            return (int)unread;
        if (write_output(output, connection->buffer + connection->begin,
                         (size_t)unread) < 0)
            return -1;
        connection->begin = connection->end;
    }
}

/* Returns whether the server keeps the connection for another request: RFC
 * 9112, section 9.3. */
static bool is_reusable(const struct http_head *head) {
    return head->minor >= 1 && !http_lists(head, "Connection", "close");
}

/* Copies the body into the output. */
static int copy_body(struct connection *connection,
                     const struct http_head *head, struct output *output) {
    uint64_t length;
    const char *flaw;
    switch (http_reply_framing(head, false, &length, &flaw)) {
    case HTTP_NO_BODY:
        return 0;
    case HTTP_LENGTH:
        return copy_length(connection, length, output);
    case HTTP_CHUNKED:
        return copy_chunks(connection, output);
    case HTTP_UNTIL_END:
        return copy_until_end(connection, output);
    case HTTP_CONFUSED:
        break;
    }
    warnx("%s: the reply has %s", connection->server.host, flaw);
    return -1;
}

/* ---- The file --------------------------------------------------------------
 */

/* Returns whether a file that we replace would be lost for others: a folder, or
 * a device such as /dev/null. */
static bool is_special(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 && !S_ISREG(file.st_mode);
}

/* A new file has another name until it is whole. So nobody takes a part of it
 * for the whole, and an old file stays as it was when we fail. */
static int open_output(struct output *output, const char *path) {
    output->path = path;
    if (path == NULL) {
        output->file = stdout;
        return 0;
    }
    if (is_special(path)) {
        warnx("%s: it is there, and is not a regular file", path);
        return -1;
    }
    int length = snprintf(output->part, sizeof output->part, "%s.XXXXXX", path);
    if ((size_t)length >= sizeof output->part) {
        warnx("%s: the name is too long", path);
        return -1;
    }
    int fd = mkostemp(output->part, O_CLOEXEC);
    if (fd < 0) {
        warn("%s", output->part);
        return -1;
    }
    output->file = fdopen(fd, "w");
    if (output->file == NULL)
        err(1, "fdopen");
    return 0;
}

/* Gives the file the mode that it would have had without us. */
static int set_mode(int fd) {
    mode_t forbidden = umask(0);
    (void)umask(forbidden);
    return fchmod(fd, USUAL_MODE & ~forbidden);
}

/* The body is whole: the file gets its name. */
static int finish_output(struct output *output) {
    if (output->path == NULL) {
        if (fflush(stdout) == 0)
            return 0;
        warn("standard output");
        return -1;
    }
    bool is_good =
        fflush(output->file) == 0 && set_mode(fileno(output->file)) == 0;
    if (fclose(output->file) == EOF)
        is_good = false;
    if (is_good && rename(output->part, output->path) == 0)
        return 0;
    warn("%s", output->path);
    (void)unlink(output->part);
    return -1;
}

static void discard_output(struct output *output) {
    if (output->path != NULL && output->file != NULL) {
        (void)fclose(output->file);
        (void)unlink(output->part);
    }
}

/* ---- From the request to the body ------------------------------------------
 */

/* Uses the connection that we have, if it goes to the right server, or opens a
 * new one. */
static int choose_connection(struct connection *connection,
                             const struct url *url,
                             const struct options *options) {
    if (connection->fd >= 0 && url_has_same_server(&connection->server, url)) {
        connection->is_kept = true;
        return 0;
    }
    close_connection(connection, true);
    return open_connection(connection, url, options);
}

/* Sends the request, and reads the head of the reply. */
static enum outcome exchange_once(struct connection *connection,
                                  const struct url *url,
                                  struct http_head *head) {
    if (send_request(connection, url) == 0)
        return read_final_head(connection, head);
    if (connection->is_kept && errno != ETIMEDOUT)
        return NOT_A_BYTE; /* the server has ended it in the meantime */
    warn_of_call(connection, "send to", "SSL_write");
    return FAILED;
}

/* A server may end a connection that nobody uses at any time, also while our
 * next request is on its way. Then we ask once more, over a new connection: RFC
 * 9112, section 9.3.1. */
static enum outcome exchange(struct connection *connection,
                             const struct url *url,
                             const struct options *options,
                             struct http_head *head) {
    if (choose_connection(connection, url, options) < 0)
        return FAILED;
    enum outcome outcome = exchange_once(connection, url, head);
    if (outcome == NOT_A_BYTE && connection->is_kept) {
        close_connection(connection, false);
        if (open_connection(connection, url, options) < 0)
            return FAILED;
        outcome = exchange_once(connection, url, head);
    }
    if (outcome == NOT_A_BYTE) {
        warnx("%s: it has ended without a reply", url->host);
        return FAILED;
    }
    return outcome;
}

/* A server may send anything, so what a terminal would obey is not printed. */
static char visible(char character) {
    if (character >= ' ' && character <= '~')
        return character;
    return '?';
}

/* Reports a status that is not what we wanted, such as 404 Not Found. */
static void warn_of_status(const struct url *url,
                           const struct http_head *head) {
    char reason[REASON_BYTES] = "";
    for (size_t i = 0; i < head->reason.length && i < REASON_BYTES - 1; i++)
        reason[i] = visible(head->reason.bytes[i]);
    warnx("%s: %u %s", url->host, head->status, reason);
}

/* Prints the head of the reply, without the CRs at the ends of its lines. */
static void print_head(const struct connection *connection,
                       const struct http_head *head) {
    const char *bytes = connection->buffer + connection->begin - head->length;
    for (size_t i = 0; i < head->length; i++) {
        if (bytes[i] == '\n')
            (void)putchar('\n'); /* finish_output looks whether it could */
        else if (bytes[i] != '\r')
            (void)putchar(visible(bytes[i]));
    }
}

/* Returns the field that says where to go on, or NULL if this is no redirect.
 */
static const struct http_text *location_of(const struct http_head *head) {
    switch (head->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return http_find(head, "Location");
    default:
        return NULL;
    }
}

/* Works out where a redirect leads. Returns -1 after it has said why we do not
 * follow it. */
static int follow(struct url *next, const struct url *url,
                  const struct http_text *location) {
    const char *flaw;
    if (url_resolve(next, url, location->bytes, location->length, &flaw) < 0) {
        warnx("%s: a redirect that we cannot follow: %s", url->host, flaw);
        return -1;
    }
    if (url->is_secure && !next->is_secure) {
        warnx("%s: a redirect from https to http", url->host);
        return -1;
    }
    return 0;
}

/* Passes over so many bytes. Returns false if they do not come. That is not
 * reported, because nobody wants these bytes. */
static bool skip_bytes(struct connection *connection, uint64_t left) {
    while (left > 0) {
        size_t unread = connection->end - connection->begin;
        if (unread == 0 && fill_buffer(connection) <= 0)
            return false;
        size_t part = connection->end - connection->begin;
        if (part > left)
            part = (size_t)left;
        connection->begin += part;
        left -= part;
    }
    return true;
}

/* Passes over the body of a redirect, or closes the connection if that is
 * easier. */
static void skip_body(struct connection *connection,
                      const struct http_head *head) {
    uint64_t length;
    const char *flaw;
    enum http_framing framing = http_reply_framing(head, false, &length, &flaw);
    bool is_short = framing == HTTP_LENGTH && length <= LONGEST_REDIRECT_BODY;
    if (is_short && is_reusable(head) && skip_bytes(connection, length))
        return;
    close_connection(connection, true);
}

/* Returns whether the reply is what we wanted. We have not asked for a part, so
 * 206 Partial Content is not. */
static bool is_success(const struct http_head *head) {
    return head->status >= 200 && head->status < 300 && head->status != 206;
}

/* Writes the reply that we have reached. Returns the program's status. */
static int write_reply(struct connection *connection, const struct url *url,
                       const struct http_head *head,
                       const struct options *options) {
    struct output output = {0};
    int status = 0;
    if (options->prints_head)
        print_head(connection, head);
    /* What is not what we wanted is shown, but becomes no file. */
    const char *path = options->path;
    if (!is_success(head)) {
        warn_of_status(url, head);
        path = NULL;
        status = 1;
    }
    if (open_output(&output, path) < 0)
        return 1;
    if (!is_success(head) && options->path != NULL)
        output.file = NULL;
    if (copy_body(connection, head, &output) < 0) {
        (void)fflush(stdout); /* what has come is shown */
        discard_output(&output);
        return 1;
    }
    if (finish_output(&output) < 0)
        return 1;
    return status;
}

/* Follows redirects up to the reply that is none. Returns the program's status.
 */
static int fetch(struct connection *connection, struct url *url,
                 const struct options *options) {
    static struct http_head head;
    struct url next;
    for (int redirects = 0; redirects <= REDIRECTS; redirects++) {
        if (exchange(connection, url, options, &head) != DONE)
            return 1;
        const struct http_text *location = location_of(&head);
        if (location == NULL)
            return write_reply(connection, url, &head, options);
        if (follow(&next, url, location) < 0)
            return 1;
        skip_body(connection, &head);
        *url = next;
    }
    warnx("%s: more than %d redirects", url->host, REDIRECTS);
    return 1;
}

/* ---- Arguments -------------------------------------------------------------
 */

static struct deadline parse_deadline(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", text);
    return deadline_after(milliseconds);
}

static struct resolve *parse_name_server(const char *text) {
    static struct resolve resolve;
    if (resolve_set_server(&resolve, text) < 0)
        errx(1, "%s is not an address, with a port or without", text);
    return &resolve;
}

static struct socks_proxy *parse_proxy(const char *text) {
    static struct socks_proxy proxy;
    if (socks_parse(&proxy, text) < 0)
        errx(1, "%s is not a HOST:PORT", text);
    return &proxy;
}

static void parse_options(struct options *options, int argc, char **argv) {
    options->deadline = deadline_after(DEFAULT_MILLISECONDS);
    for (;;) {
        int option = getopt(argc, argv, "+hC:d:io:t:x:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'C')
            options->ca_file = optarg;
        else if (option == 'd')
            options->resolve = parse_name_server(optarg);
        else if (option == 'i')
            options->prints_head = true;
        else if (option == 'o')
            options->path = optarg;
        else if (option == 't')
            options->deadline = parse_deadline(optarg);
        else if (option == 'x')
            options->proxy = parse_proxy(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    if (options->resolve != NULL && options->proxy != NULL)
        usage(stderr, 2); /* with a proxy, it is the proxy that looks up */
    if (options->resolve != NULL)
        options->resolve->deadline = options->deadline;
}

/* If 0, 1 or 2 were free, our socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    static struct connection connection;
    static struct url url;
    struct options options = {0};
    const char *flaw;
    parse_options(&options, argc, argv);
    const char *text = argv[optind];
    if (url_parse(&url, text, strlen(text), &flaw) < 0)
        errx(1, "not a URL that we can fetch: %s", flaw);
    require_standard_descriptors();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    connection.fd = -1;
    connection.deadline = options.deadline;
    int status = fetch(&connection, &url, &options);
    close_connection(&connection, status == 0);
    SSL_CTX_free(connection.context); /* NULL is allowed */
    return status;
}
