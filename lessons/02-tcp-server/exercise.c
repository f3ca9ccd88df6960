/*
 * 02 exercise: a server that tells each client who the client is.
 *
 * A program cannot easily find out under which address and port others see it.
 * But a server can tell the program, because `accept` gives the server the
 * client's address. In this exercise you write such a server. It tells each
 * client who the client is, and closes the connection. You need not handle
 * Ctrl-C. You may copy from this lesson's program.
 *
 * Your program is called as `02-tcp-server PORT`. If PORT is 0, it takes any
 * port that is free.
 *
 * 1. It says where it listens. Its first line is `listening on
 *    127.0.0.1:PORT`, with the port that it really has, also when it was
 *    started with 0. The line is printed at once, also when standard output is
 *    a file.
 * 2. It listens on the loopback address only. This is 127.0.0.1.
 * 3. It tells each client the client's own address and port. This is one line,
 *    such as `you are 127.0.0.1:54321`, with a newline. Then it closes the
 *    connection.
 * 4. It serves one client after another. It does not wait until a client sends
 *    something or closes its side.
 * 5. It lets ten clients wait while it is busy.
 * 6. It goes on after clients that reset the connection. Some clients are gone
 *    before it can tell them anything.
 * 7. It closes the descriptor of each client. It does so also when sending to
 *    the client failed.
 * 8. It goes on when accept fails. It says why on standard error, and waits at
 *    least a hundredth of a second before it calls `accept` again.
 * 9. It can be started again at once on the same port.
 * 10. It says why it cannot listen, with status 1. The reason is in words,
 *     such as "Address already in use", and it does not print the line of
 *     requirement 1.
 * 11. It refuses a wrong number of arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 * 12. It refuses an invalid port, with status 1. A port is a number from 0 to
 *     65535, in digits alone.
 *
 * What is here compiles, checks its arguments, and listens nowhere. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 02-tcp-server PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port <= 65535;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 0 to 65535", text);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);

    /* 1. Call socket, setsockopt, bind (to 127.0.0.1 and the port), listen. */
    (void)port; /* delete this line when you use the port */
    /* 2. Call getsockname, and print where you listen. */
    /* 3. For ever: accept a client, tell it who it is, close. */
    return 0;
}
