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
    struct deadline end; /* when ENDING */
    char name[NAME + 1]; /* empty at first */
    char *queue;
    size_t queued;
    pthread_cond_t news; /* for the thread that sends */
    struct client *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t somebody_left = PTHREAD_COND_INITIALIZER;
static unsigned long departures;
static struct client *everybody;

static void stop(int number) {
    (void)number;
    _exit(0);
}

/* From here to leave: call these with the lock. */
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
    pthread_cond_signal(&client->news);
}

static void tell(struct client *client, const char *text) {
    enqueue(client, text, strlen(text));
}

static void tell_others(const struct client *sender, const char *bytes,
                        size_t length) {
    for (struct client *one = everybody; one != NULL; one = one->next)
        if (one != sender && one->name[0] != '\0')
            enqueue(one, bytes, length);
}

static struct client *find(const char *name, size_t length) {
    struct client *one = everybody;
    while (one != NULL &&
           (one->name[0] == '\0' || strlen(one->name) != length ||
            memcmp(one->name, name, length) != 0))
        one = one->next;
    return one;
}

static void announce(const struct client *client, const char *event) {
    char text[NAME + 16];
    int length = snprintf(text, sizeof text, "%s %s\n", client->name, event);
    tell_others(client, text, (size_t)length);
}

static void take_name(struct client *client, const char *line, size_t length) {
    int is_good = length >= 1 && length <= NAME;
    for (size_t i = 0; is_good && i < length; i++) {
        char c = line[i];
        is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (!is_good || find(line, length) != NULL) {
        tell(client, "a name is 1 to 16 letters, digits, - and _, not taken\n");
        return;
    }
    memcpy(client->name, line, length);
    announce(client, "joined");
}

/* text has length bytes, and its newline behind them. */
static void say(struct client *from, struct client *to, const char *how,
                const char *text, size_t length) {
    char line[NAME + 16 + LINE];
    size_t head =
        (size_t)snprintf(line, sizeof line, "%s%s: ", from->name, how);
    memcpy(line + head, text, length + 1);
    if (to != NULL)
        enqueue(to, line, head + length + 1);
    else
        tell_others(from, line, head + length + 1);
}

/* name has length bytes: what is behind "/to ". */
static void whisper(struct client *client, const char *name, size_t length) {
    const char *blank = memchr(name, ' ', length);
    if (blank == NULL || blank == name || blank + 1 == name + length) {
        tell(client, "/to needs a name and a text\n");
        return;
    }
    size_t name_length = (size_t)(blank - name);
    struct client *to = find(name, name_length);
    if (to != NULL) {
        say(client, to, " (private)", blank + 1, length - name_length - 1);
        return;
    }
    tell(client, "nobody is called ");
    enqueue(client, name, name_length);
    tell(client, "\n");
}

static void take_line(struct client *client, const char *line, size_t length) {
    if (client->name[0] == '\0')
        take_name(client, line, length);
    else if (length == 3 && memcmp(line, "/to", 3) == 0)
        tell(client, "/to needs a name and a text\n");
    else if (length > 3 && memcmp(line, "/to ", 4) == 0)
        whisper(client, line + 4, length - 4);
    else
        say(client, NULL, "", line, length);
}

static void leave(struct client *client) {
    if (client->state == TALKING)
        client->state = ENDING;
    client->end = deadline_after(LINGER_MS);
    struct client **place = &everybody;
    while (*place != client)
        place = &(*place)->next;
    *place = client->next;
    if (client->name[0] != '\0')
        announce(client, "left");
    pthread_cond_signal(&client->news);
}

/* The second thread of a client. It looks 20 times in a second whether there is
 * still a reason to wait, but only while the client does not read. */
static void *send_queue(void *argument) {
    struct client *client = argument;
    pthread_mutex_lock(&lock);
    while (client->state != BROKEN) {
        if (client->state == ENDING &&
            (client->queued == 0 || deadline_left(client->end) == 0))
            break;
        if (client->queued == 0) {
            pthread_cond_wait(&client->news, &lock);
            continue;
        }
        ssize_t n = send(client->fd, client->queue, client->queued,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            client->queued -= (size_t)n;
            memmove(client->queue, client->queue + n, client->queued);
        } else if (errno == EAGAIN) {
            pthread_mutex_unlock(&lock);
            (void)deadline_wait(deadline_after(50), client->fd, POLLOUT);
            pthread_mutex_lock(&lock);
        } else {
            client->state = BROKEN;
        }
    }
    pthread_mutex_unlock(&lock);
    shutdown(client->fd, SHUT_RDWR); /* wakes the other one, if it waits */
    return NULL;
}

static void receive_lines(struct client *client) {
    char bytes[LINE];
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(client->fd, bytes + have, LINE - have, 0);
        if (n <= 0)
            return;
        have += (size_t)n;
        char *line = bytes;
        char *newline;
        pthread_mutex_lock(&lock);
        while ((newline = memchr(line, '\n', have)) != NULL &&
               client->state == TALKING) {
            take_line(client, line, (size_t)(newline - line));
            have -= (size_t)(newline + 1 - line);
            line = newline + 1;
        }
        int goes_on = client->state == TALKING && have < LINE;
        pthread_mutex_unlock(&lock);
        if (!goes_on)
            return;
        memmove(bytes, line, have);
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
    pthread_cond_destroy(&client->news);
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
    pthread_cond_init(&client->news, NULL);
    pthread_mutex_lock(&lock);
    client->next = everybody;
    everybody = client;
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
