/*
 * 31 exercise: a download that goes on where it was cut.
 *
 * What is here compiles, checks its arguments, and fetches nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 31-http-client HOST PORT PATH FILE\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 5)
        usage(stderr, 2);
    const char *port = argv[2];
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);

    /* Your part: look at what you have, ask for the rest, and write it. */
    return 0;
}
