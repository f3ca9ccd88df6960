/* client: the life of a client. */
#define _GNU_SOURCE

#include "client.h"

#include "accept.h"
#include "loop.h"
#include "server.h"
#include "tls.h"
#include "wire.h"

#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum client_state {
    SHAKING_HANDS,
    TALKING,
    LEAVING, /* we close it when the kernel has taken all our bytes */
};

struct client {
    struct server *server;
    struct loop_watcher watcher;
    struct loop_timer timer; /* runs in SHAKING_HANDS and in LEAVING */
    enum client_state state;
    SSL *ssl;
    char *unsent; /* bytes that send did not take, or NULL */
    size_t unsent_length;
    struct client *previous; /* in the list of all clients */
    struct client *next;
};

/* ---- The list of clients ---------------------------------------------------
 */

static void add_to_list(struct client *client) {
    struct server *server = client->server;
    client->next = server->first_client;
    if (client->next != NULL)
        client->next->previous = client;
    server->first_client = client;
    server->clients++;
}

static void remove_from_list(struct client *client) {
    struct server *server = client->server;
    if (client->previous == NULL)
        server->first_client = client->next;
    else
        client->previous->next = client->next;
    if (client->next != NULL)
        client->next->previous = client->previous;
    server->clients--;
}

/* ---- A client goes ---------------------------------------------------------
 */

static void free_unsent(struct client *client) {
    if (client->unsent == NULL)
        return;
    free(client->unsent);
    client->unsent = NULL;
    client->server->clients_with_unsent--;
}

/* Closes the client, and frees all that is its own. The loop sees to it that no
 * event of it is handled after that. */
static void close_client(struct client *client) {
    struct server *server = client->server;
    (void)loop_watch(&server->loop, &client->watcher, 0);
    loop_stop_timer(&client->timer);
    free_unsent(client);
    SSL_free(client->ssl);
    ERR_clear_error(); /* the queue is to be empty for the next client */
    (void)close(client->watcher.fd);
    remove_from_list(client);
    free(client);
    if (server->clients == server->most_clients - 1)
        accept_again(server); /* there is a place again */
}

static void close_failed_client(struct client *client, const char *failed) {
    warn("%s", failed);
    close_client(client);
}

/* From now on we close the client when the kernel has taken what we have for
 * it, or when its time is up. */
static void begin_leaving(struct client *client) {
    client->state = LEAVING;
    loop_start_timer(&client->server->handshake, &client->timer);
}

/* Says why a call of OpenSSL has failed. ssl is the connection, or NULL. */
static void warn_of_failed_call(const SSL *ssl, const char *call) {
    char reason[TLS_REASON_BYTES];
    warnx("%s: %s", call, tls_explain(ssl, reason));
}

/* A call of OpenSSL has failed. In the output there may be an alert, with which
 * OpenSSL tells the client. So the client leaves, and is not closed at once. */
static void leave_after_error(struct client *client, const char *call) {
    warn_of_failed_call(client->ssl, call);
    begin_leaving(client);
}

/* ---- Sending ---------------------------------------------------------------
 */

/* The next call may succeed: there was nothing to receive, or no room to send;
 * or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Copies the output that send did not take. From now on we wait until the
 * client reads, and not for what it sends. So it cannot fill our memory. */
static void store_unsent(struct client *client, size_t sent) {
    struct server *server = client->server;
    size_t length = server->wire.output_length - sent;
    char *copy = malloc(length);
    if (copy == NULL) {
        close_failed_client(client, "malloc");
        return;
    }
    memcpy(copy, server->wire.output + sent, length);
    client->unsent = copy;
    client->unsent_length = length;
    server->clients_with_unsent++;
    if (loop_watch(&server->loop, &client->watcher, EPOLLOUT) < 0)
        close_failed_client(client, "epoll_ctl");
}

/* Sends what OpenSSL has put into the output, in one call, and stores what the
 * kernel did not take. If nothing is left for a client that leaves, or if the
 * call has failed, closes the client. */
static void send_output(struct client *client) {
    const struct wire *wire = &client->server->wire;
    size_t sent = 0;
    if (wire->output_length > 0) {
        ssize_t result =
            send(client->watcher.fd, wire->output, wire->output_length, 0);
        if (result < 0 && !is_worth_another_try(errno)) {
            close_failed_client(client, "send");
            return;
        }
        if (result > 0)
            sent = (size_t)result;
    }
    if (sent < wire->output_length)
        store_unsent(client, sent);
    else if (client->state == LEAVING)
        close_client(client);
}

/* Sends more of the unsent bytes. When there are none left, we wait for input
 * again. */
