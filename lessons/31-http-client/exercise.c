/*
 * 31 exercise: a download that goes on where it was cut.
 *
 * What is here compiles, checks its arguments, and fetches nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_PATIENCE_MS = 10 * 1000 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE\n", out);
    exit(status);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds up to a day", text);
    return milliseconds;
}

int main(int argc, char **argv) {
    int patience_ms = DEFAULT_PATIENCE_MS;
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            patience_ms = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 4)
        usage(stderr, 2);
    const char *port = argv[optind + 1];
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);

    /* Your part: look at what you have, ask for the rest, and write it. */
    (void)patience_ms; /* wait so long for the next bytes */
    return 0;
}
