/*
 * 04 solution: connect to any address of a name, one good answer of many.
 *
 * usage: 04-addresses HOST PORT
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
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

/* A port from the command line: digits and nothing else, 1 to 65535. */
static void require_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port == 0 ||
        port > 65535)
        errx(1, "%s is not a port: 1 to 65535", text);
}

/* The caller frees the list. */
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

/* 127.0.0.1:80 or [::1]:80; text has TEXT_BYTES. */
static const char *in_words(const struct addrinfo *where, char *text) {
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
    return text;
}

/* Returns a connected socket; or -1, and has said why not. */
static int try_address(const struct addrinfo *where, const char *text) {
    int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC,
                    where->ai_protocol);
    if (fd >= 0 && connect(fd, where->ai_addr, where->ai_addrlen) == 0)
        return fd;
    warn("%s %s", fd < 0 ? "socket" : "connect", text);
    if (fd >= 0)
        (void)close(fd); /* nobody is at its other end */
    return -1;
}

int main(int argc, char **argv) {
    if (fcntl(STDOUT_FILENO, F_GETFD) == -1) /* or the socket would be it */
        err(1, "standard output");
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    require_port(argv[2]);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    char text[TEXT_BYTES];
    int fd = -1;
    struct addrinfo *list = look_up(argv[1], argv[2]);
    for (const struct addrinfo *where = list; where != NULL && fd < 0;
         where = where->ai_next)
        fd = try_address(where, in_words(where, text));
    freeaddrinfo(list);
    if (fd < 0)
        return 1;

    printf("connected to %s\n", text);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
