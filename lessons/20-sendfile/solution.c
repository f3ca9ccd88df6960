/*
 * 20 solution: ranges of a file for many clients at once, one good answer of
 * many.
 *
 * usage: 20-sendfile FILE PORT
 */
#define _GNU_SOURCE

#include "deadline.h"
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

enum {
    LARGEST_PORT = 65535,
    BACKLOG = 128,
    CLIENTS = 100,    /* at the same time; more wait in the queue */
    LINE_BYTES = 64,  /* of a request, with its newline */
    REPLY_BYTES = 32, /* for a number and a newline */
    PAUSE_MS = 10,    /* after a call failed because something had run out */
};

enum state {
    RECEIVING, /* its request is not complete yet */
    SENDING,   /* its reply, and then the bytes of the file */
    FINISHED,  /* to be closed */
    BROKEN,    /* to be closed with a reset */
};

struct client {
    int fd;
    enum state state;
    char line[LINE_BYTES];
    size_t line_length;
    char reply[REPLY_BYTES]; /* the line before the bytes */
    size_t reply_length;
    size_t reply_sent;
    off_t next; /* the next byte of the file for this client */
    off_t end;  /* where it ends: the byte here is not for this client */
};

struct server {
    int file;
    int listener;
    size_t count; /* of clients */
    struct client clients[CLIENTS];
    struct pollfd polled[CLIENTS + 1]; /* the clients, then the listener */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 20-sendfile FILE PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* If 1 or 2 were closed, a file or a socket would get that number: see lesson
 * 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns a listener at 127.0.0.1, and prints its name. It never waits: a
 * client that poll has reported may have left before we accept it. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int listener =
        listener_open((struct sockaddr *)&own, sizeof own, BACKLOG, 0, &failed);
    if (listener < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    return listener;
}

/* Without the pause, a call that keeps failing would use a whole processor. */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

static void mark_broken(struct client *client, const char *failed) {
    warn("%s", failed);
    client->state = BROKEN;
}

/* Reads FIRST and LAST from a line of length bytes, which has a NUL in the
 * place of its newline. Returns 0, or -1 if the line is not two numbers with
 * one blank between them. Puts a NUL in the place of the blank. */
static int parse_range(char *line, size_t length, unsigned long long *first,
                       unsigned long long *last) {
    if (strlen(line) != length)
        return -1; /* the client has sent a NUL inside the line */
    char *blank = strchr(line, ' ');
    if (blank == NULL)
        return -1;
    *blank = '\0';
    if (number_parse(line, 0, LLONG_MAX, first) < 0)
        return -1;
    if (number_parse(blank + 1, 0, LLONG_MAX, last) < 0)
        return -1;
    return 0;
}

/* Whether the file, which has size bytes, has all bytes from first to last. */
static int is_in_file(unsigned long long first, unsigned long long last,
                      off_t size) {
    if (first > last)
        return 0;
    return last < (unsigned long long)size;
}

/* The client's line is whole: decides what to send. The file may have changed
 * since the last request, so we ask for its length each time. */
static void begin_reply(struct server *server, struct client *client,
                        size_t length) {
    struct stat status;
    unsigned long long first;
    unsigned long long last;
    client->line[length] = '\0'; /* in the place of the newline */
    if (fstat(server->file, &status) < 0) {
        mark_broken(client, "fstat");
        return;
    }
    client->state = SENDING;
    int result = parse_range(client->line, length, &first, &last);
    if (result < 0 || !is_in_file(first, last, status.st_size)) {
        strcpy(client->reply, "bad range\n");
    } else {
        client->next = (off_t)first;
        client->end = (off_t)last + 1;
        (void)snprintf(client->reply, sizeof client->reply, "%llu\n",
                       last - first + 1);
    }
    client->reply_length = strlen(client->reply);
}

/* Receives once: the client's line may come in several pieces. */
static void receive_request(struct server *server, struct client *client) {
    char *place = client->line + client->line_length;
    ssize_t got = recv(client->fd, place, LINE_BYTES - client->line_length, 0);
    if (got < 0 && is_worth_another_try(errno))
        return;
    if (got < 0) {
        mark_broken(client, "recv");
        return;
    }
    if (got == 0) {
        client->state = FINISHED;
        return;
    }
    client->line_length += (size_t)got;
    char *newline = memchr(client->line, '\n', client->line_length);
    if (newline != NULL) {
        size_t length = (size_t)(newline - client->line);
        begin_reply(server, client, length);
    } else if (client->line_length == LINE_BYTES) {
        client->state = FINISHED; /* the line is too long */
    }
}

/* Sends what is left of the line in front of the bytes. If bytes follow, the
 * line shares a segment with them. */
static void send_reply(struct client *client) {
    int flags = MSG_NOSIGNAL;
    if (client->next < client->end)
        flags |= MSG_MORE;
    ssize_t sent = send(client->fd, client->reply + client->reply_sent,
                        client->reply_length - client->reply_sent, flags);
    if (sent >= 0)
        client->reply_sent += (size_t)sent;
    else if (!is_worth_another_try(errno))
        mark_broken(client, "send");
}

/* Sends as many bytes of the file as the kernel takes now. sendfile adds their
 * number to client->next. */
static void send_bytes(struct server *server, struct client *client) {
    ssize_t sent = sendfile(client->fd, server->file, &client->next,
                            (size_t)(client->end - client->next));
    if (sent < 0 && !is_worth_another_try(errno))
        mark_broken(client, "sendfile");
    if (sent == 0) {
        warnx("the file has become shorter");
        client->state = BROKEN;
    }
}

/* Sends the line in front of the bytes first. Goes on with the bytes of the
 * file as soon as the kernel has the whole line. */
static void send_more(struct server *server, struct client *client) {
    if (client->reply_sent < client->reply_length)
        send_reply(client);
    if (client->reply_sent < client->reply_length)
        return; /* the kernel has no room for more, or send has failed */
    if (client->next < client->end)
        send_bytes(server, client);
    if (client->state == SENDING && client->next == client->end)
        client->state = FINISHED;
}

/* Closes the client, and moves the last client into its place. */
static void remove_client(struct server *server, size_t i) {
    /* Makes close send a reset: lesson 06. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    const struct client *client = &server->clients[i];
    if (client->state == BROKEN)
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof at_once);
    (void)close(client->fd);
    server->count--;
    server->clients[i] = server->clients[server->count];
}

static void remove_finished(struct server *server) {
    size_t i = 0;
    while (i < server->count) {
        enum state state = server->clients[i].state;
        if (state == FINISHED || state == BROKEN)
            remove_client(server, i);
        else
            i++;
    }
}

static void accept_client(struct server *server) {
    int fd =
        accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (!is_worth_another_try(errno))
            warn_and_pause("accept");
        return;
    }
    server->clients[server->count] =
        (struct client){.fd = fd, .state = RECEIVING};
    server->count++;
}

static void fill_polled(struct server *server) {
    for (size_t i = 0; i < server->count; i++) {
        struct pollfd *entry = &server->polled[i];
        entry->fd = server->clients[i].fd;
        entry->revents = 0;
        entry->events = POLLIN;
        if (server->clients[i].state == SENDING)
            entry->events = POLLOUT;
    }
    struct pollfd *last = &server->polled[server->count];
    last->fd = server->listener;
    last->events = POLLIN;
    last->revents = 0;
    if (server->count == CLIENTS)
        last->fd = -1; /* poll ignores this entry */
}

/* Waits once for all clients and the listener, and does what there is to do. */
static void handle_events(struct server *server) {
    const size_t count = server->count;
    fill_polled(server);
    if (poll(server->polled, count + 1, -1) < 0) {
        if (errno != EINTR)
            warn_and_pause("poll");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct client *client = &server->clients[i];
        if (server->polled[i].revents == 0)
            continue;
        if (client->state == RECEIVING)
            receive_request(server, client);
        else
            send_more(server, client);
    }
    remove_finished(server);
    if (server->polled[count].revents != 0)
        accept_client(server);
}

int main(int argc, char **argv) {
    static struct server server; /* it is large, and all zero to begin with */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[2]);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
    server.file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (server.file < 0)
        err(1, "open %s", argv[1]);
    server.listener = listen_on(port);
    for (;;)
        handle_events(&server);
}
