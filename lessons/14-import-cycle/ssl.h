/*
 * ssl: a socket that is wrapped in TLS. (This one encrypts nothing: lesson 08
 * shows how that is done.)
 */
#ifndef SSL_H
#define SSL_H

#include "socket.h"

/* The first member is a whole struct, and not a pointer to one. So the compiler
 * must know how large a struct socket is. */
struct ssl_socket {
    struct socket plain;
};

/* Does what socket_ssl promises. errno is EPROTOTYPE if plain is not a stream.
 * Call it only through the module that ssl_import returns. */
struct ssl_socket *ssl_wrap(const struct socket *plain);

/* Runs the body of this module once, at the first call. Other threads that call
 * it wait until the body has ended. Returns the module. */
const struct ssl_module *ssl_import(void);

#endif
