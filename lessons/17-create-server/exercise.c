/*
 * 17 exercise: a server whose listeners were opened by another program.
 *
 * x
 *
 * What is here compiles, checks its arguments, and listens nowhere. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "listener.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST_PORT = 65535 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 17-create-server PORT COMMAND\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);

    /* 1. Open a listener at 127.0.0.1 and the port, and print where it is. */
    (void)port; /* delete this line when you use the port */
    /* 2. For ever: accept a client, send it what COMMAND prints, close. */
    /* 3. If LISTEN_PID is your process id, take the listeners from descriptor
     * 3 on instead. Check each of them, and wait for all of them with poll. */
    return 0;
}
