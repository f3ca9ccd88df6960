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

struct heap {
    char *bytes;
    size_t length;
    size_t room;
};

static void grow(struct heap *heap) {
    if (heap->length < heap->room)
        return;
    heap->room = heap->room == 0 ? 64 : 2 * heap->room;
    heap->bytes = realloc(heap->bytes, heap->room);
    if (heap->bytes == NULL)
        err(1, "realloc");
}

static void write_all(const struct heap *heap) {
    size_t done = 0;
    while (done < heap->length) {
        ssize_t n = write(1, heap->bytes + done, heap->length - done);
        if (n < 0)
            err(1, "write");
        done += (size_t)n;
    }
}

/* Returns 0 at the end, or the error that ended it. */
static int collect(int fd, struct heap *heap) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (poll(&one, 1, -1) < 0)
            return errno;
        grow(heap);
        ssize_t n =
            read(fd, heap->bytes + heap->length, heap->room - heap->length);
        if (n < 0)
            return errno;
        if (n == 0)
            return 0;
        heap->length += (size_t)n;
    }
}

static in_port_t port_or_exit(const char *text) {
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
    server.sin_port = port_or_exit(argv[2]);
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
    dprintf(2, "%zu bytes\n", heap.length);
    free(heap.bytes);
    return 0;
}
