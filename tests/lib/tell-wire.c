/*
 * tell-wire: what common/wire does with the bytes of two connections.
 *
 *     tell-wire SCENARIO CHAIN KEY
 *
 * We open one wire, and attach a client and a server to it. Then we carry the
 * output of one of them to the other, as two programs would do over a network.
 * The certificate of CHAIN is not verified. The scenarios are at the end of
 * this file. For example, `tell-wire records` prints:
 *
 *     shaken
 *     write done
 *     ...
 */
#define _GNU_SOURCE

#include "tls.h"
#include "wire.h"

#include <err.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES = 16384, MOST_FLIGHTS = 10, BYTES = 512 * 1024 };

static struct wire wire;
static SSL *client;
static SSL *server;

static const char *name_of(int error) {
    switch (error) {
    case SSL_ERROR_NONE:
        return "done";
    case SSL_ERROR_WANT_READ:
        return "wants input";
    case SSL_ERROR_WANT_WRITE:
        return "wants to write";
    case SSL_ERROR_ZERO_RETURN:
        return "close_notify";
    default:
        return "failed";
    }
}

static void tell_result(const char *call, const SSL *ssl, int result) {
    printf("%s %s\n", call, name_of(SSL_get_error(ssl, result)));
}

static SSL *attached(SSL_CTX *context) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        errx(1, "SSL_new");
    if (wire_attach(&wire, ssl) < 0)
        err(1, "wire_attach");
    return ssl;
}

static void open_all(size_t room, const char *chain, const char *key) {
    SSL_CTX *for_server = tls_server_context(chain, key);
    SSL_CTX *for_client = SSL_CTX_new(TLS_client_method());
    if (for_server == NULL || for_client == NULL)
        errx(1, "no context");
    if (wire_open(&wire, room) < 0)
        err(1, "wire_open");
    client = attached(for_client);
    server = attached(for_server);
    SSL_CTX_free(for_client);
    SSL_CTX_free(for_server);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
}

static void close_all(void) {
    SSL_free(client);
    SSL_free(server);
    wire_close(&wire);
    if (wire.output != NULL || wire.method != NULL)
        puts("the wire is not empty");
}

/* Takes the output off the wire: it is the next input. The caller frees it. */
static char *take_output(size_t *length) {
    char *bytes = malloc(wire.output_length + 1);
    if (bytes == NULL)
        err(1, "malloc");
    if (wire.output_length > 0)
        memcpy(bytes, wire.output, wire.output_length);
    *length = wire.output_length;
    return bytes;
}

/* Gives a flight to one side of a handshake, in pieces of so many bytes. Only
 * the last piece may have an answer. */
static void take_flight(SSL *side, const char *flight, size_t length,
                        size_t piece) {
    while (length > piece) {
        wire_start(&wire, flight, piece);
        (void)SSL_do_handshake(side);
        if (wire_has_input(&wire))
            errx(1, "OpenSSL has not taken all of the input");
        if (wire.output_length > 0)
            errx(1, "OpenSSL answers before all has come");
        flight += piece;
        length -= piece;
    }
    wire_start(&wire, flight, length);
    (void)SSL_do_handshake(side);
}

