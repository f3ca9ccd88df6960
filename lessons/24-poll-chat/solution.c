/*
 * 24 solution: a chat with private messages, one good answer of many.
 *
 * usage: 24-poll-chat PORT      (0: any free port)
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CLIENTS = 1000,          /* at once; the next ones wait in the kernel */
    NAME_BYTES = 16,         /* the longest name, */
    LINE_BYTES = 1024,       /* the longest line, with its newline, */
    QUEUE_BYTES = 256 << 10, /* and as much as may wait for one client */
    PAUSE_MS = 100,          /* after what failed for want of something */
};

struct client {
    int fd;
    const char *end;           /* how it left; NULL: it is here */
    char name[NAME_BYTES + 1]; /* empty until it has said one */
    size_t heard, queued;      /* bytes in these: */
    char line[LINE_BYTES], queue[QUEUE_BYTES];
};

struct chat {
    struct client *clients[CLIENTS];
    size_t count;
    struct deadline pause; /* until then nobody is let in */
};

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
    stopping = signal_number;
    (void)alarm(1); /* in case this was too early */
}

static void enqueue(struct client *client, const char *bytes, size_t length) {
    if (length > QUEUE_BYTES - client->queued) {
        client->end = "let go: it does not read";
        client->queued = length = 0;
    }
    memcpy(client->queue + client->queued, bytes, length);
    client->queued += length;
}

/* To all others: `NAME`, what, and bytes, of which any may be NUL. */
static void tell(struct chat *chat, const struct client *from, const char *what,
                 const char *bytes, size_t length) {
    char line[NAME_BYTES + sizeof " joined" + LINE_BYTES];
    int head = snprintf(line, sizeof line, "%s%s", from->name, what);
    memcpy(line + head, bytes, length);
    for (size_t i = 0; i < chat->count; i++)
        if (chat->clients[i] != from && chat->clients[i]->name[0] != '\0' &&
            chat->clients[i]->end == NULL)
            enqueue(chat->clients[i], line, (size_t)head + length);
}

static void join(struct chat *chat, struct client *client, char *line) {
    size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789-_"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    int good = length > 0 && length <= NAME_BYTES && line[length] == '\n';
    line[length] = '\0';
    for (size_t i = 0; i < chat->count; i++)
        good = good && strcmp(chat->clients[i]->name, line) != 0;
    if (good) {
        memcpy(client->name, line, length); /* zeros are behind it */
        (void)printf("%d is %s\n", client->fd, line);
        tell(chat, client, " joined", "\n", 1);
    } else { /* and it may try again */
        static const char no[] = "a name is 1 to 16 letters, digits, - and _, "
                                 "not taken\n";
        enqueue(client, no, strlen(no));
    }
}

static void answer(struct client *client, const char *text) {
    enqueue(client, text, strlen(text));
}

/* `/to NAME text`: line has length bytes, its newline is one of them. */
static void whisper(struct chat *chat, struct client *from, const char *line,
                    size_t length) {
    char told[LINE_BYTES + NAME_BYTES + sizeof "nobody is called "];
    const char *end = line + length - 1;
    const char *name = line + (length > 4 ? 4 : 3);
    const char *blank = memchr(name, ' ', (size_t)(end - name));
    if (blank == NULL || blank == name || blank + 1 == end) {
        answer(from, "/to needs a name and a text\n");
        return;
    }
    size_t size = (size_t)(blank - name), text = (size_t)(end - blank);
    int head = snprintf(told, sizeof told, "%s (private): ", from->name);
    memcpy(told + head, blank + 1, text);
    for (size_t i = 0; i < chat->count; i++) {
        struct client *to = chat->clients[i];
        if (to->end == NULL && strlen(to->name) == size &&
            memcmp(to->name, name, size) == 0) {
            enqueue(to, told, (size_t)head + text);
            return;
        }
    }
    answer(from, "nobody is called ");
    enqueue(from, name, size);
    answer(from, "\n");
}

static int is_private(const char *line) {
    return strncmp(line, "/to ", 4) == 0 || strncmp(line, "/to\n", 4) == 0;
}

