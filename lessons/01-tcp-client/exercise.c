/*
 * 01 exercise: a daytime client (RFC 867).
 *
 * Long before clocks were set over the network, a program could ask another
 * machine what time it was. The protocol is named daytime (RFC 867), and it is
 * very small. The client connects and sends nothing. The server sends the date
 * and time as text, and closes the connection.
 *
 * You write the client. It is called as `01-tcp-client ADDRESS PORT`.
 *
 * 1. It connects to the address and port it is given.
 * 2. It connects to no other address. Given 127.0.0.2, it does not connect to
 *    127.0.0.1.
 * 3. It sends nothing.
 * 4. It ends with status 0 when the server closes the connection.
 * 5. It copies everything that arrives to standard output, and nothing else.
 *    The server may send it in many pieces, and there may be several lines.
 *    Standard output may take only a part of a piece; then the rest follows.
 * 6. It waits for a slow server. There may be a pause between two pieces.
 * 7. It copies NUL bytes too.
 * 8. It says on standard error how many bytes arrived. This is one line: the
 *    number, a space and the word `bytes`, as in `26 bytes`; also `1 bytes`.
 *    Nothing else is on standard error. A NUL byte counts too.
 * 9. It says why it cannot connect, with status 1. The reason is in words,
 *    such as "Connection refused".
 * 10. It reports a reset as an error, with status 1. It first prints what
 *     arrived before the reset, then the reason in words. It need not say how
 *     many bytes there were.
 * 11. It reports output that cannot be written, with status 1. The reason is
 *     in words, such as "No space left on device" for a full disk, or "Broken
 *     pipe" for a pipe whose reader has ended.
 * 12. It refuses a wrong number of arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 * 13. It refuses an invalid address or port, with status 1. An address is four
 *     numbers, as in 127.0.0.1; `127.1` is not enough. A port is a number from
 *     1 to 65535, in digits alone; `80x` is invalid.
 *
 * What is here compiles, checks its arguments, and connects to nobody. Your
 * part begins in main.
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
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 01-tcp-client ADDRESS PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 1 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port >= 1 && port <= 65535;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 1 to 65535", text);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[2]);

    /* 1. Fill in a struct sockaddr_in: the family, the port, the address. */
    (void)port; /* delete this line when you use the port */
    /* 2. Call socket and connect. If one fails, say why. */
    /* 3. Call recv, write what arrived, and repeat until the server closes. */
    /* 4. Print the count on standard error. */
    return 0;
}
