/*
 * client: the life of a client, from its first byte to its end. Built by lesson
 * 32.
 */
#ifndef HTTP_SERVER_CLIENT_H
#define HTTP_SERVER_CLIENT_H

#include "files.h"
#include "loop.h"
#include "server.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum client_state {
    SHAKING_HANDS,
    IDLE,    /* we wait for a request */
    READING, /* a part of a request has come */
    WRITING, /* we wait until the client takes our reply */
    LEAVING, /* we only wait for the end of the client */
};

struct client {
    struct server *server;
    struct loop_watcher watcher;
    struct loop_timer timer;
    enum client_state state;
    bool closes;    /* we close after this reply */
    bool has_ended; /* over TLS, the client has said that no more will come */
    bool has_had_turn; /* it got the list of a folder: now others are served */
    struct file *file; /* whose bytes are still to be sent, or NULL */
    off_t at;          /* from here on */
    uint64_t left;     /* so many */
    bool is_corked;    /* the kernel may hold back bytes of it: send.c */
    uint64_t to_skip;  /* so many bytes of a request's body */
    SSL *ssl;          /* or NULL */
    char *unread;      /* the beginning of a request, or NULL */
    size_t unread_length;
    char *unsent; /* what send did not take, or NULL */
    size_t unsent_length;
    char address[INET_ADDRSTRLEN]; /* for the log */
};

/* Takes in a client that has connected as fd, a non-blocking socket. From now
 * on it closes fd itself. If it cannot serve the client, it says why. */
void client_admit(struct server *server, int fd,
                  const struct sockaddr_in *peer);

/* Call this between two requests. The client gets new time for the next one,
 * unless it still has to take a reply. */
void client_expect_request(struct client *client);

/* Adds the timeouts of clients to the server's loop. */
void client_add_timeouts(struct server *server);

#endif
