/*
 * server: what all clients of the web server share. Built by lesson 32.
 */
#ifndef HTTP_SERVER_SERVER_H
#define HTTP_SERVER_SERVER_H

#include "files.h"
#include "log.h"
#include "loop.h"
#include "output.h"
#include "wire.h"

#include <openssl/ssl.h>

enum {
    HEAD_BYTES = 8192,       /* the longest head of a request */
    INPUT_BYTES = 64 * 1024, /* what one recv may return */
    /* What OpenSSL makes of one recv, and of the part of a record that came
     * before. */
    PLAIN_BYTES = INPUT_BYTES + 16 * 1024,
    OUTPUT_FULL = 256 * 1024, /* so much output is sent before more is added */
};

struct server {
    struct loop loop;
    struct loop_timeout head_time; /* how long these last: client.c */
    struct loop_timeout idle_time;
    struct loop_timeout write_time;
    struct loop_timeout leave_time;
    int root;               /* the folder whose files we serve */
    struct file *last_file; /* that was opened in this turn, or NULL */
    int clients;
    int writing; /* so many clients have not taken their reply yet */
    struct log log;
    /* For the client that is served at the moment. */
    char *received;       /* what recv returns */
    char *plain;          /* with TLS: the same, decrypted */
    char *unread;         /* requests: what was unread, and what has come */
    struct output output; /* replies, not encrypted */
    struct wire wire;     /* with TLS */
    SSL_CTX *context;     /* or NULL, without TLS */
};

#endif
