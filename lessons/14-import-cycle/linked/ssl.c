#include "ssl.h"

#include <stdio.h>
#include <stdlib.h>

/* The body of the module runs before main, as after an import at the top. */
__attribute__((constructor)) static void run_body(void) {
    puts("ssl: my body runs");
}

struct ssl_socket *ssl_wrap(const struct socket *plain) {
    if (socket_type(plain) < 0)
        return NULL;
    struct ssl_socket *wrapped = malloc(sizeof *wrapped);
    if (wrapped != NULL)
        wrapped->plain = *plain;
    return wrapped;
}
