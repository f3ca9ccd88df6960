/*
 * 07 exercise: fetch a line, with retries and a deadline.
 *
 * A server may be restarted at the very moment when you need it. Then a second
 * try often succeeds. So many programs try several times, with a pause that
 * becomes longer each time, to give the server time to recover. But somebody
 * waits for the result, so all of it together needs a deadline. You write such
 * a client. It fetches one line.
 *
 * It is called as `07-timeouts -t SECONDS -n TRIES HOST PORT`, and uses the
 * first address of HOST.
 *
 * 1. It prints the line that the server sends, with its newline, and nothing
 *    after it. Then it ends with status 0.
 * 2. It prints a line of up to 4096 bytes, and refuses a longer line. The
 *    newline counts, and NUL bytes may be in the line. A longer line is a
 *    failed try.
 * 3. It says on standard error which try failed, in which call, and why. This
 *    is one line, such as `try 1: connect: Connection refused` or `try 2:
 *    recv: closed before the end of the line`. It prints nothing of an
 *    unfinished line on standard output.
 * 4. It does not use the time of day. Somebody may set it while the program
 *    runs.
 * 5. It ends at the deadline even if connect is not answered. Here and in the
 *    next two requirements, the reason is then `deadline passed`, no other try
 *    follows, and the status is 1.
 * 6. It ends at the deadline even if a byte comes now and then.
 * 7. It ends at the deadline even if a signal comes each millisecond.
 * 8. It closes the socket of a failed try, and sleeps while it waits. It does
 *    not use the processor to wait.
 * 9. It pauses for 50 milliseconds after the first try, and twice as long
 *    after each next one. Signals do not shorten a pause.
 * 10. It makes no more than TRIES tries, and no pause after the last. Then it
 *     ends at once, with status 1. Each try goes to the first address of HOST.
 * 11. It has one deadline for all tries, SECONDS after its start.
 * 12. It begins no pause that would end after the deadline. It ends at once
 *     instead, with status 1. It need not say anything more.
 * 13. It reports output that cannot be written, with status 1. An example is a
 *     full disk.
 * 14. It refuses wrong arguments. A wrong number of them, or another option,
 *     gets a line that begins with `usage:` on standard error, and status 2. A
 *     wrong value gets status 1: SECONDS is a decimal number above 0 and up to
 *     3600, TRIES is 1 to 100, and PORT is 1 to 65535.
 *
 * What is here compiles, checks its arguments, and connects to nobody. Your
 * part is fetch_with_retries, and step 1, in main.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_TRIES = 100,
    LONGEST_SECONDS = 3600,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 07-timeouts -t SECONDS -n TRIES HOST PORT\n", out);
    exit(status);
}

/* Returns the seconds that the text names, such as "0.5". */
static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);

    int has_right_bytes = strspn(text, "0123456789.") == strlen(text);
    int is_number = has_right_bytes && *end == '\0';
    int is_in_range = seconds > 0 && seconds <= LONGEST_SECONDS;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a number of seconds above 0, up to %d", text,
             LONGEST_SECONDS);
    return seconds;
}

static int parse_tries(const char *text) {
    char *end;
    long tries = strtol(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = tries >= 1 && tries <= MOST_TRIES;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a number of tries: 1 to %d", text, MOST_TRIES);
    return (int)tries;
}

/* The deadline is a point in time, in nanoseconds of CLOCK_MONOTONIC. Returns
 * the exit status. */
static int fetch_with_retries(const struct addrinfo *where, int tries,
                              long long deadline) {
    (void)where; /* delete these three lines when you use the arguments */
    (void)tries;
    (void)deadline;
    /* 2. Make one try: socket, O_NONBLOCK, connect, poll, SO_ERROR; then poll
     *    and recv, until the line is whole. Close. If it failed, say why. */
    /* 3. Pause, and make the next try; or end. */
    return 0;
}

int main(int argc, char **argv) {
    double seconds = 0;
    int tries = 0;
    for (;;) {
        int option = getopt(argc, argv, "+ht:n:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            seconds = parse_seconds(optarg);
        else if (option == 'n')
            tries = parse_tries(optarg);
        else
            usage(stderr, 2);
    }
    int has_both_options = seconds > 0 && tries > 0;
    if (argc - optind != 2 || !has_both_options)
        usage(stderr, 2);
    const char *host = argv[optind];
    const char *port = argv[optind + 1];
    in_port_t number; /* not used: addr_resolve takes the port as a text */
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    /* 1. Work out the deadline from clock_gettime and `seconds`, here, before
     *    the name is looked up. */
    long long deadline = 0;
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    int status = fetch_with_retries(list, tries, deadline);
    freeaddrinfo(list);
    return status;
}
