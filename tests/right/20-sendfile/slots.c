/*
 * A right answer with a fixed place in the array of poll for each client, the
 * line received one byte at a time, and the first line sent by dprintf.
 */
#define _GNU_SOURCE

#include "listener.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 256, LINE_BYTES = 64 };

static struct pollfd slots[SLOTS + 1]; /* the clients, then the listener */
static char lines[SLOTS][LINE_BYTES + 1];
static int line_lengths[SLOTS];
static off_t offsets[SLOTS]; /* of the next byte in the file */
static off_t unsent[SLOTS];  /* how many bytes of the file */
static int file;

static void close_client(int i) {
    close(slots[i].fd);
    slots[i].fd = -1;
}

static void reset_client(int i) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(slots[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close_client(i);
}

static int is_worth_another_try(void) {
    return errno == EAGAIN || errno == EINTR;
}

static void send_bytes(int i) {
    ssize_t sent = sendfile(slots[i].fd, file, &offsets[i], (size_t)unsent[i]);
    if (sent == -1 && is_worth_another_try())
        return;
    if (sent <= 0) {
        reset_client(i); /* 0: the file has become shorter */
        return;
    }
    unsent[i] -= sent;
    if (unsent[i] == 0)
        close_client(i);
}

/* Reads the client's line, a C string. Returns 0, or -1 if it is not a range of
 * a file of this size. */
static int parse_line(int i, off_t size, unsigned long long *first,
                      unsigned long long *last) {
    char *line = lines[i];
    if (strlen(line) != (size_t)line_lengths[i])
        return -1; /* there is a NUL in it */
    char *blank = strchr(line, ' ');
    if (blank == NULL)
        return -1;
    *blank = '\0';
    if (number_parse(line, 0, LLONG_MAX, first) == -1)
        return -1;
    if (number_parse(blank + 1, 0, LLONG_MAX, last) == -1)
        return -1;
    if (*first > *last || *last >= (unsigned long long)size)
        return -1;
    return 0;
}

/* The client's line is whole. */
static void begin_reply(int i) {
    unsigned long long first;
    unsigned long long last;
    struct stat status;
    if (fstat(file, &status) == -1) {
        reset_client(i);
        return;
    }
    if (parse_line(i, status.st_size, &first, &last) == -1) {
        (void)dprintf(slots[i].fd, "bad range\n");
        close_client(i);
        return;
    }
    offsets[i] = (off_t)first;
    unsent[i] = (off_t)(last - first + 1);
    if (dprintf(slots[i].fd, "%lld\n", (long long)unsent[i]) < 0) {
        reset_client(i);
        return;
    }
    slots[i].events = POLLOUT;
}

static void receive_byte(int i) {
    char byte;
    ssize_t got = recv(slots[i].fd, &byte, 1, 0);
    if (got == -1 && is_worth_another_try())
        return;
    if (got <= 0) {
        close_client(i);
        return;
    }
    if (byte == '\n') {
        lines[i][line_lengths[i]] = '\0';
        begin_reply(i);
        return;
    }
    lines[i][line_lengths[i]] = byte;
    line_lengths[i]++;
    if (line_lengths[i] == LINE_BYTES)
        close_client(i); /* the line is too long */
}

static void accept_client(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1)
        return;
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].fd == -1) {
            slots[i] = (struct pollfd){fd, POLLIN, 0};
            line_lengths[i] = 0;
            return;
        }
    }
    close(fd);
}

int main(int argc, char **argv) {
    unsigned long long port;
    const char *failed;
    if (argc != 3) {
        fprintf(stderr, "usage: %s FILE PORT\n", argv[0]);
        return 2;
    }
    if (number_parse(argv[2], 0, 65535, &port) == -1)
        errx(1, "no port: %s", argv[2]);
    signal(SIGPIPE, SIG_IGN);
    file = open(argv[1], O_RDONLY);
    if (file == -1)
        err(1, "%s", argv[1]);
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port)};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener =
        listener_open((struct sockaddr *)&own, sizeof own, 100, 0, &failed);
    if (listener == -1)
        err(1, "%s", failed);
    if (listener_announce(listener, &failed) == -1)
        err(1, "%s", failed);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < SLOTS; i++)
        slots[i].fd = -1;
    slots[SLOTS] = (struct pollfd){listener, POLLIN, 0};
    for (;;) {
        if (poll(slots, SLOTS + 1, -1) == -1)
            continue;
        for (int i = 0; i < SLOTS; i++) {
            if (slots[i].fd == -1 || slots[i].revents == 0)
                continue;
            if (slots[i].events == POLLIN)
                receive_byte(i);
            else
                send_bytes(i);
        }
        if (slots[SLOTS].revents != 0)
            accept_client(listener);
    }
}
