/* listener: a TCP socket that waits for clients. */
#define _GNU_SOURCE

#include "listener.h"

#include "addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

/* Closes the descriptor, and leaves errno as the failed call has set it. */
static int give_up(int fd) {
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Sets an option of a socket to 1 or 0. Returns 0, or -1 and errno. */
static int set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

/* Sets the options that bind looks at: socket(7) and ipv6(7). Returns 0, or -1
 * with errno and *failed. */
static int set_options(int fd, int family, int options, const char **failed) {
    int only_ipv6 = 0;
    if ((options & LISTENER_ONLY_IPV6) != 0)
        only_ipv6 = 1;

    *failed = "setsockopt SO_REUSEADDR";
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
        return -1;
    if ((options & LISTENER_REUSE_PORT) != 0) {
        *failed = "setsockopt SO_REUSEPORT";
        if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
            return -1;
    }
    if (family == AF_INET6) {
        *failed = "setsockopt IPV6_V6ONLY";
        if (set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_ipv6) < 0)
            return -1;
    }
    return 0;
}

int listener_open(const struct sockaddr *address, socklen_t length, int backlog,
                  int options, const char **failed) {
    *failed = "socket";
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_options(fd, address->sa_family, options, failed) < 0)
        return give_up(fd);
    *failed = "bind";
    if (bind(fd, address, length) < 0)
        return give_up(fd);
    *failed = "listen";
    if (listen(fd, backlog) < 0)
        return give_up(fd);
    return fd;
}

int listener_announce(int listener, const char **failed) {
    struct sockaddr_storage own = {0};
    socklen_t length = sizeof own;
    char text[ADDR_TEXT_BYTES];

    *failed = "getsockname";
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        return -1;
    (void)addr_format((struct sockaddr *)&own, length, text);
    *failed = "standard output";
    if (printf("listening on %s\n", text) < 0)
        return -1;
    if (fflush(stdout) == EOF)
        return -1;
    return 0;
}