static void hear(struct chat *chat, struct client *client) {
    char *line = client->line, *end = line + client->heard, *newline;
    ssize_t got = recv(client->fd, end, LINE_BYTES - client->heard, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0)
        warn("recv from %d", client->fd);
    if (got <= 0)
        client->end = "left"; /* it may yet read what is queued: lesson 06 */
    client->heard += got > 0 ? (size_t)got : 0;
    while ((newline = memchr(line, '\n', client->heard)) != NULL) {
        size_t length = (size_t)(newline + 1 - line);
        if (client->name[0] == '\0')
            join(chat, client, line);
        else if (is_private(line))
            whisper(chat, client, line, length);
        else
            tell(chat, client, ": ", line, length);
        client->heard -= length;
        memmove(line, line + length, client->heard);
    }
    if (client->heard == LINE_BYTES)
        client->end = "let go: its line is too long";
}

static void flush(struct client *client) {
    ssize_t sent = send(client->fd, client->queue, client->queued, 0);
    if (sent >= 0) {
        client->queued -= (size_t)sent;
        memmove(client->queue, client->queue + sent, client->queued);
    } else if (errno != EAGAIN && errno != EINTR) {
        warn("send to %d", client->fd);
        client->queued = 0;
        client->end = "left";
    }
}

/* Here they go, and only here, where nobody walks along the clients. */
static void see_off(struct chat *chat) {
    for (size_t i = 0; i < chat->count;) {
        struct client *client = chat->clients[i++];
        if (client->end != NULL && client->name[0] != '\0') {
            tell(chat, client, " left", "\n", 1);
            client->name[0] = '\0';
            i = 0; /* who could take no more of it goes too */
        } else if (client->end != NULL && client->queued == 0) {
            (void)printf("%d %s\n", client->fd, client->end);
            (void)close(client->fd);
            free(client);
            chat->clients[--i] = chat->clients[--chat->count];
        }
    }
}

static void admit(struct chat *chat, int listener) {
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    struct client *client = calloc(1, sizeof *client);
    int fd = client != NULL ? accept4(listener, NULL, NULL, flags) : -1;
    if (fd < 0) {
        warn(client != NULL ? "accept" : "calloc");
        chat->pause = deadline_after(PAUSE_MS); /* or poll is back at once */
        free(client);
    } else {
        client->fd = fd;
        chat->clients[chat->count++] = client;
        (void)printf("%d connected\n", fd);
    }
}

/* A wait, and a walk. The array is made anew each time; poll passes over -1. */
static void take_turn(struct chat *chat, int listener) {
    static struct pollfd polled[CLIENTS + 1];
    const size_t count = chat->count;
    int left = deadline_left(chat->pause);
    for (size_t i = 0; i < count; i++) {
        const struct client *client = chat->clients[i];
        short in = client->end == NULL ? POLLIN : 0;
        short out = client->queued > 0 ? POLLOUT : 0;
        polled[i] = (struct pollfd){client->fd, (short)(in | out), 0};
    }
    polled[count] = (struct pollfd){listener, POLLIN, 0};
    polled[count].fd = left == 0 && count < CLIENTS ? listener : -1;
    if (poll(polled, count + 1, left > 0 ? left : -1) < 0 && errno != EINTR) {
        warn("poll");
        (void)deadline_wait(deadline_after(PAUSE_MS), -1, 0);
    }
    for (size_t i = 0; i < count; i++) { /* where poll failed, it finds 0 */
        if (polled[i].events & POLLOUT && polled[i].revents & ~POLLIN)
            flush(chat->clients[i]);
        if (polled[i].revents & ~POLLOUT && chat->clients[i]->end == NULL)
            hear(chat, chat->clients[i]); /* one recv: no more turns for one */
    }
    see_off(chat);
    if (polled[count].revents != 0)
        admit(chat, listener);
}

/* Returns the listener; own has then the port that it has. */
static int listen_on(struct sockaddr_in *own) {
    struct sockaddr *address = (struct sockaddr *)own;
    socklen_t size = sizeof *own;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(fd, address, size) < 0)
        err(1, "bind 127.0.0.1:%d", ntohs(own->sin_port));
    if (listen(fd, CLIENTS) < 0)
        err(1, "listen");
    if (getsockname(fd, address, &size) < 0)
        err(1, "getsockname");
    return fd;
}

int main(int argc, char **argv) {
    static struct chat chat;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (argc != 2 || strcmp(argv[1], "-h") == 0) {
        fputs("usage: 24-poll-chat PORT\n", argc == 2 ? stdout : stderr);
        return argc == 2 ? 0 : 2;
    }
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &own.sin_port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    own.sin_port = htons(own.sin_port);
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    (void)signal(SIGALRM, stop);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
    const int fd = listen_on(&own);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    while (!stopping)
        take_turn(&chat, fd);
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
