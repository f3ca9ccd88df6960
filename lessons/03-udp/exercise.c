/*
 * 03 exercise: a time client (RFC 868).
 *
 * usage: 03-udp ADDRESS PORT
 *
 * Send an empty datagram; four bytes come back: the seconds since 1900, most
 * significant byte first. Print them as a date: `2026-11-22 14:05:09 UTC`. The
 * README beside this file says the rest.
 *
 * What is here compiles and asks nobody. Your part begins in main.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 03-udp ADDRESS PORT\n", out);
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

/* The address and port in the form the kernel wants them. */
static struct sockaddr_in parse_address(const char *address, const char *port) {
    struct sockaddr_in where = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port)),
    };
    if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
        errx(1, "%s is not an IPv4 address", address);
    return where;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    struct sockaddr_in server = parse_address(argv[1], argv[2]);

    /* 1. socket, and what makes it wait one second and trust one peer. */
    (void)server;
    /* 2. Send nothing, in a datagram; receive. Three tries. */
    /* 3. Four bytes are a number. Nothing else is an answer. */
    /* 4. gmtime_r(3) and strftime(3) make a date of it. */
    return 0;
}
