/*
 * A right answer that goes through the list by recursion. It says at the end
 * what it has to say, and asks the connected socket for the address.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Prints the address, in numbers, and what stands after it. */
static void print_address(FILE *out, const char *before,
                          const struct sockaddr *address, socklen_t length,
                          const char *after) {
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    int is_six = address->sa_family == AF_INET6;
    int error = getnameinfo(address, length, host, sizeof host, port,
                            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (error != 0)
        errx(1, "getnameinfo: %s", gai_strerror(error));
    fprintf(out, "%s%s%s%s:%s%s\n", before, is_six ? "[" : "", host,
            is_six ? "]" : "", port, after);
}

static int open_first(const struct addrinfo *entry) {
    char reason[256];
    if (entry == NULL)
        return -1;
    int fd = socket(entry->ai_family, entry->ai_socktype, entry->ai_protocol);
    if (fd >= 0 && connect(fd, entry->ai_addr, entry->ai_addrlen) == 0)
        return fd;
    (void)snprintf(reason, sizeof reason, ": %s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    print_address(stderr, "", entry->ai_addr, entry->ai_addrlen, reason);
    return open_first(entry->ai_next);
}

static void check_port(const char *text) {
    unsigned long number = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9' || number > 65535)
            errx(1, "PORT is wrong");
        number = number * 10 + (unsigned long)(text[i] - '0');
    }
    if (number < 1 || number > 65535)
        errx(1, "PORT is wrong");
}

int main(int argc, char **argv) {
    struct addrinfo hints;
    struct addrinfo *list = NULL;
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof peer;

    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        exit(2);
    }
    check_port(argv[2]);
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(argv[1], argv[2], &hints, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    int fd = open_first(list);
    freeaddrinfo(list);
    if (fd < 0)
        exit(1);
    if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
        err(1, "getpeername");
    print_address(stdout, "connected to ", (struct sockaddr *)&peer, length,
                  "");
    if (ferror(stdout) || fflush(stdout) == EOF)
        err(1, "stdout");
    return 0;
}
