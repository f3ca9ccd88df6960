/*
 * server: what all clients of the server share. Built by lesson 27.
 */
#ifndef TLS_EVENT_LOOP_SERVER_H
#define TLS_EVENT_LOOP_SERVER_H

#include "loop.h"
#include "wire.h"

#include <openssl/ssl.h>

enum {
    RECORD_BYTES = 16384,    /* a record of TLS holds no more */
    INPUT_BYTES = 64 * 1024, /* what one recv may return */
    PAUSE_MS = 20,           /* after a call failed that we make again */
};

struct client; /* client.c has it */

struct server {
    struct loop loop;
    struct loop_watcher listener;
    struct loop_timeout handshake; /* for a handshake, and for leaving */
    struct loop_timeout pause;     /* after a call for the listener failed */
    struct loop_timer pause_timer;
    SSL_CTX *context;
    /* There is one of each of these for all clients: after the event of one
     * client, nothing in them is needed any more. */
    char *input; /* encrypted: what one recv returns */
    struct wire wire;
    char *record; /* decrypted: what one SSL_read returns */

    struct client *first_client; /* of the list of all clients */
    int clients;                 /* how many are connected */
    int most_clients;
    int clients_with_unsent;
};

#endif