static void send_unsent(struct client *client) {
    ssize_t sent =
        send(client->watcher.fd, client->unsent, client->unsent_length, 0);
    if (sent < 0 && is_worth_another_try(errno))
        return;
    if (sent < 0) {
        close_failed_client(client, "send");
        return;
    }
    client->unsent_length -= (size_t)sent;
    if (client->unsent_length > 0) {
        memmove(client->unsent, client->unsent + sent, client->unsent_length);
        return;
    }
    free_unsent(client);
    if (client->state == LEAVING)
        close_client(client);
    else if (loop_watch(&client->server->loop, &client->watcher, EPOLLIN) < 0)
        close_failed_client(client, "epoll_ctl");
}

/* ---- The handshake, and records --------------------------------------------
 */

/* Lets OpenSSL go on with the handshake, as far as the input allows. */
static void shake_hands(struct client *client) {
    int result = SSL_accept(client->ssl);
    if (result == 1) {
        client->state = TALKING;
        loop_stop_timer(&client->timer);
    } else if (SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ) {
        leave_after_error(client, "SSL_accept");
    }
}

/* SSL_read has returned no bytes. */
static void handle_no_bytes(struct client *client, int result) {
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        (void)SSL_shutdown(client->ssl); /* our close_notify */
        begin_leaving(client);
        break;
    default:
        leave_after_error(client, "SSL_read");
    }
}

/* Sends back each record in the input, until none is left: nobody would wake us
 * up for a record that OpenSSL has taken already. When the input is empty after
 * a whole record, OpenSSL has nothing more, so we need not ask it. */
static void echo_records(struct client *client) {
    char *record = client->server->record;
    do {
        int length = SSL_read(client->ssl, record, RECORD_BYTES);
        if (length <= 0) {
            handle_no_bytes(client, length);
            return;
        }
        if (SSL_write(client->ssl, record, length) <= 0) {
            leave_after_error(client, "SSL_write");
            return;
        }
    } while (wire_has_input(&client->server->wire));
}

/* Receives once, lets OpenSSL work on that, and sends once. */
static void receive_and_reply(struct client *client) {
    struct server *server = client->server;
    ssize_t received = recv(client->watcher.fd, server->input, INPUT_BYTES, 0);
    if (received < 0 && is_worth_another_try(errno))
        return;
    if (received < 0) {
        close_failed_client(client, "recv");
        return;
    }
    if (received == 0) {
        warnx("recv: cut short: it ended without close_notify");
        close_client(client);
        return;
    }
    wire_start(&server->wire, server->input, (size_t)received);
    if (client->state == SHAKING_HANDS)
        shake_hands(client);
    if (client->state == TALKING && wire_has_input(&server->wire))
        echo_records(client);
    send_output(client);
}

/* ---- What the loop and the other files call --------------------------------
 */

/* The loop calls this when a client is ready. */
static void handle_client(void *owner, uint32_t events) {
    struct client *client = owner;
    (void)events; /* an error is reported by the next call */
    if (client->unsent != NULL)
        send_unsent(client);
    else
        receive_and_reply(client);
}

/* The loop calls this when the timer of a client is over. */
static void close_slow_client(void *owner) {
    struct client *client = owner;
    if (client->state == LEAVING)
        warnx("send: deadline passed");
    else
        warnx("SSL_accept: deadline passed");
    close_client(client);
}

void client_add_timeout(struct server *server) {
    server->handshake.handle = close_slow_client;
    loop_add_timeout(&server->loop, &server->handshake);
}

void client_admit(struct server *server, int fd) {
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
    client->state = SHAKING_HANDS;
    add_to_list(client);
    loop_start_timer(&server->handshake, &client->timer);
    client->ssl = SSL_new(server->context);
    if (client->ssl == NULL || wire_attach(&server->wire, client->ssl) < 0) {
        warn_of_failed_call(NULL, "SSL_new");
        close_client(client);
        return;
    }
    if (loop_watch(&server->loop, &client->watcher, EPOLLIN) < 0)
        close_failed_client(client, "epoll_ctl");
}

/* Tells the client that we send no more, if we can, and closes it. */
static void say_goodbye(struct client *client) {
    struct wire *wire = &client->server->wire;
    if (client->state == TALKING && client->unsent == NULL) {
        wire_start(wire, NULL, 0);
        (void)SSL_shutdown(client->ssl);
        /* If the client does not take it, there is nothing that we can do. */
        (void)send(client->watcher.fd, wire->output, wire->output_length, 0);
    }
    close_client(client);
}

void client_close_all(struct server *server) {
    struct client *client = server->first_client;
    while (client != NULL) {
        struct client *next = client->next;
        say_goodbye(client); /* and frees it */
        client = next;
    }
}
