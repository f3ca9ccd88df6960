#include "ssl.h" /* for struct ssl_socket */

struct socket {
    int fd;
};

struct ssl_socket *socket_ssl(const struct socket *plain);
