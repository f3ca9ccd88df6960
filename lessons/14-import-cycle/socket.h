/*
 * socket: a plain socket, and a function that wraps it in TLS. It can do that
 * if the program contains the module ssl too. It works without that module.
 */
#ifndef SOCKET_H
#define SOCKET_H

/* A forward declaration: there is a struct of this name. ssl.h says what is in
 * it. A pointer to it needs no more than this line. */
struct ssl_socket;

struct socket {
    int fd;
};

/* Returns the type, such as SOCK_STREAM, or -1 and errno if fd is not a socket.
 */
int socket_type(const struct socket *plain);

/* Wraps a socket in TLS. Returns a struct that the caller frees with free(3);
 * the descriptor in it is still the caller's. Otherwise it returns NULL and
 * sets errno: ENOSYS means that the program has no module ssl. */
struct ssl_socket *socket_ssl(const struct socket *plain);

/* What the module ssl offers. In Python this is the module object. */
struct ssl_module {
    struct ssl_socket *(*wrap)(const struct socket *plain);
};

/* An import function runs the body of its module, if that has not run yet, and
 * returns the module. */
typedef const struct ssl_module *ssl_import_function(void);

/* Tells socket_ssl which function imports the module ssl. This is only for a
 * constructor, which runs before main, because it takes no lock. */
void socket_register_ssl(ssl_import_function *function);

#endif
