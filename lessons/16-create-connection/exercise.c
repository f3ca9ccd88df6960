/*
 * 16 exercise: the fastest mirror.
 *
 * TEXT
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
    if (count < 2 || count % 2 != 0 || count > 2 * MOST_SERVERS)
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
    (void)signal(SIGPIPE, SIG_IGN); /* a pipe without a reader is an error */

    return fetch_fastest(servers, count, delay_ms,
                         deadline_after(milliseconds));
}
