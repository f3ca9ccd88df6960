/*
 * 16 exercise: the fastest mirror.
 *
 * A file may lie on several servers, which are called mirrors, and you want
 * the fastest one. Which one is that? Not the one that accepts the connection
 * first: as you have seen, it may then say nothing. You write a client that
 * tries several servers in the way of this lesson. It takes the server whose
 * first *line* is complete first, and copies everything that comes from there.
 *
 * It is called as `16-create-connection -d MILLISECONDS -t SECONDS HOST PORT
 * [HOST PORT]...`, with up to 16 servers, and uses the first address of each
 * HOST.
 *
 * 1. It copies everything that the server sends to standard output. When the
 *    server closes, it ends with status 0. NUL bytes may be among the bytes.
 *    If the connection breaks while it copies, it says why on standard error,
 *    and ends with status 1.
 * 2. It takes the server whose first line is complete first. A server that
 *    only accepts the connection, or sends a part of a line, is not taken.
 *    Nothing of it is printed.
 * 3. It starts the next server MILLISECONDS after the one before it. The time
 *    counts from the start of the one before. It takes them in the order of
 *    its arguments, and does this as long as no first line is complete. If a
 *    server fails after the next one has been started, nothing is started
 *    earlier for that.
 * 4. It does not give up a server when it starts the next one. A slow server
 *    can still be the first to complete its line.
 * 5. It starts the next server at once when the one before it has failed. A
 *    server has failed if HOST cannot be looked up, if no connection to it can
 *    be made, or if its connection ends or breaks before its first line is
 *    complete. (On a machine without IPv6, `socket` fails for an IPv6 address.
 *    Then that server has failed, too.) The program goes on with the other
 *    servers. For the one after that, MILLISECONDS count from this start.
 * 6. It says on standard error which server has failed, in which call, and
 *    why. This is one line, such as `connect 127.0.0.1:8018: Connection
 *    refused`, `recv 127.0.0.1:8016: closed before the end of the line` or
 *    `lookup no.example: Name or service not known`. It may print the line at
 *    once, or when no server is left.
 * 7. It accepts a first line of up to 4096 bytes, and no longer one. The
 *    newline counts. A server whose first line is longer has failed.
 * 8. It closes all other connections as soon as it has taken a server.
 * 9. It has one deadline for everything, SECONDS after its start. Then it says
 *    `deadline passed` on standard error, and ends with status 1, even if it
 *    is copying already. A write may end later, for example to a pipe that
 *    nobody reads.
 * 10. It ends at once, with status 1, when every server has failed.
 * 11. It sleeps while it waits. It does not use the processor to wait.
 * 12. It reports output that cannot be written, with status 1. An example is a
 *     full disk.
 * 13. It refuses wrong arguments. A wrong number of them, or another option,
 *     gets a line that begins with `usage:` on standard error, and status 2. A
 *     wrong value gets status 1: MILLISECONDS is 10 to 2000, SECONDS is a
 *     decimal number above 0, and PORT is 1 to 65535.
 *
 * What is here compiles, checks its arguments, and connects to no server. Your
 * part begins in fetch_fastest.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MOST_SERVERS = 16,
    LEAST_DELAY_MS = 10,
    MOST_DELAY_MS = 2000,
};

struct server {
    const char *host;
    const char *port;
    /* Add what you need to remember of each server: its descriptor, whether it
     * is connected, and what has come of its first line. */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 16-create-connection -d MILLISECONDS -t SECONDS HOST PORT "
          "[HOST PORT]...\n",
          out);
    exit(status);
}

static int parse_delay(const char *text) {
    unsigned long long delay;
    if (number_parse(text, LEAST_DELAY_MS, MOST_DELAY_MS, &delay) < 0)
        errx(1, "%s is not a number of milliseconds: %d to %d", text,
             LEAST_DELAY_MS, MOST_DELAY_MS);
    return (int)delay;
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds", text);
    return milliseconds;
}

/* Returns the exit status. */
static int fetch_fastest(struct server *servers, size_t count, int delay_ms,
                         struct deadline deadline) {
    (void)servers; /* delete these four lines when you use the arguments */
    (void)count;
    (void)delay_ms;
    (void)deadline;
    /* 1. In a loop: if it is time, begin the next server, with SOCK_NONBLOCK.
     *    Then poll all that are open: for POLLOUT until they are connected, and
     *    for POLLIN after that.
     * 2. When a first line is whole, close all others, and copy this server's
     *    bytes to standard output until it ends. */
    return 0;
}

/* Puts the servers that the command line names into the array, and returns
 * their number. */
static size_t read_servers(struct server *servers, char **words, int count) {
    size_t used = 0;
    int has_pairs = count >= 2 && count % 2 == 0;
    if (!has_pairs || count > 2 * MOST_SERVERS)
        usage(stderr, 2);
    for (int i = 0; i < count; i += 2) {
        struct server *server = &servers[used];
        server->host = words[i];
        server->port = words[i + 1];
        used++;
        in_port_t port;
        if (addr_parse_port(server->port, strlen(server->port), 1, &port) < 0)
            errx(1, "%s is not a port: 1 to 65535", server->port);
    }
    return used;
}

int main(int argc, char **argv) {
    static struct server servers[MOST_SERVERS]; /* all members are 0 */
    int delay_ms = 0;
    int milliseconds = 0;
    for (;;) {
        int option = getopt(argc, argv, "+hd:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'd')
            delay_ms = parse_delay(optarg);
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (delay_ms == 0 || milliseconds == 0)
        usage(stderr, 2);
    size_t count = read_servers(servers, argv + optind, argc - optind);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    return fetch_fastest(servers, count, delay_ms,
                         deadline_after(milliseconds));
}
