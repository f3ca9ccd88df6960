/*
 * 27-tls-event-loop: send back what clients send over TLS, to ten thousand in
 * one thread.
 *
 * Shows a server that never waits for a single client, although OpenSSL may
 * have to read before it can write, and to write before it can read. OpenSSL
 * does not touch the sockets here. We receive for it, and we send what it wants
 * to send: one recv and one send for each event.
 *
 * usage: 27-tls-event-loop [-k] [-m MAXCLIENTS] [-t SECONDS] PORT CERT KEY
 *
 * MAXCLIENTS may be connected; others wait in the queue. A handshake may take
 * SECONDS (10 unless given). So may a client that has to receive the last bytes
 * before we close. Port 0 is any free port. With -k, OpenSSL keeps its buffers
 * while a client is silent: the lesson measures what that costs.
 *
 * Left out: a limit for clients that send nothing (the exercise of lesson 25),
 * and the question who the client is (lesson 10).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "listener.h"
#include "loop.h"
#include "number.h"
#include "tls.h"
#include "wire.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LARGEST_NUMBER = 65535, /* on the command line */
    RECORD_BYTES = 16384,   /* a record of TLS holds no more */
    INPUT_BYTES = 64 * 1024,
    OUTPUT_BYTES = 128 * 1024, /* more is allocated when it is needed */
    HANDSHAKE_MS = 10 * 1000,  /* unless -t says otherwise */
    PAUSE_MS = 20, /* after a call failed because something had run out */
    QUIET_MS = 20, /* so long no event, and we may end */
    STOP_MS = 1000 /* but after this we end in any case */
};

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

