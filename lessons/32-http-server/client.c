/* client: the life of a client. */
#define _GNU_SOURCE

#include "client.h"

#include "request.h"
#include "send.h"
#include "wire.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_MS = 10 * 1000,  /* for a handshake, a head, or a body to pass over */
    IDLE_MS = 60 * 1000,  /* between two requests */
    WRITE_MS = 30 * 1000, /* for a client that takes nothing */
    LEAVE_MS = 1000,      /* for a client that we have told to go */
};

/* ---- Clients go ------------------------------------------------------------
 */

static void set_state(struct client *client, enum client_state state) {
    if (client->state == WRITING)
        client->server->writing--;
    if (state == WRITING)
        client->server->writing++;
    client->state = state;
}

static void close_client(struct client *client) {
    struct server *server = client->server;
    set_state(client, LEAVING);
    (void)loop_watch(&server->loop, &client->watcher, 0);
    loop_stop_timer(&client->timer);
    send_close_file(client);
    if (client->ssl != NULL) {
        SSL_free(client->ssl);
        ERR_clear_error(); /* the queue is to be empty for the next client */
    }
    (void)close(client->watcher.fd);
    free(client->unread);
    free(client->unsent);
    free(client);
    server->clients--;
}

/* Waits for events of the client. If that fails, the client is closed. */
static void watch_client(struct client *client, uint32_t events) {
    if (loop_watch(&client->server->loop, &client->watcher, events) == 0)
        return;
    warn("epoll_ctl");
    close_client(client);
}

/* ---- What a client does ----------------------------------------------------
 */

/* We send no more. If we closed now, while the client still sends, it would be
 * told of a reset, and could lose our reply: lesson 06. So we wait for its end,
 * but not for long. */
static void begin_leaving(struct client *client) {
    if (client->ssl != NULL)
        (void)SSL_shutdown(client->ssl); /* adds a record to the output */
    if (!send_output(client)) {
        close_client(client);
        return;
    }
    set_state(client, LEAVING);
    (void)shutdown(client->watcher.fd, SHUT_WR);
    loop_start_timer(&client->server->leave_time, &client->timer);
    watch_client(client, EPOLLIN);
}

void client_expect_request(struct client *client) {
    if (client->state == WRITING)
        return;
    set_state(client, IDLE);
    loop_start_timer(&client->server->idle_time, &client->timer);
}

/* Waits for the next request, or for the rest of one that has begun. No time
 * begins anew with each byte that comes, or a client could send one byte from
 * time to time, and stay for ever. (Not all bytes begin a request: there are
 * empty lines, and parts of a TLS record.) */
static void wait_for_request(struct client *client) {
    struct server *server = client->server;
    bool has_begun = client->unread != NULL || client->to_skip > 0;
    if (has_begun && client->state != READING) {
        set_state(client, READING);
        loop_start_timer(&server->head_time, &client->timer);
    } else if (!has_begun && client->state != IDLE) {
        set_state(client, IDLE);
        loop_start_timer(&server->idle_time, &client->timer);
    }
    watch_client(client, EPOLLIN);
}

/* Sets the state that follows from what is left to be sent, and waits for what
 * it needs. */
static void choose_state(struct client *client) {
    if (send_is_pending(client) || client->has_had_turn) {
        set_state(client, WRITING);
        loop_start_timer(&client->server->write_time, &client->timer);
        watch_client(client, EPOLLOUT);
    } else if (client->closes || client->has_ended) {
        begin_leaving(client);
    } else {
        wait_for_request(client);
    }
}

