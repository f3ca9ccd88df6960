/*
 * A right answer that goes through the list by recursion, and asks the
 * connected socket for the address at its other end.
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

/* Prints a line: the text before, the address in numbers, the text after. */
static void print_address(FILE *out, const char *before,
                          const struct sockaddr *address, socklen_t length,
                          const char *after) {
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    int error = getnameinfo(address, length, host, sizeof host, port,
                            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (error != 0)
        errx(1, "getnameinfo: %s", gai_strerror(error));
    if (address->sa_family == AF_INET6)
        fprintf(out, "%s[%s]:%s%s\n", before, host, port, after);
    else
        fprintf(out, "%s%s:%s%s\n", before, host, port, after);
}

/* Returns a socket that is connected to this address, or -1 and errno. */
static int open_connection(const struct addrinfo *entry) {
    int fd = socket(entry->ai_family, entry->ai_socktype, entry->ai_protocol);
    if (fd < 0)
        return -1;
    if (connect(fd, entry->ai_addr, entry->ai_addrlen) < 0) {
        int reason = errno; /* close may change errno */
        (void)close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* Returns a socket that is connected to the first address that answers: this
 * one, or one that comes after it in the list. Returns -1 if none answers. */
static int open_first(const struct addrinfo *entry) {
    if (entry == NULL)
        return -1;
    int fd = open_connection(entry);
    if (fd >= 0)
        return fd;
    char reason[256];
    (void)snprintf(reason, sizeof reason, ": %s", strerror(errno));
    print_address(stderr, "", entry->ai_addr, entry->ai_addrlen, reason);
    return open_first(entry->ai_next);
}

/* Ends the program unless the text is a number from 1 to 65535, in digits
 * alone. */
static void check_port(const char *text) {
    unsigned long number = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9')
            errx(1, "PORT is wrong");
        number = number * 10 + (unsigned long)(text[i] - '0');
        if (number > 65535)
            errx(1, "PORT is wrong");
    }
    if (number < 1)
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
    if (fflush(stdout) == EOF)
        err(1, "stdout");
    if (ferror(stdout))
        errx(1, "stdout");
    return 0;
}
