/*
 * tell-listener: what listener_open of common/listener makes of an address.
 *
 *     tell-listener ADDRESS PORT BACKLOG OPTIONS
 *
 * OPTIONS is the sum of enum listener_option. We let listener_announce print
 * its line, and then the facts of the socket, for example:
 *
 *     listening on [::]:40112
 *     close-on-exec, blocking, reuseaddr, v6only
 *
 * If one of the two functions fails, we print the name of the call and the
 * reason, and how many descriptors it has left open, unless that is none. If
 * listener_announce has not flushed its line, we say so, and exit with
 * status 1.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "listener.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int count_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        err(1, "/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static int is_set(int fd, int level, int option) {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(fd, level, option, &value, &length) < 0)
        err(1, "getsockopt");
    return value != 0;
}

static void print_facts(int fd, int family) {
    int is_cloexec = (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
    int is_nonblocking = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
    printf("%s, %s", is_cloexec ? "close-on-exec" : "kept at exec",
           is_nonblocking ? "non-blocking" : "blocking");
    if (!is_set(fd, SOL_SOCKET, SO_ACCEPTCONN))
        printf(", not listening");
    if (is_set(fd, SOL_SOCKET, SO_REUSEADDR))
        printf(", reuseaddr");
    if (is_set(fd, SOL_SOCKET, SO_REUSEPORT))
        printf(", reuseport");
    if (family == AF_INET6 && is_set(fd, IPPROTO_IPV6, IPV6_V6ONLY))
        printf(", v6only");
    printf("\n");
}

int main(int argc, char **argv) {
    if (argc != 5)
        errx(2, "usage: tell-listener ADDRESS PORT BACKLOG OPTIONS");
    struct addrinfo *list;
    int error = addr_resolve(argv[1], argv[2], AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(2, "%s: %s", argv[1], gai_strerror(error));
    int before = count_descriptors();
    const char *failed = "nothing";
    int fd = listener_open(list->ai_addr, list->ai_addrlen,
                           (int)strtol(argv[3], NULL, 10),
                           (int)strtol(argv[4], NULL, 10), &failed);
    int reason = errno;
    int family = list->ai_family;
    freeaddrinfo(list);
    if (fd < 0) {
        printf("%s: %s", failed, strerror(reason));
        int left = count_descriptors() - before;
        if (left != 0)
            printf(", and left %d open", left);
        printf("\n");
        return fflush(stdout) == EOF;
    }
    if (listener_announce(fd, &failed) < 0) {
        fprintf(stderr, "%s: %s\n", failed, strerror(errno));
        return 1;
    }
    if (__fpending(stdout) != 0)
        errx(1, "listener_announce has not flushed its line");
    print_facts(fd, family);
    return fflush(stdout) == EOF;
}
