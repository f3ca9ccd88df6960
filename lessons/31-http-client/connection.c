/* connection: a connection to a server, and the bytes that have come. */
#define _GNU_SOURCE

#include "connection.h"

#include "dial.h"
#include "tls.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Open and close --------------------------------------------------------
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
                     const struct connection_options *options) {
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
        connection->has_failed = true;
        warn_of_tls("SSL_connect", connection);
        return -1;
    }
    return 0;
}

/* We tell the server, but do not wait for its answer: what we wanted, we have.
 * After a call has failed, SSL_shutdown(3) forbids that. */
void connection_close(struct connection *connection) {
    if (connection->ssl != NULL && !connection->has_failed)
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
                       const struct connection_options *options) {
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

int connection_open(struct connection *connection, const struct url *url,
                    const struct connection_options *options) {
    connection->server = *url;
    connection->is_kept = false;
    connection->has_failed = false;
    connection->begin = 0;
    connection->end = 0;
    if (connect_tcp(connection, url, options) < 0)
        return -1;
    if (options->proxy != NULL &&
        pass_proxy(connection, options->proxy, url) < 0) {
        connection_close(connection);
        return -1;
    }
    if (url->is_secure && start_tls(connection, options) < 0) {
        connection_close(connection);
        return -1;
    }
    return 0;
}

/* ---- Send and receive ------------------------------------------------------
 */

int connection_send(struct connection *connection, const char *bytes,
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
            TLS_RETRY) {
            connection->has_failed = true;
            return -1;
        }
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
            connection->has_failed = true;
            return -1;
        }
    }
}

void connection_warn_of_call(const struct connection *connection,
                             const char *call, const char *tls_call) {
    if (connection->ssl != NULL)
        warn_of_tls(tls_call, connection);
    else
        warn("%s %s", call, connection->server.host);
}

ssize_t connection_fill(struct connection *connection) {
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

void connection_warn_of_receive(const struct connection *connection) {
    connection_warn_of_call(connection, "recv from", "SSL_read");
}
