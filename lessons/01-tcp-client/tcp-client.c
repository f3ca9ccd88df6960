/*
 * 01-tcp-client: say one line to a server and print the line it answers.
 *
 * Shows that a connection is a descriptor: a small number, like the one that
 * open(2) gives for a file, that bytes are sent to and received from.
 *
 * usage: 01-tcp-client ADDRESS PORT MESSAGE
 *
 * Left out: names instead of numbers, and IPv6 (04); a deadline (07): a server
 * that never answers keeps this program waiting until you end it.
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

enum {
    PIECE_BYTES = 4096,   /* asked for at once; any size would do */
    LARGEST_PORT = 65535, /* a port is 16 bits wide: RFC 9293, section 3.1 */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 01-tcp-client ADDRESS PORT MESSAGE\n", out);
    exit(status);
}

/* A port from the command line: digits and nothing else, 1 to 65535. atoi(3)
 * would take "80x" for 80 and "http" for 0. */
static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port == 0 ||
        port > LARGEST_PORT)
        errx(1, "%s is not a port: 1 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* The address and port in the form the kernel wants them: both with the most
 * significant byte first, whatever this machine's own order is. */
static struct sockaddr_in parse_address(const char *address, const char *port) {
    struct sockaddr_in where = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port)),
    };
    if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
        errx(1,
             "%s is not an IPv4 address such as 127.0.0.1: names come in "
             "lesson 04",
             address);
    return where;
}

/* The lowest free number is the next one given. Were 1 or 2 free, our socket
 * would get it, and what we print would go to the peer. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* send(2) may take fewer bytes than it was given: it says how many. */
static void send_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, 0);
        if (sent < 0)
            err(1, "send");
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Prints what comes, up to and with the first newline. The line may come in
 * any number of pieces, and something else may follow it in the last one.
 * Nothing is kept, so a line of any length takes no more memory than this. */
static void print_line(int fd) {
    char piece[PIECE_BYTES];
    const char *newline = NULL;

    while (newline == NULL) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            errx(1, "peer closed before the end of the line");

        size_t length = (size_t)received;
        newline = memchr(piece, '\n', length);
        if (newline != NULL)
            length = (size_t)(newline - piece) + 1;
        if (fwrite(piece, 1, length, stdout) != length || fflush(stdout) == EOF)
            err(1, "standard output");
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 4)
        usage(stderr, 2);
    struct sockaddr_in server = parse_address(argv[1], argv[2]);
    char *message = argv[3];
    require_output();

    /* A write to a peer or a pipe that has gone is to fail with EPIPE, which we
     * report, and not to end us without a word. */
    (void)signal(SIGPIPE, SIG_IGN); /* fails only for a signal there is not */

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect %s:%s", argv[1], argv[2]);

    /* C ends a text with a NUL; this protocol ends it with a newline. So the
     * one takes the other's place, and from here on there are only bytes. */
    size_t length = strlen(message);
    message[length] = '\n';
    send_all(fd, message, length + 1);
    print_line(fd);

    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
