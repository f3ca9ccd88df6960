/*
 * 03 solution: a time client (RFC 868), one good answer of many.
 *
 * usage: 03-udp ADDRESS PORT
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

enum {
    TIME_BYTES = 4,
    TRIES = 3,
    WAIT_SECONDS = 1, /* how long each try waits for an answer */
};

/* RFC 868 counts seconds from 1900, and time_t counts them from 1970. */
static const int64_t SECONDS_TO_1970 = 2208988800;

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

/* Returns a socket that is connected to the server, and waits for at most
 * WAIT_SECONDS in recv. */
static int connect_to(const char *address, const char *port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port)),
    };
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        errx(1, "%s is not an IPv4 address", address);

    const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
        err(1, "setsockopt SO_RCVTIMEO");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect %s:%s", address, port);
    return fd;
}

/* Asks for the time, with an empty datagram, at most TRIES times. Returns what
 * the server answers: the seconds since 1900. */
static uint32_t ask(int fd) {
    /* One byte more than an answer has. In a buffer of four, a longer answer
     * would be cut to four bytes and look right. */
    unsigned char reply[TIME_BYTES + 1];

    for (int try = 1; try <= TRIES; try++) {
        if (send(fd, "", 0, 0) < 0)
            err(1, "send");
        ssize_t received = recv(fd, reply, sizeof reply, 0);
        if (received < 0) {
            /* EAGAIN: the second is over. EINTR: a signal came. Try again. */
            if (errno != EAGAIN && errno != EINTR)
                err(1, "recv");
            continue;
        }
        if (received != TIME_BYTES)
            errx(1, "the answer is not %d bytes long", TIME_BYTES);

        uint32_t seconds;
        memcpy(&seconds, reply, sizeof seconds);
        return ntohl(seconds);
    }
    errx(1, "no answer in %d tries", TRIES);
}

static void print_date(uint32_t seconds) {
    /* Before 1970 this is negative, so it needs a type with a sign. */
    time_t when = (time_t)((int64_t)seconds - SECONDS_TO_1970);
    struct tm date;
    char text[sizeof "1900-01-01 00:00:00 UTC"];

    if (gmtime_r(&when, &date) == NULL)
        err(1, "gmtime_r");
    (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &date);
    if (printf("%s\n", text) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    /* If standard output were closed, our socket would get its number. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        err(1, "standard output");
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    int fd = connect_to(argv[1], argv[2]);
    uint32_t seconds = ask(fd);
    print_date(seconds);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}
