/*
 * A right answer that waits with poll, collects everything in a buffer that
 * grows, and writes it at the end, with write(2).
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* All bytes that have arrived. */
struct heap {
    char *bytes;
    size_t length; /* how many bytes have arrived */
    size_t room;   /* how many bytes the memory has */
};

/* Makes room for one more byte at least. */
static void make_room(struct heap *heap) {
    if (heap->length < heap->room)
        return;
    if (heap->room == 0)
        heap->room = 64;
    else
        heap->room = 2 * heap->room;
    heap->bytes = realloc(heap->bytes, heap->room);
    if (heap->bytes == NULL)
        err(1, "realloc");
}

static void write_all(const struct heap *heap) {
    size_t done = 0;
    while (done < heap->length) {
        ssize_t written =
            write(STDOUT_FILENO, heap->bytes + done, heap->length - done);
        if (written < 0)
            err(1, "write");
        done += (size_t)written;
    }
}

/* Appends what arrives, until the peer closes. Returns 0, or the errno of the
 * call that failed. */
static int collect(int fd, struct heap *heap) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (poll(&waiting, 1, -1) < 0)
            return errno;
        make_room(heap);
        ssize_t received =
            read(fd, heap->bytes + heap->length, heap->room - heap->length);
        if (received < 0)
            return errno;
        if (received == 0)
            return 0;
        heap->length += (size_t)received;
    }
}

/* Returns the port in network byte order. Ends the program if the text is not a
 * port. */
static in_port_t parse_port(const char *text) {
    unsigned long port = 0;
    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            errx(1, "not a port: %s", text);
        port = port * 10 + (unsigned long)(*digit - '0');
        if (port > 65535)
            errx(1, "not a port: %s", text);
    }
    if (port == 0)
        errx(1, "not a port: %s", text);
    return htons((in_port_t)port);
}

int main(int argc, char **argv) {
    struct sockaddr_in server = {.sin_family = AF_INET};
    struct heap heap = {0};

    if (argc != 3) {
        fputs("usage: daytime ADDRESS PORT\n", stderr);
        exit(2);
    }
    server.sin_port = parse_port(argv[2]);
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
        errx(1, "not an address: %s", argv[1]);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        err(1, "signal");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
        err(1, "cannot reach %s", argv[1]);

    int error = collect(fd, &heap);
    close(fd);
    write_all(&heap);
    if (error != 0)
        errx(1, "after %zu bytes: %s", heap.length, strerror(error));
    dprintf(STDERR_FILENO, "%zu bytes\n", heap.length);
    free(heap.bytes);
    return 0;
}
