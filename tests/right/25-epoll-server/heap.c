/*
 * A right answer with a heap: an array in which the client whose time is up
 * first is always at the front, and each client knows its place. Its unsent
 * bytes stay where they were received, in a buffer of the client's own.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 32768, MOST = 60000 };

struct client {
    int fd;
    int place;   /* in the heap */
    int64_t end; /* in nanoseconds */
    size_t begin;
    size_t length;
    char *bytes; /* NULL when nothing is unsent */
};

static struct client *heap[MOST];
static int clients;
static int64_t limit; /* in nanoseconds */
static int epoll;

static int64_t now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void put(struct client *client, int place) {
    heap[place] = client;
    client->place = place;
}

/* Moves a client to the place that its end deserves. */
static void settle(struct client *client) {
    int place = client->place;
    while (place > 0 && heap[(place - 1) / 2]->end > client->end) {
        put(heap[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    for (;;) {
        int below = 2 * place + 1;
        if (below + 1 < clients && heap[below + 1]->end < heap[below]->end)
            below++;
        if (below >= clients || heap[below]->end >= client->end)
            break;
        put(heap[below], place);
        place = below;
    }
    put(client, place);
}

static void begin_anew(struct client *client) {
    client->end = now() + limit;
    settle(client);
}

static void remove_client(struct client *client) {
    clients--;
    struct client *last = heap[clients];
    if (last != client) {
        last->place = client->place;
        settle(last);
    }
    close(client->fd);
    free(client->bytes);
    free(client);
}

static void add_client(int fd) {
    struct client *client = calloc(1, sizeof *client);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
    if (client == NULL || clients == MOST ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(client);
        close(fd);
        return;
    }
    client->fd = fd;
    put(client, clients);
    clients++;
    begin_anew(client);
}

static int wait_for(struct client *client, uint32_t events) {
    struct epoll_event event = {.events = events, .data = {.ptr = client}};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
}

/* Returns -1 if the client is to be closed. */
static int receive(struct client *client) {
    char bytes[ROOM];
    ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got == 0)
        return -1;
    begin_anew(client);
    ssize_t sent = send(client->fd, bytes, (size_t)got, MSG_NOSIGNAL);
    if (sent == got)
        return 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return -1;
    if (sent < 0)
        sent = 0;
    client->begin = 0;
    client->length = (size_t)(got - sent);
    client->bytes = malloc(client->length);
    if (client->bytes == NULL)
        return -1;
    memcpy(client->bytes, bytes + sent, client->length);
    return wait_for(client, EPOLLOUT);
}

static int send_rest(struct client *client) {
    ssize_t sent = send(client->fd, client->bytes + client->begin,
                        client->length - client->begin, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    client->begin += (size_t)sent;
    if (client->begin < client->length)
        return 0;
    free(client->bytes);
    client->bytes = NULL;
    return wait_for(client, EPOLLIN);
}

static void accept_one(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        add_client(fd);
    else if (errno == EMFILE || errno == ENFILE)
        usleep(10000);
}

/* In milliseconds, for epoll_wait: rounded up. */
static int time_to_sleep(void) {
    if (clients == 0)
        return -1;
    /* clang-tidy cannot know that a client that was removed is in no place.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    int64_t left = heap[0]->end - now();
    return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

static _Noreturn void serve(int listener) {
    struct epoll_event events[64];
    for (;;) {
        int count = epoll_wait(epoll, events, 64, time_to_sleep());
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            int result = 0;
            if (client == NULL)
                accept_one(listener);
            else if (client->bytes != NULL)
                result = send_rest(client);
            else
                result = receive(client);
            if (result < 0)
                remove_client(client);
        }
        while (time_to_sleep() == 0)
            remove_client(heap[0]);
    }
}

static int open_listener(in_port_t port) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t length = sizeof name;
    const int yes = 1;
    name.sin_addr.s_addr = inet_addr("127.0.0.1");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&name, length) != 0 ||
        listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &length) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        err(1, "listener");
    printf("listening on 127.0.0.1:%d\n", ntohs(name.sin_port));
    if (fflush(stdout) != 0)
        err(1, "output");
    return fd;
}

int main(int argc, char **argv) {
    char *end;
    struct rlimit files;
    if (argc != 4 || strcmp(argv[1], "-i") != 0) {
        fputs("usage: heap -i SECONDS PORT\n", stderr);
        return 2;
    }
    double seconds = strtod(argv[2], &end);
    if (strspn(argv[2], "0123456789.") != strlen(argv[2]) || *end != '\0' ||
        !isfinite(seconds) || seconds <= 0 || seconds > 86400)
        errx(1, "%s are no seconds", argv[2]);
    limit = (int64_t)(seconds * 1e9);
    unsigned long port = strtoul(argv[3], &end, 10);
    if (strspn(argv[3], "0123456789") != strlen(argv[3]) || end == argv[3] ||
        port > 65535)
        errx(1, "%s is no port", argv[3]);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");
    serve(open_listener((in_port_t)port));
}
