/* A forward declaration for the compiler, and a call for the linker. */
#include "socket.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(void) {
    struct socket plain;
    plain.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (plain.fd < 0)
        err(1, "socket");
    puts("main: a socket; I call socket_ssl");
    struct ssl_socket *wrapped = socket_ssl(&plain);
    if (wrapped == NULL)
        err(1, "socket_ssl");
    puts("main: I have it wrapped");
    free(wrapped);
    return 0;
}
