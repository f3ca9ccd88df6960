/*
 * send: sends replies and files to a client, as far as the client takes them.
 * Built by lesson 32.
 */
#ifndef HTTP_SERVER_SEND_H
#define HTTP_SERVER_SEND_H

#include "client.h"
#include "files.h"
#include "output.h"

#include <stdbool.h>

/* send_output, send_reply, send_more and send_add_file return false when the
 * connection is of no more use. */

/* Sends all of the server's output to the client, in one call. Over TLS, what
 * OpenSSL itself has to say leaves with it. What the kernel does not take is
 * stored. */
bool send_output(struct client *client);

/* Sends the output, and as much of the client's file as the client takes. */
bool send_reply(struct client *client);

/* Sends more of what the client has not taken yet. Call it only when there is
 * something. */
bool send_more(struct client *client);

/* Returns whether there is something that the client has not taken yet. */
bool send_is_pending(const struct client *client);

/* Closes the client's file, if there is one. */
void send_close_file(struct client *client);

/* Returns whether a call that failed with this error can be tried again later.
 */
bool send_is_worth_another_try(int error);

/* Reads a part of a file to the end of the output. If the file has become
 * shorter in the meantime, or cannot be read, the reply cannot be right any
 * more: then it returns false, and the connection must end. */
bool send_add_file(struct output *output, const struct file *file, off_t at,
                   size_t length);

#endif
