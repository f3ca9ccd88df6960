#ifndef SOCKET_H
#define SOCKET_H

struct ssl_socket; /* a forward declaration instead of #include "ssl.h" */

struct socket {
    int fd;
};

int socket_type(const struct socket *plain);
struct ssl_socket *socket_ssl(const struct socket *plain);

#endif
