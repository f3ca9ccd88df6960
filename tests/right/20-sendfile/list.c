/*
 * A right answer with a linked list of clients, each with a function that is
 * called when poll reports it. The length of the file comes from lseek, and a
 * turn sends at most 64 KiB.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_IN_A_TURN = 65536 }; /* bytes of the file for one client */

/* What has become of a connection when its function returns. */
enum outcome { STAYS_OPEN, CLOSED };

struct conn {
    struct conn *next;
    int fd;
    enum outcome (*handle)(struct conn *); /* called when poll reports fd */
    short events;                          /* those that handle waits for */
    size_t request_length;                 /* how much of it has come */
    char request[64];
    char reply[40]; /* the line before the bytes, a C string */
    size_t reply_sent;
    int64_t at;  /* the next byte of the file for this client */
    int64_t end; /* the first byte behind those for this client */
};

static int source; /* the file */
static struct conn *connections;
static size_t count; /* of connections */

static enum outcome close_normally(struct conn *c) {
    close(c->fd);
    return CLOSED;
}

static enum outcome close_with_reset(struct conn *c) {
    struct linger now = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return close_normally(c);
}

static bool is_worth_another_try(void) {
    return errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK;
}

static enum outcome send_bytes(struct conn *c) {
    off_t offset = c->at;
    int64_t length = c->end - c->at;
    if (length > MOST_IN_A_TURN)
        length = MOST_IN_A_TURN;
    ssize_t sent = sendfile(c->fd, source, &offset, (size_t)length);
    if (sent < 0 && is_worth_another_try())
        return STAYS_OPEN;
    if (sent <= 0)
        return close_with_reset(c); /* 0: the file has become shorter */
    c->at = offset;
    if (c->at == c->end)
        return close_normally(c);
    return STAYS_OPEN;
}

/* Sends the line, and then the bytes. A refusal has no bytes. */
static enum outcome send_reply(struct conn *c) {
    const char *unsent = c->reply + c->reply_sent;
    size_t length = strlen(unsent);
    if (length > 0) {
        ssize_t sent = send(c->fd, unsent, length, MSG_NOSIGNAL);
        if (sent < 0 && is_worth_another_try())
            return STAYS_OPEN;
        if (sent < 0)
            return close_with_reset(c);
        c->reply_sent += (size_t)sent;
        if ((size_t)sent < length)
            return STAYS_OPEN;
    }
    if (c->at < c->end)
        return send_bytes(c);
    return close_normally(c);
}

/* Reads a number in digits that begins at *place, and that the character
 * `after` follows. Puts the place behind that character into *place. Returns
 * the number, or -1 if there is none. */
static int64_t parse_digits(const char **place, char after) {
    const char *next = *place;
    int64_t number = 0;
    if (!isdigit((unsigned char)*next))
        return -1;
    while (isdigit((unsigned char)*next)) {
        int digit = *next - '0';
        if (number > (INT64_MAX - digit) / 10)
            return -1;
        number = number * 10 + digit;
        next++;
    }
    if (*next != after)
        return -1;
    *place = next + 1;
    return number;
}

/* The request is complete: decides what to send. */
static void begin_reply(struct conn *c) {
    const char *place = c->request;
    int64_t first = parse_digits(&place, ' ');
    int64_t last = -1;
    if (first >= 0)
        last = parse_digits(&place, '\n');
    int64_t size = lseek(source, 0, SEEK_END);
    if (first < 0 || last < first || last >= size) {
        strcpy(c->reply, "bad range\n");
    } else {
        sprintf(c->reply, "%lld\n", (long long)(last - first + 1));
        c->at = first;
        c->end = last + 1;
    }
    c->handle = send_reply;
    c->events = POLLOUT;
}

static enum outcome receive_request(struct conn *c) {
    ssize_t got = read(c->fd, c->request + c->request_length,
                       sizeof c->request - c->request_length);
    if (got < 0 && is_worth_another_try())
        return STAYS_OPEN;
    if (got < 0)
        return close_with_reset(c);
    if (got == 0)
        return close_normally(c);
    c->request_length += (size_t)got;
    if (memchr(c->request, '\n', c->request_length) != NULL) {
        begin_reply(c);
        return STAYS_OPEN;
    }
    if (c->request_length == sizeof c->request)
        return close_normally(c); /* the line is too long */
    return STAYS_OPEN;
}

static uint16_t parse_port(const char *text) {
    char *end;
    if (!isdigit((unsigned char)text[0]))
        errx(1, "not a port: %s", text);
    /* A number that is too large for a long becomes LONG_MAX. */
    long port = strtol(text, &end, 10);
    if (*end != '\0' || port > 65535)
        errx(1, "not a port: %s", text);
    return (uint16_t)port;
}

static int start_listening(uint16_t port) {
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof own;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&own, size) < 0)
        err(1, "bind");
    if (listen(fd, 200) < 0)
        err(1, "listen");
    if (getsockname(fd, (void *)&own, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
    return fd;
}

/* Accepts a client, and puts it at the front of the list. */
static void accept_client(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        close(fd);
        return;
    }
    c->fd = fd;
    c->handle = receive_request;
    c->events = POLLIN;
    c->next = connections;
    connections = c;
    count++;
}

/* polled has an entry for each connection, in the order of the list. link
 * points to the pointer to the current connection: the first of the list, or
 * the next of the one before. So we can take the current connection out of the
 * list. */
static void handle_events(const struct pollfd *polled) {
    struct conn **link = &connections;
    for (size_t i = 0; *link != NULL; i++) {
        struct conn *c = *link;
        enum outcome outcome = STAYS_OPEN;
        if (polled[i].revents != 0)
            outcome = c->handle(c);
        if (outcome == CLOSED) {
            *link = c->next;
            free(c);
            count--;
        } else {
            link = &c->next;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: 20-sendfile FILE PORT\n", stderr);
        exit(2);
    }
    signal(SIGPIPE, SIG_IGN);
    source = open(argv[1], O_RDONLY);
    if (source < 0)
        err(1, "open %s", argv[1]);
    int listener = start_listening(parse_port(argv[2]));
    for (;;) {
        struct pollfd
            polled[count + 1]; /* the connections, then the listener */
        size_t i = 0;
        for (struct conn *c = connections; c != NULL; c = c->next) {
            polled[i] = (struct pollfd){.fd = c->fd, .events = c->events};
            i++;
        }
        polled[count] = (struct pollfd){.fd = listener, .events = POLLIN};
        if (poll(polled, count + 1, -1) < 0)
            continue;
        handle_events(polled);
        accept_client(listener);
    }
}
