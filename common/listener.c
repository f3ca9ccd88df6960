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

/* Sets the options that bind looks at. Returns 0, or -1 with errno. */
static int set_options(int fd, int family, int options) {
    const int on = 1;
    const int only_ipv6 = (options & LISTENER_ONLY_IPV6) != 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -1;
    if ((options & LISTENER_REUSE_PORT) != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
        return -1;
    if (family != AF_INET6)
        return 0;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6,
                      sizeof only_ipv6);
}

int listener_open(const struct sockaddr *address, socklen_t length, int backlog,
                  int options, const char **failed) {
    *failed = "socket";
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    *failed = "setsockopt";
    if (set_options(fd, address->sa_family, options) < 0)
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
    *failed = "standard output";
    if (printf("listening on %s\n",
               addr_format((struct sockaddr *)&own, length, text)) < 0)
        return -1;
    return fflush(stdout) == EOF ? -1 : 0;
}
