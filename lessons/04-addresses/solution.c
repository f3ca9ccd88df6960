/*
 * 04 solution: connect to any address of a name, one good answer of many.
 *
 * usage: 04-addresses HOST PORT
 */
#define _GNU_SOURCE

#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HOST_BYTES = INET6_ADDRSTRLEN + IF_NAMESIZE, /* address%interface */
    PORT_BYTES = sizeof "65535",
    TEXT_BYTES = HOST_BYTES + PORT_BYTES + sizeof "[]:",
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 04-addresses HOST PORT\n", out);
    exit(status);
}

/* Ends the program unless the text is a number from 1 to 65535, in digits
 * alone. */
static void require_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port >= 1 && port <= 65535;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 1 to 65535", text);
}

/* Returns the list of addresses. The caller gives it to freeaddrinfo(3). */
static struct addrinfo *look_up(const char *host, const char *port) {
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error == EAI_SYSTEM)
        err(1, "%s", host);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    return list;
}

/* Writes 127.0.0.1:80 or [::1]:80 into text. */
static void format_address(const struct addrinfo *where,
                           char text[TEXT_BYTES]) {
    char host[HOST_BYTES];
    char port[PORT_BYTES];
    int error =
        getnameinfo(where->ai_addr, where->ai_addrlen, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (error != 0)
        errx(1, "getnameinfo: %s", gai_strerror(error));
    if (where->ai_family == AF_INET6)
        (void)snprintf(text, TEXT_BYTES, "[%s]:%s", host, port);
    else
        (void)snprintf(text, TEXT_BYTES, "%s:%s", host, port);
}

/* Returns a socket that is connected to this address. If that fails, the
 * function says why, and returns -1. */
static int try_address(const struct addrinfo *where, const char *text) {
    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC,
                    where->ai_protocol);
    if (fd < 0) {
        warn("socket %s", text);
        return -1;
    }
    if (connect(fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", text);
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the addresses in order. Returns a connected socket, and writes the
 * address that answered into text; or returns -1 if none did. */
static int try_all(const struct addrinfo *list, char text[TEXT_BYTES]) {
    for (const struct addrinfo *where = list; where != NULL;
         where = where->ai_next) {
        format_address(where, text);
        int fd = try_address(where, text);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

int main(int argc, char **argv) {
    /* If standard output were closed, our socket would get its number. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    require_port(argv[2]);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    char text[TEXT_BYTES];
    struct addrinfo *list = look_up(argv[1], argv[2]);
    int fd = try_all(list, text);
    freeaddrinfo(list);
    if (fd < 0)
        return 1; /* try_address has said why */

    if (printf("connected to %s\n", text) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
