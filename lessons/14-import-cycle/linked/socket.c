#include "socket.h"
#include "ssl.h"

#include <sys/socket.h>

int socket_type(const struct socket *plain) {
    int type;
    socklen_t length = sizeof type;
    if (getsockopt(plain->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return -1;
    return type;
}

struct ssl_socket *socket_ssl(const struct socket *plain) {
    return ssl_wrap(plain);
}
