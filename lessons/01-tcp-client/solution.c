/*
 * 01 solution: a daytime client (RFC 867), one good answer of many.
 *
 * usage: 01-tcp-client ADDRESS PORT
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

/* Ends the program if its standard output or standard error is closed. Without
 * this check, our socket could get the number 1 or 2. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns a socket that is connected to that address and port. */
static int connect_to(const char *address, const char *port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port)),
    };
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        errx(1, "%s is not an IPv4 address", address);

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect %s:%s", address, port);
    return fd;
}

/* Writes the bytes to standard output at once. */
static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Copies everything to standard output until the server closes the connection.
 * Returns how many bytes that was. */
static size_t copy_all(int fd) {
    char piece[4096]; /* any size works */
    size_t total = 0;
    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            return total;
        print_bytes(piece, (size_t)received);
        total += (size_t)received;
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    require_output();

    /* With SIGPIPE ignored, a write to a pipe without a reader fails, and we
     * can report it. Otherwise the signal would end us without a message. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = connect_to(argv[1], argv[2]);
    size_t total = copy_all(fd);
    if (fprintf(stderr, "%zu bytes\n", total) < 0)
        return 1; /* standard error has failed, so we cannot say why */
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
