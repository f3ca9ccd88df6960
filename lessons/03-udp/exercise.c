/*
 * 03 exercise: a time client (RFC 868).
 *
 * Before computers agreed on better protocols, there was one that sent the
 * time as a number. It is named time (RFC 868). The client sends an empty
 * datagram. The server answers with four bytes: the number of seconds since
 * the beginning of the year 1900, with the most significant byte first.
 *
 * You write the client. It is called as `03-udp ADDRESS PORT`, and prints the
 * time as a date. The functions of C for dates count from 1970, so you need
 * the number of seconds between 1900 and 1970. (17 of these 70 years were leap
 * years.)
 *
 * 1. It sends an empty datagram to the address and port it is given.
 * 2. It prints the answer as a date in UTC, and ends with status 0. The line
 *    looks like `2026-11-23 14:05:09 UTC`, in whatever time zone the program
 *    runs.
 * 3. It prints every date that 32 bits can hold. The number 0 is 1900-01-01
 *    00:00:00, and 4294967295 is 2036-02-07 06:28:15.
 * 4. It refuses an answer that is not four bytes long, with status 1. It says
 *    why on standard error, prints no date, and does not ask again.
 * 5. It believes only the server it asked. A datagram from another address or
 *    port is ignored, and it goes on waiting.
 * 6. It says at once when the port is closed, with status 1. The reason is in
 *    words, such as "Connection refused".
 * 7. It asks again when no answer has come for a second.
 * 8. It gives up after three tries of a second each, with status 1. It says so
 *    on standard error. Strangers' datagrams do not count as answers: a try
 *    ends after one second, even if strangers send something during that
 *    second.
 * 9. It reports output that cannot be written, with status 1. The reason is in
 *    words, such as "No space left on device" for a full disk.
 * 10. It refuses a wrong number of arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 * 11. It refuses an invalid port, with status 1. A port is a number from 1 to
 *     65535, in digits alone.
 *
 * What is here compiles, checks its arguments, and asks nobody. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
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

/* Returns the address and the port in the form that the kernel wants. */
static struct sockaddr_in parse_address(const char *address, const char *port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port)),
    };
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        errx(1, "%s is not an IPv4 address", address);
    return server;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    struct sockaddr_in server = parse_address(argv[1], argv[2]);

    /* 1. Make a socket that waits for at most one second, and connect it. */
    (void)server; /* delete this line when you use the address */
    /* 2. Send an empty datagram, and receive the answer: at most three tries.
     */
    /* 3. Make a number of the four bytes. Refuse any other length. */
    /* 4. Make a date of the number with gmtime_r(3) and strftime(3). */
    return 0;
}
