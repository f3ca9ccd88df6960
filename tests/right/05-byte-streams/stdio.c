/*
 * A right answer in the style of stdio: the socket is a FILE, and its bytes are
 * taken one by one with getc.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST_MESSAGE = 100000 };

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "05-byte-streams: %s\n", what);
    exit(1);
}

/* Ends the program after a getc that has returned EOF. Says why: the connection
 * has failed, or the peer has ended it. */
static _Noreturn void give_up_at_end(FILE *in, const char *what) {
    if (ferror(in))
        give_up(strerror(errno));
    give_up(what);
}

/* Returns a socket that is connected to this address, or -1 and errno. */
static int try_address(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        int reason = errno; /* close may change errno */
        (void)close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static FILE *open_connection(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0)
        give_up(gai_strerror(error));
    int reason = 0;
    for (struct addrinfo *address = list; address != NULL;
         address = address->ai_next) {
        int fd = try_address(address);
        if (fd >= 0) {
            freeaddrinfo(list);
            return fdopen(fd, "r");
        }
        reason = errno;
    }
    give_up(strerror(reason));
}

static int parse_digit(int byte) {
    if (byte < '0' || byte > '9')
        give_up("this is no length");
    return byte - '0';
}

/* Returns the length of a message. Its first digit has been read already; this
 * function reads the other digits and the colon. */
static long read_length(FILE *in, int first) {
    long length = parse_digit(first);
    for (;;) {
        int byte = getc(in);
        if (byte == EOF)
            give_up_at_end(in, "the end came too early");
        if (byte == ':')
            return length;
        int digit = parse_digit(byte);
        if (length == 0)
            give_up("a length has no zero in front");
        length = 10 * length + digit;
        if (length > LARGEST_MESSAGE)
            give_up("the length is too large");
    }
}

/* Reads a message and its comma, and prints the message. */
static void print_message(FILE *in, size_t length) {
    static char message[LARGEST_MESSAGE + 1]; /* one byte more for the comma */
    for (size_t i = 0; i <= length; i++) {
        int byte = getc(in);
        if (byte == EOF)
            give_up_at_end(in, "the end came before the comma");
        message[i] = (char)byte;
    }
    if (message[length] != ',')
        give_up("there is no comma");
    message[length] = '\n';
    if (fwrite(message, 1, length + 1, stdout) != length + 1)
        give_up("standard output cannot be written");
    if (fflush(stdout) != 0)
        give_up("standard output cannot be written");
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    FILE *in = open_connection(argv[1], argv[2]);
    if (in == NULL)
        give_up(strerror(errno));
    int first = getc(in);
    while (first != EOF) {
        long length = read_length(in, first);
        print_message(in, (size_t)length);
        first = getc(in);
    }
    if (ferror(in))
        give_up_at_end(in, "the end came too early");
    return 0;
}
