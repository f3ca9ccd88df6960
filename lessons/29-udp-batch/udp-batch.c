/*
 * 29-udp-batch: sends datagrams as fast as it can; or receives them, and counts
 * how many came.
 *
 * Shows what a packet costs, and how many packets can share the cost: one call
 * for one packet (send, recvmsg), one call for many (sendmmsg, recvmmsg), and
 * one call and one trip through the kernel for many (UDP_SEGMENT, UDP_GRO).
 * This file reads the command line. The rest is in the modules of this lesson:
 *
 *   client    sends packets as fast as it can
 *   server    receives packets, and counts how many came
 *   batch     what both share: modes, the header of a packet, and the speed
 *
 * usage: 29-udp-batch serve [-m MODE] [-r BYTES] PORT      (0: any free port)
 *        29-udp-batch send [-b BYTES] [-d SECONDS] [-m MODE] [-n PACKETS]
 *                          HOST PORT
 *
 * MODE is ONE, MANY or SEGMENT; without -m it is ONE. The server asks for a
 * receive buffer of BYTES (-r). The client sends packets of BYTES (64) for
 * SECONDS (1); or it sends PACKETS, however long that takes. Each packet begins
 * with its number, counted from 0.
 *
 * Left out: packets that come twice or late (they are the exercise); a client
 * that sends only as fast as the server can receive; two clients at the same
 * time are counted as one.
 */
#define _GNU_SOURCE

#include "batch.h"
#include "client.h"
#include "deadline.h"
#include "number.h"
#include "server.h"

#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    LARGEST_BUFFER = 1 << 30,
    LONGEST_MS = 60 * 1000, /* in this time we don't run out of numbers */
    PACKET_BYTES = 64,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 29-udp-batch serve [-m MODE] [-r BYTES] PORT\n"
          "       29-udp-batch send [-b BYTES] [-d SECONDS] [-m MODE] [-n "
          "PACKETS]"
          "\n                         HOST PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless it is one from
 * least to most, in digits alone; `noun` says what it should be. */
static unsigned parse_number(const char *text, const char *noun, unsigned least,
                             unsigned most) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s is not a %s: %u to %u", text, noun, least, most);
    return (unsigned)number;
}

static enum mode parse_mode(const char *text) {
    if (strcmp(text, "ONE") == 0)
        return ONE;
    if (strcmp(text, "MANY") == 0)
        return MANY;
    if (strcmp(text, "SEGMENT") == 0)
        return SEGMENT;
    errx(1, "%s is not a mode: ONE, MANY or SEGMENT", text);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    int result = deadline_parse(text, strlen(text), &milliseconds);
    if (result < 0 || milliseconds > LONGEST_MS)
        errx(1, "%s is not a number of seconds above 0, up to %d", text,
             LONGEST_MS / 1000);
    return milliseconds;
}

/* If 1 or 2 were closed, our socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static int send_main(int argc, char **argv) {
    struct client_options options = {
        .mode = ONE,
        .bytes = PACKET_BYTES,
        .milliseconds = 1000,
        .packets = 0, /* as many as possible in that time */
    };
    optind = 2; /* the options begin behind the word "send" */
    for (;;) {
        int option = getopt(argc, argv, "+b:d:m:n:");
        if (option == -1)
            break;
        if (option == 'b')
            options.bytes = parse_number(optarg, "size of a packet",
                                         HEADER_BYTES, LARGEST_DATAGRAM);
        else if (option == 'd')
            options.milliseconds = parse_seconds(optarg);
        else if (option == 'm')
            options.mode = parse_mode(optarg);
        else if (option == 'n')
            options.packets =
                parse_number(optarg, "number of packets", 1, UINT32_MAX);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    const char *port = argv[optind + 1];
    (void)parse_number(port, "port", 1, LARGEST_PORT); /* it is a number */
    client_run(&options, argv[optind], port);
    return 0;
}

static int serve_main(int argc, char **argv) {
    enum mode mode = ONE;
    unsigned buffer = 0; /* the size that the kernel chooses */
    optind = 2;          /* the options begin behind the word "serve" */
    for (;;) {
        int option = getopt(argc, argv, "+m:r:");
        if (option == -1)
            break;
        if (option == 'm')
            mode = parse_mode(optarg);
        else if (option == 'r')
            buffer =
                parse_number(optarg, "size of a buffer", 1, LARGEST_BUFFER);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    unsigned port = parse_number(argv[optind], "port", 0, LARGEST_PORT);
    server_run(mode, (in_port_t)port, buffer);
    return 0;
}

int main(int argc, char **argv) {
    require_output();
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return serve_main(argc, argv);
    if (argc >= 2 && strcmp(argv[1], "send") == 0)
        return send_main(argc, argv);
    usage(stderr, 2);
}