struct server {
    struct loop loop;
    struct loop_watcher listener;
    struct loop_timeout handshake; /* how long it may take; leaving, too */
    struct loop_timeout pause;     /* after a call for the listener failed */
    struct loop_timer pause_timer;
    SSL_CTX *context;
    /* There is one of each of these for all clients: after the event of one
     * client, nothing in them is needed any more. */
    char *input; /* encrypted: what one recv returns */
    struct wire wire;
    char *record; /* decrypted: what one SSL_read returns */
    struct client *first_client;
    int clients; /* how many are connected */
    int most_clients;
    int clients_with_unsent;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 27-tls-event-loop [-k] [-m MAXCLIENTS] [-t SECONDS] "
          "PORT CERT KEY\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless it is one from
 * smallest to LARGEST_NUMBER, in digits alone. */
static int parse_number(const char *text, unsigned smallest) {
    unsigned long long number;
    if (number_parse(text, smallest, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number from %u to %d", text, smallest,
             LARGEST_NUMBER);
    return (int)number;
}

/* Returns the milliseconds of a text that is a number of seconds. Ends the
 * program if the text is not one, or if it is more than a day. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", text);
    return milliseconds;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Takes as many descriptors as we may have without special rights. If that
 * fails, fewer must do. */
static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* Makes what all connections share. The module of lesson 08 has set what a
 * careful server demands. */
static SSL_CTX *make_context(const char *cert, const char *key,
                             int keeps_buffers) {
    char reason[TLS_REASON_BYTES];
    SSL_CTX *context = tls_server_context(cert, key);
    if (context == NULL)
        errx(1, "%s with %s: %s", cert, key, tls_explain(NULL, reason));
    if (!keeps_buffers)
        (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    /* OpenSSL chooses the first of our three ciphers that the client has too,
     * whatever the client would like best. With the first one, the handshake
     * takes a little less time than with the second. Neither of these two is
     * known to be weak. */
    (void)SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (SSL_CTX_set_ciphersuites(context,
                                 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
                                 ":TLS_CHACHA20_POLY1305_SHA256") != 1)
        errx(1, "SSL_CTX_set_ciphersuites: %s", tls_explain(NULL, reason));
    return context;
}

/* Opens a non-blocking listener at 127.0.0.1. The sockets that it accepts
 * inherit TCP_NODELAY: lesson 05. */
static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    const char *failed;
    int fd = listener_open((const struct sockaddr *)&own, sizeof own, SOMAXCONN,
                           0, &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Accepts clients again, unless the server is about to end. */
static void watch_listener(struct server *server) {
    if (server->loop.is_stop_requested)
        return;
    if (loop_watch(&server->loop, &server->listener, EPOLLIN) < 0) {
        /* The kernel has no room for it now. After a pause we try again. */
        warn("epoll_ctl");
        loop_start_timer(&server->pause, &server->pause_timer);
    }
}

static void free_unsent(struct client *client) {
    if (client->unsent == NULL)
        return;
    free(client->unsent);
    client->unsent = NULL;
    client->server->clients_with_unsent--;
}

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
        watch_listener(server); /* there is a place again */
}

static void close_failed_client(struct client *client, const char *failed) {
    warn("%s", failed);
    close_client(client);
}

/* From now on we close the client when it has received what we have for it, or
 * when its time is up. */
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
static void fail_client(struct client *client, const char *call) {
    warn_of_failed_call(client->ssl, call);
    begin_leaving(client);
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

/* Sends all that OpenSSL has put into the output, in one call. */
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

/* Lets OpenSSL go on with the handshake, as far as the input allows. */
static void shake_hands(struct client *client) {
    int result = SSL_accept(client->ssl);
    if (result == 1) {
        client->state = TALKING;
        loop_stop_timer(&client->timer);
    } else if (SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ) {
        fail_client(client, "SSL_accept");
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
        fail_client(client, "SSL_read");
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
            fail_client(client, "SSL_write");
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

static void admit_client(struct server *server, int fd) {
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

/* Stops accepting for a while: others wait in the queue. */
static void stop_watching_listener(struct server *server) {
    if (loop_watch(&server->loop, &server->listener, 0) < 0)
        warn("epoll_ctl");
}

/* The loop calls this when the pause after a failed call is over. */
static void end_pause(void *owner) {
    struct server *server = owner;
    if (server->clients < server->most_clients)
        watch_listener(server);
}

/* The loop calls this when a client is in the queue. We accept one. If there
 * are more, the loop calls us again, after it has handled the other clients. */
static void accept_client(void *owner, uint32_t events) {
    struct server *server = owner;
    (void)events;
    int fd =
        accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && is_worth_another_try(errno))
        return;
    if (fd < 0) {
        warn("accept");
        stop_watching_listener(server);
        loop_start_timer(&server->pause, &server->pause_timer);
        return;
    }
    admit_client(server, fd);
    if (server->clients == server->most_clients) {
        if (printf("full with %d clients\n", server->most_clients) < 0)
            warn("standard output");
        stop_watching_listener(server);
    }
}

/* Waits for events, for so many milliseconds or for ever (-1), and handles
 * them. Without the pause, a call that goes on failing would use a whole
 * processor. */
static int handle_events(struct server *server, int milliseconds) {
    int count = loop_turn(&server->loop, milliseconds);
    if (count < 0) {
        warn("epoll_wait");
        (void)deadline_wait(deadline_after(PAUSE_MS), -1, 0);
    }
    return count;
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

/* Accepts no more clients. Goes on with those that are there, until nothing has
 * come for QUIET_MS and nothing is unsent; or for STOP_MS. */
static void finish(struct server *server) {
    (void)loop_watch(&server->loop, &server->listener, 0);
    (void)close(server->listener.fd);
    struct deadline end = deadline_after(STOP_MS);
    while (deadline_left(end) > 0) {
        int count = handle_events(server, QUIET_MS);
        if (count == 0 && server->clients_with_unsent == 0)
            break;
    }
    struct client *client = server->first_client;
    while (client != NULL) {
        struct client *next = client->next;
        say_goodbye(client); /* and frees it */
        client = next;
    }
}

/* Gets all that the server needs before it can listen. */
static void prepare(struct server *server) {
    const char *failed;
    server->input = malloc(INPUT_BYTES);
    if (server->input == NULL)
        err(1, "malloc");
    server->record = malloc(RECORD_BYTES);
    if (server->record == NULL)
        err(1, "malloc");
    if (wire_open(&server->wire, OUTPUT_BYTES) < 0)
        err(1, "wire_open");
    if (loop_open(&server->loop, &failed) < 0)
        err(1, "%s", failed);
    server->handshake.handle = close_slow_client;
    loop_add_timeout(&server->loop, &server->handshake);
    server->pause.milliseconds = PAUSE_MS;
    server->pause.handle = end_pause;
    loop_add_timeout(&server->loop, &server->pause);
    server->pause_timer.owner = server;
}

static void start_listening(struct server *server, in_port_t port) {
    const char *failed;
    server->listener.handle = accept_client;
    server->listener.owner = server;
    server->listener.fd = open_listener(port);
    if (loop_watch(&server->loop, &server->listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (listener_announce(server->listener.fd, &failed) < 0)
        err(1, "%s", failed);
}

static void release(struct server *server) {
    loop_close(&server->loop);
    SSL_CTX_free(server->context);
    wire_close(&server->wire);
    free(server->input);
    free(server->record);
}

int main(int argc, char **argv) {
    static struct server server = {
        .most_clients = LARGEST_NUMBER,
        .handshake.milliseconds = HANDSHAKE_MS,
    };
    int keeps_buffers = 0;
    for (;;) {
        int option = getopt(argc, argv, "+hkm:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'k')
            keeps_buffers = 1;
        else if (option == 'm')
            server.most_clients = parse_number(optarg, 1);
        else if (option == 't')
            server.handshake.milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 3)
        usage(stderr, 2);
    in_port_t port = (in_port_t)parse_number(argv[optind], 0);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has left is an error */
    /* Each line is to be one write(2), also when it goes into a file. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    raise_descriptor_limit();
    server.context =
        make_context(argv[optind + 1], argv[optind + 2], keeps_buffers);
    prepare(&server);
    start_listening(&server, port);
    while (!server.loop.is_stop_requested)
        (void)handle_events(&server, -1);
    finish(&server);
    release(&server);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
