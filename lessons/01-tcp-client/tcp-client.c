/*
 * 01-tcp-client: send one line to a server and print the line it answers.
 *
 * Shows that a connection is a descriptor: a small number, like the one that
 * open(2) returns for a file. We send bytes to it and receive bytes from it.
 *
 * usage: 01-tcp-client ADDRESS PORT MESSAGE
 *
 * Left out: names instead of addresses, and IPv6 (lesson 04); a deadline
 * (lesson 07). A server that never answers keeps this program waiting until
 * you end it with Ctrl-C.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 4096, /* the most that one recv may return; any size works */
    LARGEST_PORT = 65535, /* a port has 16 bits: RFC 9293, section 3.1 */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 01-tcp-client ADDRESS PORT MESSAGE\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the port that the text names, in the machine's own byte order. Ends
 * the program unless the text is a number from 1 to 65535. We don't use
 * atoi(3), because it takes "80x" for 80 and "http" for 0. */
static in_port_t parse_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    /* strtoul(3) accepts blanks and a sign in front; a port has neither. */
    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    /* When the digits are too many for an unsigned long, strtoul(3) returns
     * ULONG_MAX, and that is out of range too. */
    int is_in_range = port >= 1 && port <= LARGEST_PORT;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 1 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* Returns the address and the port in the form that the kernel wants. Both
 * have their most significant byte first, on every machine. */
static struct sockaddr_in parse_address(const char *address, const char *port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port)),
    };
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        errx(1,
             "%s is not an IPv4 address such as 127.0.0.1: names come in "
             "lesson 04",
             address);
    return server;
}

/* Ends the program if its standard output or standard error is closed. The
 * kernel gives a new socket the lowest free number. If 1 were free, our socket
 * would get it, and everything we print would go to the server. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Sends all the bytes. One send(2) may take only a part of them: it returns
 * how many it took, and we call it again with the rest. */
static void send_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, bytes + done, length - done, 0);
        if (sent < 0)
            err(1, "send");
        done += (size_t)sent;
    }
}

/* Writes the bytes to standard output at once: without fflush(3) they would
 * wait in a buffer of this program, and an error would not show until its
 * end. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Prints what the server sends, up to the first newline and with it. The line
 * may arrive in any number of pieces. Each piece is printed when it arrives, so
 * a line of any length needs no more memory than one piece. */
static void print_line(int fd) {
    char piece[PIECE_BYTES];

    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            errx(1, "peer closed before the end of the line");

        size_t length = (size_t)received;
        const char *newline = memchr(piece, '\n', length);
        if (newline != NULL) {
            /* This piece may have more bytes, after the newline. They do not
             * belong to the line, so we do not print them. */
            size_t before_newline = (size_t)(newline - piece);
            print_bytes(piece, before_newline + 1);
            return;
        }
        print_bytes(piece, length);
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

    /* A write to a connection or a pipe whose other end is closed normally
     * kills the program with SIGPIPE, without a message. When we ignore the
     * signal, the write fails with EPIPE instead, and we can say so. The call
     * itself fails only for a signal number that does not exist. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect %s:%s", argv[1], argv[2]);

    /* C marks the end of a string with a NUL byte. In our protocol a line ends
     * with a newline, so we put the newline where the NUL is. From here on the
     * message is no C string any more, only bytes and their number. */
    size_t length = strlen(message);
    message[length] = '\n';
    send_all(fd, message, length + 1);
    print_line(fd);

    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
