/*
 * 02 exercise: a server that tells each client who it is.
 *
 * usage: 02-tcp-server PORT      (0: any free port)
 *
 * Say `listening on 127.0.0.1:PORT`, then to each client that connects `you are
 * ADDRESS:PORT`, the client's own, and close. The README beside this file says
 * the rest.
 *
 * What is here compiles and listens to nobody. Your part begins in main.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 02-tcp-server PORT\n", out);
    exit(status);
}

/* A port from the command line: digits and nothing else, 0 to 65535. */
static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        port > 65535)
        errx(1, "%s is not a port: 0 to 65535", text);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);

    /* 1. socket, setsockopt, bind to 127.0.0.1 and the port, listen. */
    (void)port;
    /* 2. getsockname, and say where you listen. */
    /* 3. For ever: accept, say who it is, close. */
    return 0;
}
