/*
 * 04 exercise: connect to the first address of a name that answers.
 *
 * A server may have several addresses, and some of them may not work from
 * where you are. A good client tries them all. You write one that connects to
 * the first address that answers, and says which one that was.
 *
 * Your program is called as `04-addresses HOST PORT`.
 *
 * 1. It connects to an address that is given as a number. Then it prints
 *    `connected to 127.0.0.1:8004` on standard output, and nothing else there,
 *    and ends with status 0.
 * 2. It tries the next address when one fails, until one answers.
 * 3. It reports each address that failed, in the order of the list. This is a
 *    line on standard error that ends in the address, the port and the reason:
 *    `127.0.0.1:8004: Connection refused`.
 * 4. It tries both families, and writes IPv6 in brackets: `[::1]:8004`.
 * 5. It stops at the first address that answers.
 * 6. It ends with status 1 when none answers. Then it prints nothing on
 *    standard output.
 * 7. It closes what failed before it tries the next address.
 * 8. It counts an address as failed when socket itself fails for it. It
 *    reports that in the same way, and tries the next one.
 * 9. It says why a name has no address, in the words of getaddrinfo, with
 *    status 1.
 * 10. It calls freeaddrinfo exactly once for the list, also when no address
 *     answered.
 * 11. It reports output that cannot be written, with status 1. The reason is
 *     in words, such as "No space left on device" for a full disk.
 * 12. It refuses a wrong number of arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 * 13. It refuses an invalid port, with status 1. A port is a number from 1 to
 *     65535, in digits alone.
 *
 * What is here compiles, checks its arguments, and tries no address. Your
 * part begins in main.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 04-addresses HOST PORT\n", out);
    exit(status);
}

/* Ends the program unless the text is a number from 1 to 65535, in digits
 * alone. */
static void require_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port >= 1 && port <= 65535;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 1 to 65535", text);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    require_port(argv[2]);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    /* 1. Call getaddrinfo, for streams. If it fails, print its own reason. */
    /* 2. For each address of the list: call socket, then connect. */
    /* 3. If one of them fails: say for which address, and why. Close. */
    /* 4. If both succeed: say which address answered. Give the list back. */
    return 0;
}
