/*
 * A right answer with two threads for each client: one receives its lines, the
 * other sends what could not be sent at once. One lock guards all that they
 * share.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME = 16, LINE = 1024, QUEUE = 256 * 1024, LINGER_MS = 1000 };

enum state { TALKING, ENDING, BROKEN };

struct client {
    int fd;
    enum state state;
    struct deadline end; /* in the state ENDING */
    char name[NAME + 1]; /* empty at first */
    char *queue;
    size_t queued;          /* how many bytes the queue has */
    pthread_cond_t changed; /* wakes the thread that sends */
    struct client *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t somebody_left = PTHREAD_COND_INITIALIZER;
static unsigned long departures;
static struct client *clients;

static void stop(int number) {
    (void)number;
    _exit(0);
}

/* Call all functions from here to leave with the lock. */
static void enqueue(struct client *client, const char *bytes, size_t length) {
    if (client->state != TALKING)
        return;
    if (client->queued == 0) {
        ssize_t n =
            send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        }
        if (length == 0)
            return;
    }
    if (client->queued + length > QUEUE) {
        client->state = BROKEN;
        shutdown(client->fd, SHUT_RDWR); /* this wakes both threads */
    } else {
        memcpy(client->queue + client->queued, bytes, length);
        client->queued += length;
    }
    pthread_cond_signal(&client->changed);
}

static void enqueue_text(struct client *client, const char *text) {
    enqueue(client, text, strlen(text));
}

static void broadcast(const struct client *sender, const char *bytes,
                      size_t length) {
    for (struct client *other = clients; other != NULL; other = other->next) {
        if (other != sender && other->name[0] != '\0')
            enqueue(other, bytes, length);
    }
}

static int is_called(const struct client *client, const char *name,
                     size_t length) {
    if (client->name[0] == '\0' || strlen(client->name) != length)
        return 0;
    return memcmp(client->name, name, length) == 0;
}

static struct client *find(const char *name, size_t length) {
    for (struct client *client = clients; client != NULL; client = client->next)
        if (is_called(client, name, length))
            return client;
    return NULL;
}

static void announce(const struct client *client, const char *event) {
    char text[NAME + 16];
    int length = snprintf(text, sizeof text, "%s %s\n", client->name, event);
    broadcast(client, text, (size_t)length);
}

static int is_letter_of_a_name(char c) {
    if (c >= 'a' && c <= 'z')
        return 1;
    if (c >= 'A' && c <= 'Z')
        return 1;
    if (c >= '0' && c <= '9')
        return 1;
    return c == '-' || c == '_';
}

static int is_name(const char *line, size_t length) {
    if (length < 1 || length > NAME)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!is_letter_of_a_name(line[i]))
            return 0;
    return 1;
}

static void try_name(struct client *client, const char *line, size_t length) {
    if (!is_name(line, length) || find(line, length) != NULL) {
        enqueue_text(client, "a name is 1 to 16 letters, digits, - and _, not "
                             "taken\n");
        return;
    }
    memcpy(client->name, line, length);
    announce(client, "joined");
}

/* The text has length bytes, the newline included. */
static void send_public(const struct client *sender, const char *text,
                        size_t length) {
    char line[NAME + 16 + LINE];
    int head = snprintf(line, sizeof line, "%s: ", sender->name);
    memcpy(line + head, text, length);
    broadcast(sender, line, (size_t)head + length);
}

static void send_private(const struct client *sender, struct client *receiver,
                         const char *text, size_t length) {
    char line[NAME + 16 + LINE];
    int head = snprintf(line, sizeof line, "%s (private): ", sender->name);
    memcpy(line + head, text, length);
    enqueue(receiver, line, (size_t)head + length);
}

/* Handles what stands behind "/to ": length bytes, and a newline behind them.
 */
static void handle_private(struct client *client, const char *rest,
                           size_t length) {
    size_t name_length = 0;
    size_t text_length = 0;
    const char *blank = memchr(rest, ' ', length);
    if (blank != NULL) {
        name_length = (size_t)(blank - rest);
        text_length = length - name_length - 1;
    }
    if (name_length == 0 || text_length == 0) {
        enqueue_text(client, "/to needs a name and a text\n");
        return;
    }
    struct client *receiver = find(rest, name_length);
    if (receiver != NULL) {
        send_private(client, receiver, blank + 1, text_length + 1);
        return;
    }
    enqueue_text(client, "nobody is called ");
    enqueue(client, rest, name_length);
    enqueue_text(client, "\n");
}

/* The line has length bytes, and a newline behind them. */
static void handle_line(struct client *client, const char *line,
                        size_t length) {
    if (client->name[0] == '\0')
        try_name(client, line, length);
    else if (length == 3 && memcmp(line, "/to", 3) == 0)
        enqueue_text(client, "/to needs a name and a text\n");
    else if (length > 3 && memcmp(line, "/to ", 4) == 0)
        handle_private(client, line + 4, length - 4);
    else
        send_public(client, line, length + 1);
}

