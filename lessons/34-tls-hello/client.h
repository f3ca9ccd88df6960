/*
 * client: what we know of one client. Built by lesson 34.
 *
 * The program sets the first four fields when it accepts the client. peek_hello
 * fills in the bytes and the message, and hello_parse what the message says.
 */
#ifndef TLS_HELLO_CLIENT_H
#define TLS_HELLO_CLIENT_H

#include "addr.h"
#include "hello.h"

#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* The message, and the headers of its records: enough, unless a client uses
     * very small records. */
    PEEK_BYTES = 2 * HELLO_MESSAGE_BYTES,
};

/* What the command line says: tls-hello.c. */
struct options;

/* One client, which has a thread of its own. */
struct client {
    const struct options *options;
    sem_t *places; /* one is free again when the client has gone */
    int fd;
    char name[ADDR_TEXT_BYTES];
    uint8_t seen[PEEK_BYTES]; /* a copy of what is still in the socket */
    uint8_t message[HELLO_MESSAGE_BYTES];
    size_t message_length;
    struct hello hello;
};

#endif
