#include "socket.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

/* This stays NULL if there is no module ssl in the program. It is set before
 * main begins, and never again, so threads may read it without a lock. */
static ssl_import_function *import_function;

void socket_register_ssl(ssl_import_function *function) {
    import_function = function;
}

int socket_type(const struct socket *plain) {
    int type;
    socklen_t length = sizeof type;
    if (getsockopt(plain->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return -1;
    return type;
}

struct ssl_socket *socket_ssl(const struct socket *plain) {
    if (import_function == NULL) {
        errno = ENOSYS;
        return NULL;
    }
    const struct ssl_module *ssl = import_function();
    return ssl->wrap(plain);
}