static void leave(struct client *client) {
    if (client->state == TALKING)
        client->state = ENDING;
    client->end = deadline_after(LINGER_MS);
    /* What points to the client: the list's beginning, or another client. */
    struct client **pointer = &clients;
    while (*pointer != client)
        pointer = &(*pointer)->next;
    *pointer = client->next;
    if (client->name[0] != '\0')
        announce(client, "left");
    pthread_cond_signal(&client->changed);
}

/* Call these two with the lock. */
static int is_finished(const struct client *client) {
    switch (client->state) {
    case TALKING:
        return 0;
    case ENDING:
        return client->queued == 0 || deadline_left(client->end) == 0;
    default:
        return 1;
    }
}

static void send_some(struct client *client) {
    ssize_t n = send(client->fd, client->queue, client->queued,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        client->queued -= (size_t)n;
        memmove(client->queue, client->queue + n, client->queued);
    } else if (errno == EAGAIN) {
        /* It waits for a short time only, because the client may be finished
         * meanwhile. */
        pthread_mutex_unlock(&lock);
        (void)deadline_wait(deadline_after(50), client->fd, POLLOUT);
        pthread_mutex_lock(&lock);
    } else {
        client->state = BROKEN;
    }
}

/* The second thread of a client. */
static void *send_queue(void *argument) {
    struct client *client = argument;
    pthread_mutex_lock(&lock);
    while (!is_finished(client)) {
        if (client->queued == 0)
            pthread_cond_wait(&client->changed, &lock);
        else
            send_some(client);
    }
    pthread_mutex_unlock(&lock);
    shutdown(client->fd, SHUT_RDWR); /* wakes the first thread, if it waits */
    return NULL;
}

/* Handles the whole lines, with the lock. Returns how many bytes they have. */
static size_t handle_lines(struct client *client, const char *bytes,
                           size_t length) {
    size_t handled = 0;
    while (client->state == TALKING) {
        const char *line = bytes + handled;
        const char *newline = memchr(line, '\n', length - handled);
        if (newline == NULL)
            break;
        size_t line_length = (size_t)(newline - line);
        handle_line(client, line, line_length);
        handled += line_length + 1;
    }
    return handled;
}

static void receive_lines(struct client *client) {
    char bytes[LINE];
    size_t have = 0; /* how many bytes are not handled yet */
    for (;;) {
        ssize_t n = recv(client->fd, bytes + have, LINE - have, 0);
        if (n <= 0)
            return;
        have += (size_t)n;
        pthread_mutex_lock(&lock);
        size_t handled = handle_lines(client, bytes, have);
        have -= handled;
        int is_over = client->state != TALKING || have == LINE;
        pthread_mutex_unlock(&lock);
        if (is_over)
            return;
        memmove(bytes, bytes + handled, have);
    }
}

/* The first thread of a client, from its beginning to its end. */
static void *serve(void *argument) {
    struct client *client = argument;
    pthread_t sender;
    int error = pthread_create(&sender, NULL, send_queue, client);
    if (error == 0)
        receive_lines(client);
    pthread_mutex_lock(&lock);
    leave(client);
    pthread_mutex_unlock(&lock);
    if (error == 0)
        pthread_join(sender, NULL);
    close(client->fd);
    pthread_cond_destroy(&client->changed);
    free(client->queue);
    free(client);
    pthread_mutex_lock(&lock);
    departures++;
    pthread_cond_signal(&somebody_left);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void begin(int fd) {
    pthread_t thread;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        err(1, "calloc");
    client->queue = malloc(QUEUE);
    if (client->queue == NULL)
        err(1, "malloc");
    client->fd = fd;
    pthread_cond_init(&client->changed, NULL);
    pthread_mutex_lock(&lock);
    client->next = clients;
    clients = client;
    pthread_mutex_unlock(&lock);
    int error = pthread_create(&thread, NULL, serve, client);
    if (error != 0)
        errx(1, "pthread_create: %s", strerror(error));
    pthread_detach(thread);
}

static _Noreturn void accept_all(int listener) {
    for (;;) {
        pthread_mutex_lock(&lock);
        unsigned long before = departures;
        pthread_mutex_unlock(&lock);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            begin(fd);
            continue;
        }
        if (errno != EMFILE && errno != ENFILE)
            continue; /* only this client is lost */
        pthread_mutex_lock(&lock);
        while (before == departures)
            pthread_cond_wait(&somebody_left, &lock);
        pthread_mutex_unlock(&lock);
    }
}

int main(int argc, char **argv) {
    unsigned long long port;
    if (argc != 2) {
        fputs("usage: threads PORT\n", stderr);
        return 2;
    }
    if (number_parse(argv[1], 0, 65535, &port) < 0)
        err(1, "%s", argv[1]);
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t length = sizeof own;
    int on = 1;
    own.sin_port = htons((in_port_t)port);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (listen(listener, 100) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (dprintf(1, "listening on 127.0.0.1:%hu\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    accept_all(listener);
}
