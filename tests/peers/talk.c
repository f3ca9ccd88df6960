/*
 * talk: a client of any server that speaks in lines, for a person at a
 * terminal.
 *
 *     talk PORT
 *
 * Connects to 127.0.0.1 and sends what is typed. Prints what the server sends,
 * as soon as it arrives. At the end of the input (Ctrl-D at a terminal) it ends
 * its half of the connection, and goes on printing until the server closes the
 * connection.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST_PORT = 65535, PIECE_BYTES = 65536 };

static _Noreturn void usage(void) {
    fputs("usage: talk PORT\n", stderr);
    exit(2);
}

static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    int is_all_number = *text >= '0' && *text <= '9' && *end == '\0';
    if (!is_all_number || errno != 0 || port < 1 || port > LARGEST_PORT)
        errx(1, "%s is not a port: 1 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

static int connect_to(in_port_t port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect 127.0.0.1:%d", port);
    return fd;
}

static void write_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(fd, bytes + done, length - done);
        if (written < 0)
            err(1, "write");
        done += (size_t)written;
    }
}

/* Sends what has been typed. Returns 0 at the end of the input. */
static int send_input(int fd) {
    char piece[PIECE_BYTES];
    ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    if (got < 0)
        err(1, "standard input");
    if (got == 0) {
        /* If this fails, the server has gone, and recv will say so. */
        (void)shutdown(fd, SHUT_WR);
        return 0;
    }
    write_all(fd, piece, (size_t)got);
    return 1;
}

/* Prints what has arrived. Returns 0 when the server has closed. */
static int print_received(int fd) {
    char piece[PIECE_BYTES];
    ssize_t got = recv(fd, piece, sizeof piece, 0);
    if (got < 0)
        err(1, "recv");
    write_all(STDOUT_FILENO, piece, (size_t)got);
    return got > 0;
}

int main(int argc, char **argv) {
    if (argc != 2)
        usage();
    int fd = connect_to(parse_port(argv[1]));
    (void)signal(SIGPIPE, SIG_IGN); /* a server that has gone is an error */

    struct pollfd polled[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = fd, .events = POLLIN},
    };
    for (;;) {
        if (poll(polled, 2, -1) < 0)
            err(1, "poll");
        /* The input first: when the server has closed, we end, and what has
         * been typed before must not be left to the shell. */
        if (polled[0].revents != 0 && !send_input(fd))
            polled[0].fd = -1; /* poll ignores it from now on */
        if (polled[1].revents != 0 && !print_received(fd))
            return 0;
    }
}
