#include "socket.h" /* for struct socket */

struct ssl_socket {
    struct socket plain;
};

struct ssl_socket *ssl_wrap(const struct socket *plain);
