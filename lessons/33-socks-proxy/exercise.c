/*
 * 30 exercise: a name server for the hosts file.
 *
 * What is here compiles, checks its arguments, and answers nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 30-dns-client HOSTS PORT\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    const char *port = argv[2];
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 0, &number) < 0)
        errx(1, "%s is not a port: 0 to 65535", port);

    /* Your part: read the names in argv[1], listen, and answer. */
    return 0;
}
