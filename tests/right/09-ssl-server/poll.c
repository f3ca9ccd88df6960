/*
 * A right answer with poll: one process has all clients in an array, and does
 * for each what can be done without waiting.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_CLIENTS = 500,
    MOST_CALLS = 100, /* for one client, before the others have their turn */
    LINE_BYTES = 400,
};

/* What has to be done next for a client. */
enum state {
    SHAKE_HANDS,
    SEND_LINE,
    SEND_CLOSE_NOTIFY,
    READ_UNTIL_END,
    CLOSE_CONNECTION,
};

struct client {
    struct deadline deadline;
    SSL *ssl;
    enum state state;
    int fd;
    short events; /* what poll waits for: POLLIN or POLLOUT */
};

/* A name, and the context with its certificate: a list. */
struct site {
    const char *name;
    SSL_CTX *context;
    struct site *next;
};

static int is_private(const char *file) {
    struct stat facts;
    if (stat(file, &facts) < 0)
        err(1, "%s", file);
    return (facts.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static SSL_CTX *load(const char *certificate, const char *key) {
    if (!is_private(key))
        errx(1, "%s: its mode lets others in", key);
    SSL_CTX *context = tls_server_context(certificate, key);
    if (context == NULL) {
        char reason[TLS_REASON_BYTES];
        errx(1, "%s, %s: %s", certificate, key, tls_explain(NULL, reason));
    }
    return context;
}

/* Its type is given. NOLINTNEXTLINE(readability-non-const-parameter) */
static int choose(SSL *ssl, int *alert, void *sites) {
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (name == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    for (struct site *at = sites; at != NULL; at = at->next) {
        if (strcasecmp(at->name, name) == 0) {
            SSL_set_SSL_CTX(ssl, at->context);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int send_line(SSL *ssl) {
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL)
        name = "nobody";
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "you asked for %s\n", name);
    return SSL_write(ssl, line, length);
}

/* SSL_shutdown returns 0 when our close_notify is sent, but that of the client
 * has not come yet. For us that is a success, so it becomes 1. */
static int send_close_notify(SSL *ssl) {
    int result = SSL_shutdown(ssl);
    if (result == 0)
        return 1;
    return result;
}

/* Makes the call that the client's state asks for, and after a success sets its
 * next state. Returns what the call returned: 0 or less is no success. */
static int make_call(struct client *client) {
    char unread[LINE_BYTES];
    int result = 0;
    enum state next = client->state;
    switch (client->state) {
    case SHAKE_HANDS:
        result = SSL_accept(client->ssl);
        next = SEND_LINE;
        break;
    case SEND_LINE:
        result = send_line(client->ssl);
        next = SEND_CLOSE_NOTIFY;
        break;
    case SEND_CLOSE_NOTIFY:
        result = send_close_notify(client->ssl);
        next = READ_UNTIL_END;
        break;
    case READ_UNTIL_END:
        result = SSL_read(client->ssl, unread, sizeof unread);
        break;
    case CLOSE_CONNECTION:
        break;
    }
    if (result > 0)
        client->state = next;
    return result;
}

/* Makes calls for this client until one has to wait, or the connection is to be
 * closed. But a client that always has something to say must not keep us. */
static void advance(struct client *client) {
    for (int calls = 0; calls < MOST_CALLS; calls++) {
        if (client->state == CLOSE_CONNECTION)
            return;
        int result = make_call(client);
        if (result > 0)
            continue;
        switch (SSL_get_error(client->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            client->events = POLLIN;
            return;
        case SSL_ERROR_WANT_WRITE:
            client->events = POLLOUT;
            return;
        default:
            client->state = CLOSE_CONNECTION;
            return;
        }
    }
}

static int listen_on(in_port_t port) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof own;
    const int on = 1;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&own, size) < 0)
        err(1, "bind");
    if (listen(fd, 64) < 0)
        err(1, "listen");
    if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%u\n", ntohs(own.sin_port));
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return fd;
}

/* Accepts one more client, if there is one. Returns how many there are then. */
static int accept_client(int listener, SSL_CTX *context, struct client *clients,
                         int count) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) {
        warn("accept");
        return count;
    }
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        warnx("SSL_new");
        SSL_free(ssl);
        close(fd);
        return count;
    }
    struct client *client = &clients[count];
    client->deadline = deadline_after(1000);
    client->ssl = ssl;
    client->state = SHAKE_HANDS;
    client->fd = fd;
    client->events = POLLIN;
    advance(client);
    return count + 1;
}

/* Closes each connection that is done, or whose time is over. Returns how many
 * are left. It goes from the last client to the first, so the one that moves to
 * a free place has been looked at already. */
static int close_connections(struct client *clients, int count) {
    for (int i = count - 1; i >= 0; i--) {
        int is_done = clients[i].state == CLOSE_CONNECTION;
        int is_late = deadline_left(clients[i].deadline) == 0;
        if (is_done || is_late) {
            SSL_free(clients[i].ssl);
            close(clients[i].fd);
            count--;
            clients[i] = clients[count];
        }
    }
    return count;
}

/* Returns the milliseconds until the first client's time is over, or -1, which
 * means no limit to poll, if there is no client. */
static int first_timeout(const struct client *clients, int count) {
    int timeout = -1;
    for (int i = 0; i < count; i++) {
        int left = deadline_left(clients[i].deadline);
        if (timeout == -1 || left < timeout)
            timeout = left;
    }
    return timeout;
}

static _Noreturn void serve(int listener, SSL_CTX *context) {
    static struct client clients[MOST_CLIENTS];
    int count = 0;
    for (;;) {
        struct pollfd polls[MOST_CLIENTS + 1];
        for (int i = 0; i < count; i++) {
            polls[i].fd = clients[i].fd;
            polls[i].events = clients[i].events;
            polls[i].revents = 0;
        }
        /* The listener comes behind the clients. While there is no room for one
         * more client, its place is -1, which poll ignores. */
        struct pollfd *last = &polls[count];
        last->fd = listener;
        if (count == MOST_CLIENTS)
            last->fd = -1;
        last->events = POLLIN;
        last->revents = 0;
        int timeout = first_timeout(clients, count);
        if (poll(polls, (nfds_t)count + 1, timeout) < 0)
            err(1, "poll");

        for (int i = 0; i < count; i++) {
            if (polls[i].revents != 0)
                advance(&clients[i]);
        }
        if (last->revents != 0)
            count = accept_client(listener, context, clients, count);
        count = close_connections(clients, count);
    }
}

int main(int argc, char **argv) {
    int words = argc - 1;
    if (words < 3 || words % 3 != 0) {
        fputs("usage: 09-ssl-server PORT CERTFILE KEYFILE "
              "[NAME CERTFILE KEYFILE]...\n",
              stderr);
        return 2;
    }
    in_port_t port;
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port", argv[1]);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *first = load(argv[2], argv[3]);
    struct site *sites = NULL;
    for (int i = 4; i < argc; i += 3) {
        struct site *site = malloc(sizeof *site);
        if (site == NULL)
            err(1, "malloc");
        site->name = argv[i];
        site->context = load(argv[i + 1], argv[i + 2]);
        site->next = sites;
        sites = site;
    }
    SSL_CTX_set_tlsext_servername_callback(first, choose);
    SSL_CTX_set_tlsext_servername_arg(first, sites);
    int listener = listen_on(port);
    serve(listener, first);
}