/* Handles the requests that are unread, and length bytes that have come. */
static void handle_input(struct client *client, const char *bytes,
                         size_t length) {
    struct requests requests;
    enum request_result result;
    request_collect(client, bytes, length, &requests);
    do {
        result = request_handle(client, &requests);
        if (result == REQUEST_USELESS || !send_reply(client)) {
            close_client(client);
            return;
        }
    } while (result == REQUEST_INTERRUPTED && !client->closes &&
             !send_is_pending(client) && !client->has_had_turn);
    /* What comes behind the last request is ignored. */
    if (!client->closes && !request_store(client, &requests)) {
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

/* Lets OpenSSL work on the input: on the handshake, and then on requests. There
 * is room for all that it can make of the input, so when the input is used up
 * after a whole record, we need not ask it again: lesson 27. */
static void handle_encrypted_input(struct client *client) {
    struct server *server = client->server;
    size_t length = 0;
    int result;
    do {
        result = SSL_read(client->ssl, server->plain + length,
                          (int)(PLAIN_BYTES - length));
        if (result > 0)
            length += (size_t)result;
    } while (result > 0 && wire_has_input(&server->wire));
    if (result <= 0 && !handle_no_bytes(client, result)) {
        close_client(client);
        return;
    }
    if (!SSL_is_init_finished(client->ssl)) {
        /* These are the first bytes that we send, so the kernel has room for
         * all of them. */
        if (!send_output(client) || client->unsent != NULL)
            close_client(client);
        return;
    }
    handle_input(client, server->plain, length);
}

/* Receives what the client has sent, and handles it. */
static void receive_input(struct client *client) {
    struct server *server = client->server;
    ssize_t received =
        recv(client->watcher.fd, server->received, INPUT_BYTES, 0);
    if (received < 0 && send_is_worth_another_try(errno))
        return;
    /* If a client closes at once, its kernel may answer our last bytes with a
     * reset. That is not worth a line. */
    if (received < 0 && client->state != LEAVING)
        warn("recv");
    if (received <= 0) {
        close_client(client);
        return;
    }
    if (client->state == LEAVING)
        return; /* it is ignored */
    if (client->ssl == NULL) {
        handle_input(client, server->received, (size_t)received);
        return;
    }
    wire_start(&server->wire, server->received, (size_t)received);
    handle_encrypted_input(client);
}

/* Sends more, if not all has been sent. When it has, the next request may have
 * come already. */
static void continue_reply(struct client *client) {
    client->has_had_turn = false;
    if (send_is_pending(client) && !send_more(client))
        close_client(client);
    else if (send_is_pending(client))
        loop_start_timer(&client->server->write_time, &client->timer);
    else if (client->closes)
        begin_leaving(client);
    else
        handle_input(client, NULL, 0);
}

/* Forgets what was for another client. */
static void forget_others(struct server *server) {
    server->output.length = 0;
    if (server->context != NULL)
        wire_empty_output(&server->wire);
}

/* The loop calls this when a client is ready. */
static void handle_client(void *owner, uint32_t events) {
    struct client *client = owner;
    (void)events; /* an error is reported by the next call */
    forget_others(client->server);
    log_update_dates(&client->server->log);
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
    forget_others(client->server);
    log_update_dates(&client->server->log);
    request_refuse(client, client->unread, client->unread_length, 408);
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

/* ---- Clients come ----------------------------------------------------------
 */

/* Makes a connection of OpenSSL's. Returns NULL if there is no memory. */
static SSL *make_ssl(struct server *server) {
    SSL *ssl = SSL_new(server->context);
    if (ssl == NULL || wire_attach(&server->wire, ssl) < 0) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

void client_admit(struct server *server, int fd,
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
    (void)inet_ntop(AF_INET, &peer->sin_addr, client->address,
                    sizeof client->address);
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
    watch_client(client, EPOLLIN);
}

static void set_timeout(struct server *server, struct loop_timeout *timeout,
                        int milliseconds, void (*handle)(void *owner)) {
    timeout->milliseconds = milliseconds;
    timeout->handle = handle;
    loop_add_timeout(&server->loop, timeout);
}

void client_add_timeouts(struct server *server) {
    set_timeout(server, &server->head_time, HEAD_MS, handle_slow_client);
    set_timeout(server, &server->idle_time, IDLE_MS, handle_slow_client);
    set_timeout(server, &server->write_time, WRITE_MS, handle_late_client);
    set_timeout(server, &server->leave_time, LEAVE_MS, handle_late_client);
}
