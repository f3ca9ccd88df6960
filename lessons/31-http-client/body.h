/*
 * body: finds out where the body of a reply ends, and copies it up to there, or
 * passes over it: RFC 9112, section 6.3. Built by lesson 31.
 */
#ifndef HTTP_CLIENT_BODY_H
#define HTTP_CLIENT_BODY_H

#include "connection.h"
#include "http.h"
#include "output.h"

/* Both are called when the head has been read, and before any byte of the body.
 */

/* Copies the body into the output. Returns 0 when it has come whole. Otherwise,
 * for example when it is cut, it returns -1 after it has reported the error. A
 * part of the body may then be in the output. */
int body_copy(struct connection *connection, const struct http_head *head,
              struct output *output);

/* Passes over the body of a redirect, or closes the connection if that is
 * easier. */
void body_skip(struct connection *connection, const struct http_head *head);

#endif