static int are_finished(void) {
    return SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

/* Makes the handshake. Each flight comes in pieces of so many bytes. */
static void shake_hands(size_t piece) {
    char *flight = NULL;
    size_t length = 0;
    SSL *side = client;
    for (int i = 0; i < MOST_FLIGHTS && !are_finished(); i++) {
        take_flight(side, flight, length, piece);
        free(flight);
        flight = take_output(&length);
        side = side == client ? server : client;
    }
    free(flight);
    if (are_finished())
        puts("shaken");
}

/* ---- Scenarios -------------------------------------------------------------
 */

/* Without input, OpenSSL waits for input. */
static void play_empty(void) {
    char byte;
    wire_start(&wire, NULL, 0);
    tell_result("handshake", server, SSL_do_handshake(server));
    printf("%zu bytes of output\n", wire.output_length);
    shake_hands(SIZE_MAX);
    wire_start(&wire, NULL, 0);
    tell_result("read", server, SSL_read(server, &byte, 1));
    printf("%zu errors in the queue\n", (size_t)(ERR_peek_error() != 0));
}

/* A handshake whose flights come byte by byte. */
static void play_pieces(void) {
    shake_hands(1);
}

/* The server returns three records, whatever is still in the input. */
static void play_records(void) {
    static char record[RECORD_BYTES];
    size_t length;
    shake_hands(SIZE_MAX);
    wire_start(&wire, NULL, 0);
    for (int i = 1; i <= 3; i++)
        tell_result("write", client, SSL_write(client, record, 100 * i));
    char *flight = take_output(&length);
    wire_start(&wire, flight, length);
    do {
        printf("read %d", SSL_read(server, record, sizeof record));
        puts(wire_has_input(&wire) ? ", and there is more" : "");
    } while (wire_has_input(&wire));
    tell_result("read", server, SSL_read(server, record, sizeof record));
    free(flight);
}

/* The output grows beyond its room, and nothing of it is lost. */
static void play_growth(void) {
    static char sent[BYTES];
    static char came[BYTES];
    size_t length;
    size_t got = 0;
    shake_hands(SIZE_MAX);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7 + i / 251);
    wire_start(&wire, NULL, 0);
    tell_result("write", client, SSL_write(client, sent, BYTES));
    char *flight = take_output(&length);
    wire_start(&wire, flight, length);
    while (wire_has_input(&wire)) {
        int count = SSL_read(server, came + got, (int)(sizeof came - got));
        if (count <= 0)
            break;
        got += (size_t)count;
    }
    free(flight);
    puts(got == sizeof sent && memcmp(sent, came, got) == 0 ? "the same"
                                                            : "different");
}

/* The start of another connection's turn empties the output. */
static void play_turns(void) {
    shake_hands(SIZE_MAX);
    wire_start(&wire, NULL, 0);
    tell_result("write", client, SSL_write(client, "x", 1));
    printf("output: %s\n", wire.output_length > 0 ? "some" : "none");
    wire_start(&wire, NULL, 0);
    printf("output: %s\n", wire.output_length > 0 ? "some" : "none");
}

/* Each side says goodbye, and each hears it. */
static void play_goodbye(void) {
    char byte;
    size_t length;
    shake_hands(SIZE_MAX);
    wire_start(&wire, NULL, 0);
    (void)SSL_shutdown(client);
    char *flight = take_output(&length);
    wire_start(&wire, flight, length);
    tell_result("read", server, SSL_read(server, &byte, 1));
    free(flight);
}

/* A record that is no ClientHello fails, and leaves an alert in the output. */
static void play_garbage(void) {
    static const char record[] = "\x16\x03\x01\x00\x05hello";
    wire_start(&wire, record, sizeof record - 1);
    tell_result("handshake", server, SSL_do_handshake(server));
    printf("output: %s\n", wire.output_length > 0 ? "some" : "none");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*play)(void);
        size_t room;
    } scenarios[] = {
        {"empty", play_empty, RECORD_BYTES},
        {"pieces", play_pieces, RECORD_BYTES},
        {"records", play_records, RECORD_BYTES},
        {"growth", play_growth, 1},
        {"turns", play_turns, RECORD_BYTES},
        {"goodbye", play_goodbye, RECORD_BYTES},
        {"garbage", play_garbage, RECORD_BYTES},
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (argc != 4 || strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        open_all(scenarios[i].room, argv[2], argv[3]);
        scenarios[i].play();
        close_all();
        return fflush(stdout) == EOF;
    }
    fputs("usage: tell-wire SCENARIO CHAIN KEY\n", stderr);
    return 2;
}
