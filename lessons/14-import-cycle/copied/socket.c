/* This file does not include ssl.h. It has a copy of one line of it, and ssl.h
 * has changed since then: its function takes a pointer with one * now. */
#include "socket.h"

#include <sys/socket.h>

struct ssl_socket *ssl_wrap(const struct socket **plain);

int socket_type(const struct socket *plain) {
    int type;
    socklen_t length = sizeof type;
    if (getsockopt(plain->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return -1;
    return type;
}

struct ssl_socket *socket_ssl(const struct socket *plain) {
    return ssl_wrap(&plain);
}
