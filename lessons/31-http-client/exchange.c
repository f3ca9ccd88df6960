/* exchange: sends a request, and reads the head of the reply. */
#define _GNU_SOURCE

#include "exchange.h"

#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { REQUEST_BYTES = URL_BYTES + URL_HOST_BYTES + 256 };

/* What a request has come to. */
enum outcome {
    DONE,
    FAILED,     /* which has been reported */
    NOT_A_BYTE, /* the connection has ended, and no byte of a reply has come */
};

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
    return connection_send(connection, request, (size_t)length);
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
    connection_warn_of_receive(connection);
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
        ssize_t received = connection_fill(connection);
        if (received <= 0 && length == 0)
            return end_without_head(connection, received);
        if (received < 0) {
            connection_warn_of_receive(connection);
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
    bool has_answered = false;
    for (;;) {
        enum outcome outcome = read_head(connection, head);
        if (outcome == NOT_A_BYTE && has_answered) {
            warnx("%s: it has ended without a reply", connection->server.host);
            return FAILED; /* and we do not ask again: it has our request */
        }
        if (outcome != DONE)
            return outcome;
        has_answered = true;
        if (head->status == 101) {
            warnx("%s: it wants another protocol", connection->server.host);
            return FAILED;
        }
        if (head->status >= 200)
            return DONE;
    }
}

/* ---- From the request to the head ------------------------------------------
 */

/* Uses the connection that we have, if it goes to the right server, or opens a
 * new one. Bytes that are left of the last reply, behind its body, belong to no
 * request of ours. Over that connection they would be taken for the next reply:
 * RFC 9112, section 6.3. */
static int choose_connection(struct connection *connection,
                             const struct url *url,
                             const struct connection_options *options) {
    bool has_bytes_left = connection->begin < connection->end;
    if (connection->fd >= 0 && !has_bytes_left &&
        url_has_same_server(&connection->server, url)) {
        connection->is_kept = true;
        return 0;
    }
    connection_close(connection);
    return connection_open(connection, url, options);
}

/* Sends the request, and reads the head of the reply. */
static enum outcome exchange_once(struct connection *connection,
                                  const struct url *url,
                                  struct http_head *head) {
    if (send_request(connection, url) == 0)
        return read_final_head(connection, head);
    if (connection->is_kept && errno != ETIMEDOUT)
        return NOT_A_BYTE; /* the server has ended it in the meantime */
    connection_warn_of_call(connection, "send to", "SSL_write");
    return FAILED;
}

/* A server may end a connection that nobody uses at any time, also while our
 * next request is on its way. Then we ask once more, over a new connection: RFC
 * 9112, section 9.3.1. */
int exchange(struct connection *connection, const struct url *url,
             const struct connection_options *options, struct http_head *head) {
    if (choose_connection(connection, url, options) < 0)
        return -1;
    enum outcome outcome = exchange_once(connection, url, head);
    if (outcome == NOT_A_BYTE && connection->is_kept) {
        connection_close(connection);
        if (connection_open(connection, url, options) < 0)
            return -1;
        outcome = exchange_once(connection, url, head);
    }
    if (outcome == NOT_A_BYTE) {
        warnx("%s: it has ended without a reply", url->host);
        return -1;
    }
    if (outcome == FAILED)
        return -1;
    return 0;
}
