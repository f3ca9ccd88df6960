/*
 * 01 exercise: a daytime client (RFC 867).
 *
 * usage: 01-tcp-client ADDRESS PORT
 *
 * Connect, send nothing, copy all that the server says to standard output until
 * it ends, then say on standard error how many bytes that was: `26 bytes`. The
 * README beside this file says the rest.
 *
 * What is here compiles and connects to nobody. Your part begins in main.
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
    fputs("usage: 01-tcp-client ADDRESS PORT\n", out);
    exit(status);
}

/* A port from the command line: digits and nothing else, 1 to 65535. */
static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port == 0 ||
        port > 65535)
        errx(1, "%s is not a port: 1 to 65535", text);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[2]);

    /* 1. Fill in a struct sockaddr_in: family, port, address. */
    (void)port;
    /* 2. socket, connect. Say why, when it fails. */
    /* 3. recv, write what came, again, until the end. */
    /* 4. The count, on standard error. */
    return 0;
}
