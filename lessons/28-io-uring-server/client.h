/*
 * client: the life of a client: what it sends is stored, and sent back. Built
 * by lesson 28.
 */
#ifndef IO_URING_SERVER_CLIENT_H
#define IO_URING_SERVER_CLIENT_H

struct server; /* server.h has it, and in it all clients */

/* How far a request for a client has come. */
enum state {
    NOT_ASKED,
    ASKED,    /* it has no last completion yet */
    CANCELLED /* the same, but we have asked the kernel to end it */
};

enum phase {
    SERVED,
    LEAVING, /* it will send nothing more, but what it sent goes back to it */
    FAILED   /* nothing more is sent to it */
};

/* Client N is at index N, its descriptor. */
struct client {
    enum phase phase;
    enum state input;  /* of the request RECV */
    enum state output; /* of the request SEND */
    char *sending;     /* the kernel may read this while output is ASKED or
                          CANCELLED */
    unsigned sending_bytes;
    unsigned sent; /* so many of these have been sent */
    char *waiting; /* what has come while the kernel was sending, or NULL */
    unsigned waiting_bytes;
    unsigned waiting_room; /* so many bytes fit into it */
};

/* Begins to serve the client that has been accepted as fd. When the client
 * leaves or is given up, this module closes fd. */
void client_serve(struct server *server, int fd);

/* The client has sent something (result bytes), or nothing more will come (0),
 * or recv has failed (-errno). flags are those of the completion. */
void client_handle_input(struct server *server, int fd, int result,
                         unsigned flags);

/* So many bytes have been sent: perhaps not all of them. Or send has failed
 * (-errno). */
void client_handle_sent(struct server *server, int fd, int result);

#endif
