/*
 * 27-tls-event-loop: send back what clients send over TLS, to ten thousand in
 * one thread.
 *
 * Shows a server that never waits for a single client, although OpenSSL may
 * have to read before it can write, and to write before it can read. OpenSSL
 * does not touch the sockets here. We receive for it, and we send what it wants
 * to send: one recv and one send for each event. This file starts and ends the
 * server. The rest is in the modules of this lesson; read them in this order:
 *
 *   accept    takes clients out of the queue, as long as there are places
 *   client    the life of a client: its handshake, its records, and its end
 *
 * server.h has what all clients share.
 *
 * usage: 27-tls-event-loop [-k] [-m MAXCLIENTS] [-t SECONDS] PORT CERT KEY
 *
 * MAXCLIENTS may be connected (65,535 unless given); others wait in the queue.
 * A handshake may take SECONDS (10 unless given). A client that leaves has as
 * much time to receive its last bytes. Port 0 is any free port. With -k,
 * OpenSSL keeps its buffers while a client is silent: the lesson measures what
 * that costs.
 *
 * Left out: a limit for clients that send nothing (the exercise of lesson 25),
 * and the question who the client is (lesson 10).
 */
#define _GNU_SOURCE

#include "accept.h"
#include "client.h"
#include "deadline.h"
#include "loop.h"
#include "number.h"
#include "server.h"
#include "tls.h"
#include "wire.h"

#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LARGEST_NUMBER = 65535,    /* on the command line */
    OUTPUT_BYTES = 128 * 1024, /* more is allocated when it is needed */
    HANDSHAKE_MS = 10 * 1000,  /* unless -t says otherwise */
    QUIET_MS = 20,             /* no event for so long: we may end */
    STOP_MS = 1000             /* but after this we end in any case */
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
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
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

/* Gets the memory, the wire, the loop, and the timeout of the clients. */
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
    client_add_timeout(server);
}

/* Waits for events, for so many milliseconds or for ever (-1), and handles
 * them. If the call fails, it may fail again at once. So we pause, and do not
 * use a whole processor. */
static int handle_events(struct server *server, int milliseconds) {
    int count = loop_turn(&server->loop, milliseconds);
    if (count < 0) {
        warn("epoll_wait");
        deadline_pause(PAUSE_MS);
    }
    return count;
}

/* Accepts no more clients. Goes on with those that are there, until nothing has
 * come for QUIET_MS and nothing is unsent; or for STOP_MS. */
static void finish(struct server *server) {
    accept_end(server);
    struct deadline end = deadline_after(STOP_MS);
    while (deadline_left(end) > 0) {
        int count = handle_events(server, QUIET_MS);
        if (count == 0 && server->clients_with_unsent == 0)
            break;
    }
    client_close_all(server);
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
    accept_start(&server, port);
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
