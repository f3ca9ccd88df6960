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

enum { MOST = 500, LINE_BYTES = 400 };
enum state { HANDSHAKE, LINE, END, REST, OVER };

struct client {
    struct deadline deadline;
    SSL *ssl;
    enum state state;
    int fd;
    short events;
};

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

/* Makes the next call for this client. Returns what it returned. */
static int step(struct client *client) {
    const char *name;
    char line[LINE_BYTES];
    switch (client->state) {
    case HANDSHAKE:
        return SSL_accept(client->ssl);
    case LINE:
        name = SSL_get_servername(client->ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(line, sizeof line, "you asked for %s\n",
                 name == NULL ? "nobody" : name);
        return SSL_write(client->ssl, line, (int)strlen(line));
    case END:
        return SSL_shutdown(client->ssl) >= 0 ? 1 : -1;
    case REST:
        return SSL_read(client->ssl, line, sizeof line);
    default:
        return 0;
    }
}

/* Does what can be done now. */
static void advance(struct client *client) {
    /* A client that always has something to say must not keep us. */
    for (int i = 0; i < 100 && client->state != OVER; i++) {
        int result = step(client);
        if (result > 0) {
            if (client->state != REST)
                client->state++;
            continue;
        }
        switch (SSL_get_error(client->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            client->events = POLLIN;
            return;
        case SSL_ERROR_WANT_WRITE:
            client->events = POLLOUT;
            return;
        default:
            client->state = OVER;
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

/* Takes one more client, if one is there. Returns how many there are then. */
static int accept_client(int listener, SSL_CTX *context, struct client *clients,
                         int count) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    SSL *ssl = SSL_new(context);
    if (fd < 0 || ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        warn("accept");
        SSL_free(ssl);
        if (fd >= 0)
            close(fd);
        return count;
    }
    clients[count] =
        (struct client){.fd = fd, .ssl = ssl, .deadline = deadline_after(1000)};
    advance(&clients[count]);
    return count + 1;
}

/* Closes those who are done, or late. Returns how many are left. */
static int close_some(struct client *clients, int count) {
    for (int i = count - 1; i >= 0; i--) {
        if (clients[i].state != OVER && deadline_left(clients[i].deadline) > 0)
            continue;
        SSL_free(clients[i].ssl);
        close(clients[i].fd);
        count--;
        clients[i] = clients[count];
    }
    return count;
}

static void run(int listener, SSL_CTX *context) {
    static struct client clients[MOST];
    int count = 0;
    for (;;) {
        struct pollfd polls[MOST + 1] = {{listener, POLLIN, 0}};
        if (count == MOST)
            polls[0].fd = -1;
        int wait = -1;
        for (int i = 0; i < count; i++) {
            polls[i + 1] = (struct pollfd){clients[i].fd, clients[i].events, 0};
            int left = deadline_left(clients[i].deadline);
            if (wait < 0 || left < wait)
                wait = left;
        }
        if (poll(polls, (nfds_t)count + 1, wait) < 0)
            err(1, "poll");
        for (int i = 0; i < count; i++)
            if (polls[i + 1].revents != 0)
                advance(&clients[i]);
        if (polls[0].revents != 0)
            count = accept_client(listener, context, clients, count);
        count = close_some(clients, count);
    }
}

int main(int argc, char **argv) {
    in_port_t port;
    if (argc < 4 || (argc - 1) % 3 != 0) {
        fputs("usage: 09-ssl-server PORT CERTFILE KEYFILE "
              "[NAME CERTFILE KEYFILE]...\n",
              stderr);
        return 2;
    }
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port", argv[1]);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *first = load(argv[2], argv[3]);
    struct site *sites = NULL;
    for (int i = 4; i < argc; i += 3) {
        struct site *site = malloc(sizeof *site);
        if (site == NULL)
            err(1, "malloc");
        *site = (struct site){argv[i], load(argv[i + 1], argv[i + 2]), sites};
        sites = site;
    }
    SSL_CTX_set_tlsext_servername_callback(first, choose);
    SSL_CTX_set_tlsext_servername_arg(first, sites);
    run(listen_on(port), first);
}
