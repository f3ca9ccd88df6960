/*
 * A right answer with a big buffer: it reads all of the input into memory,
 * sends it, and prints the answer byte by byte with stdio.
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

/* Ends the program after a call that has failed: says which, and why. */
static _Noreturn void fail(const char *call) {
    fprintf(stderr, "06-closing: %s: %s\n", call, strerror(errno));
    exit(1);
}

/* Returns a connected socket, or -1 if no address answers. */
static int connect_to(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0) {
        fprintf(stderr, "06-closing: %s\n", gai_strerror(error));
        exit(1);
    }
    for (const struct addrinfo *address = list; address != NULL;
         address = address->ai_next) {
        int fd = socket(address->ai_family, SOCK_STREAM, 0);
        if (fd < 0)
            fail("socket");
        if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        fprintf(stderr, "06-closing: connect: %s\n", strerror(errno));
        close(fd);
    }
    freeaddrinfo(list);
    return -1;
}

/* Reads all of standard input into memory that the caller frees. Writes the
 * number of bytes into *length. */
static char *read_input(size_t *length) {
    char *input = NULL;
    size_t room = 0;

    *length = 0;
    int byte = getchar();
    while (byte != EOF) {
        if (*length == room) {
            room = room * 2 + 1000;
            input = realloc(input, room);
            if (input == NULL)
                fail("realloc");
        }
        input[*length] = (char)byte;
        *length += 1;
        byte = getchar();
    }
    if (ferror(stdin))
        fail("standard input");
    return input;
}

static void send_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, bytes + done, length - done, 0);
        if (sent < 0)
            fail("send");
        done += (size_t)sent;
    }
}

/* Prints what the peer sends, until the peer closes. */
static void print_answer(int fd) {
    FILE *answer = fdopen(fd, "r");
    if (answer == NULL)
        fail("fdopen");
    int byte = getc(answer);
    while (byte != EOF) {
        if (putchar(byte) == EOF)
            fail("standard output");
        byte = getc(answer);
    }
    /* Print first what arrived before an error. fflush may change errno. */
    int reason = errno;
    if (fflush(stdout) != 0)
        fail("standard output");
    if (ferror(answer)) {
        errno = reason;
        fail("recv");
    }
    fclose(answer);
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 06-closing HOST PORT\n");
        return 2;
    }
    int fd = connect_to(argv[1], argv[2]);
    if (fd < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);

    size_t length;
    char *input = read_input(&length);
    send_all(fd, input, length);
    free(input);
    if (shutdown(fd, SHUT_WR) < 0)
        fail("shutdown");
    print_answer(fd);
    return 0;
}
