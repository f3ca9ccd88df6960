/* wire: OpenSSL without a socket. */
#include "wire.h"

#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL calls this when it would read from the socket. */
static int take_input(BIO *bio, char *bytes, int length) {
    struct wire *wire = BIO_get_data(bio);
    size_t count = wire->input_length - wire->input_taken;
    BIO_clear_retry_flags(bio);
    if (count == 0) {
        BIO_set_retry_read(bio); /* no error: more input may come */
        return -1;
    }
    if (count > (size_t)length)
        count = (size_t)length;
    memcpy(bytes, wire->input + wire->input_taken, count);
    wire->input_taken += count;
    return (int)count;
}

/* Makes room for more output. Returns 0, or -1 if there is no memory. */
static int enlarge_output(struct wire *wire, size_t room) {
    char *larger = realloc(wire->output, room);
    if (larger == NULL)
        return -1;
    wire->output = larger;
    wire->output_room = room;
    return 0;
}

/* OpenSSL calls this when it would write to the socket. It never has to wait,
 * because there is room in memory. */
static int add_output(BIO *bio, const char *bytes, int length) {
    struct wire *wire = BIO_get_data(bio);
    size_t needed = wire->output_length + (size_t)length;
    BIO_clear_retry_flags(bio);
    if (needed > wire->output_room) {
        /* Twice as much as is needed now, because more will follow. */
        if (enlarge_output(wire, 2 * needed) < 0)
            return -1;
    }
    memcpy(wire->output + wire->output_length, bytes, (size_t)length);
    wire->output_length = needed;
    return length;
}

/* OpenSSL calls this for anything else. After a group of messages it wants a
 * flush: 1 says that it was done. 0 is the answer to what a wire does not have.
 * Its type is given: BIO_meth_new(3). */
static long control_wire(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_FLUSH)
        return 1;
    return 0;
}

/* Makes a new kind of BIO: those that read and write a wire. Returns NULL if
 * there is no memory. */
static BIO_METHOD *make_method(void) {
    int type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;
    BIO_METHOD *method = BIO_meth_new(type, "wire");
    if (method == NULL)
        return NULL;
    /* These only put a pointer into the method. */
    (void)BIO_meth_set_read(method, take_input);
    (void)BIO_meth_set_write(method, add_output);
    (void)BIO_meth_set_ctrl(method, control_wire);
    return method;
}

int wire_open(struct wire *wire, size_t room) {
    *wire = (struct wire){.method = make_method()};
    if (wire->method != NULL && enlarge_output(wire, room) == 0)
        return 0;
    wire_close(wire);
    errno = ENOMEM;
    return -1;
}

void wire_close(struct wire *wire) {
    BIO_meth_free(wire->method);
    free(wire->output);
    *wire = (struct wire){0};
}

int wire_attach(struct wire *wire, SSL *ssl) {
    BIO *bio = BIO_new(wire->method);
    if (bio == NULL) {
        errno = ENOMEM;
        return -1;
    }
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* to read and to write; SSL_free frees it */
    return 0;
}

void wire_start(struct wire *wire, const char *bytes, size_t length) {
    wire->input = bytes;
    wire->input_length = length;
    wire->input_taken = 0;
    wire_empty_output(wire);
}

void wire_empty_output(struct wire *wire) {
    wire->output_length = 0;
}

bool wire_has_input(const struct wire *wire) {
    return wire->input_taken < wire->input_length;
}
