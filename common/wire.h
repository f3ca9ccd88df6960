/*
 * wire: OpenSSL without a socket. A program receives and sends the encrypted
 * bytes itself, and OpenSSL reads them from memory and writes them to memory.
 * Built by lesson 27.
 *
 * One wire is enough for all connections of a thread, if the program handles
 * one after the other. For each event of a connection it does this:
 *
 *   1. It receives bytes, and calls wire_start.
 *   2. It calls SSL_accept, SSL_read, SSL_write or SSL_shutdown, as often as it
 *      likes. OpenSSL takes from the input, and adds to the output. Before the
 *      program turns to another connection, OpenSSL must have taken all of the
 *      input: see wire_has_input.
 *   3. It sends the output, and keeps what could not be sent.
 *
 * Over a wire, OpenSSL never has to wait before it can write, so SSL_get_error
 * never says SSL_ERROR_WANT_WRITE. SSL_ERROR_WANT_READ says that the input is
 * used up: the program may go on when more has come.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>

/* The caller reads output and output_length, and leaves the rest to the
 * functions below. */
struct wire {
    const char *input; /* encrypted, from the peer; it is the caller's */
    size_t input_length;
    size_t input_taken; /* so much of it OpenSSL has taken */
    char *output;       /* encrypted, for the peer */
    size_t output_length;
    size_t output_room;
    BIO_METHOD *method;
};

/*
 * Prepares a wire, with room for so many bytes of output (at least 1). When
 * OpenSSL needs more, more is allocated.
 *
 * Returns 0, and then the caller gives the wire to wire_close in the end.
 * Otherwise there is no memory: it returns -1 with ENOMEM, and nothing has been
 * allocated.
 */
int wire_open(struct wire *wire, size_t room);

/*
 * Lets OpenSSL read and write the wire for this connection, instead of a
 * socket: it takes the place of SSL_set_fd(3). Any number of connections may
 * share the wire. It may not move or be closed before SSL_free(3) has been
 * called for each of them.
 *
 * Returns 0, or -1 with ENOMEM; then OpenSSL's queue of errors says so, too.
 */
int wire_attach(struct wire *wire, SSL *ssl);

/*
 * Turns to a connection. The next call of OpenSSL finds these bytes, length of
 * them (0 is allowed), in the input. They are not copied, and must stay until
 * OpenSSL has taken them. The output is empty.
 */
void wire_start(struct wire *wire, const char *bytes, size_t length);

/* Empties the output, when it has been sent or stored. */
void wire_empty_output(struct wire *wire);

/*
 * Returns whether there is input that OpenSSL has not taken. When SSL_read(3)
 * has returned a whole record (it was given room for 16,384 bytes) and this is
 * false, then OpenSSL has nothing more to return.
 */
bool wire_has_input(const struct wire *wire);

/* Frees what wire_open has allocated. */
void wire_close(struct wire *wire);

#endif
