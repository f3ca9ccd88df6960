#ifndef SSL_H
#define SSL_H

#include "socket.h"

struct ssl_socket {
    struct socket plain;
};

struct ssl_socket *ssl_wrap(const struct socket *plain);

#endif
