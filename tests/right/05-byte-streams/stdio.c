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

enum { MOST = 100000 };

static void give_up(const char *what) {
    fprintf(stderr, "05-byte-streams: %s\n", what);
    exit(1);
}

/* Why a byte is missing: the connection has ended, or it has failed. */
static void give_up_at_end(FILE *in) {
    give_up(ferror(in) ? strerror(errno) : "the end came too early");
}

static FILE *open_connection(const char *host, const char *port) {
    struct addrinfo wish = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(host, port, &wish, &list);
    if (error != 0)
        give_up(gai_strerror(error));
    int reason = 0;
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fdopen(fd, "r");
        }
        reason = errno;
        if (fd >= 0)
            (void)close(fd);
    }
    give_up(strerror(reason));
    return NULL;
}

/* Reads digits and a colon; the first digit has been read. */
static long read_length(FILE *in, int first) {
    long length = 0;
    int digits = 0;
    for (int byte = first;; byte = getc(in)) {
        if (byte == EOF)
            give_up_at_end(in);
        if (byte == ':' && digits > 0)
            return length;
        if (byte < '0' || byte > '9' || (digits > 0 && length == 0))
            give_up("this is no length");
        length = 10 * length + byte - '0';
        digits++;
        if (length > MOST)
            give_up("the length is too large");
    }
}

int main(int argc, char **argv) {
    static char message[MOST + 1];
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    FILE *in = open_connection(argv[1], argv[2]);
    for (int first = getc(in); first != EOF; first = getc(in)) {
        size_t length = (size_t)read_length(in, first);
        for (size_t i = 0; i <= length; i++) {
            int byte = getc(in);
            if (byte == EOF)
                give_up_at_end(in);
            message[i] = (char)byte;
        }
        if (message[length] != ',')
            give_up("there is no comma");
        message[length] = '\n';
        if (fwrite(message, 1, length + 1, stdout) != length + 1 ||
            fflush(stdout) != 0)
            give_up("standard output cannot be written");
    }
    if (ferror(in))
        give_up_at_end(in);
    return 0;
}
