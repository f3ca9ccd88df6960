/*
 * A right answer with a heap: an array in which the client whose time is up
 * first is always at the front, and each client knows its place. Its unsent
 * bytes stay where they were received, in a buffer of the client's own.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
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

enum { ROOM = 32768, MOST = 60000, EVENTS = 64 };

static const int64_t ns_per_second = 1000000000;
static const int64_t ns_per_ms = 1000000;

struct client {
    int fd;
    int place;   /* in the heap */
    int64_t end; /* when its time is up, in nanoseconds */
    /* What was received, from the first byte that send did not take at once, or
     * NULL if there is nothing to send. */
    char *bytes;
    size_t begin; /* the first unsent byte */
    size_t length;
};

static struct client *heap[MOST];
static int clients;
static int64_t limit; /* in nanoseconds */
static int epoll;

static int64_t now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * ns_per_second + time.tv_nsec;
}

static void put(struct client *client, int place) {
    heap[place] = client;
    client->place = place;
}

/* The heap is a tree: below place P are the places 2P + 1 and 2P + 2. No client
 * ends before the client above it, so the client at place 0 ends first. */
static int place_above(int place) {
    return (place - 1) / 2;
}

/* Returns, of the two places below, the one whose client ends first. If there
 * is no client below, it returns a place behind the last client. */
static int place_below(int place) {
    int left = 2 * place + 1;
    int right = left + 1;
    if (right < clients && heap[right]->end < heap[left]->end)
        return right;
    return left;
}

/* Moves a client up or down, to where it belongs since its end has changed. The
 * clients on its way move the other way by one place. */
static void move_to_place(struct client *client) {
    int place = client->place;
    while (place > 0 && heap[place_above(place)]->end > client->end) {
        put(heap[place_above(place)], place);
        place = place_above(place);
    }
    int below = place_below(place);
    while (below < clients && heap[below]->end < client->end) {
        put(heap[below], place);
        place = below;
        below = place_below(place);
    }
    put(client, place);
}

static void renew_time(struct client *client) {
    client->end = now() + limit;
    move_to_place(client);
}

static void remove_client(struct client *client) {
    clients--;
    struct client *last = heap[clients];
    if (last != client) {
        /* The last client takes the free place, and moves from there. */
        last->place = client->place;
        move_to_place(last);
    }
    close(client->fd);
    free(client->bytes);
    free(client);
}

static int watch(int operation, struct client *client, uint32_t events) {
    struct epoll_event event = {.events = events, .data = {.ptr = client}};
    return epoll_ctl(epoll, operation, client->fd, &event);
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

static void add_client(int fd) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || clients == MOST) {
        free(client);
        close(fd);
        return;
    }
    client->fd = fd;
    if (watch(EPOLL_CTL_ADD, client, EPOLLIN) != 0) {
        free(client);
        close(fd);
        return;
    }
    put(client, clients);
    clients++;
    renew_time(client);
}

/* Both functions return 0, or -1 if the client is to be closed. */
static int receive(struct client *client) {
    char bytes[ROOM];
    ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got < 0 && is_worth_another_try(errno))
        return 0;
    if (got <= 0) /* an error, or the end */
        return -1;
    renew_time(client);
    ssize_t sent = send(client->fd, bytes, (size_t)got, MSG_NOSIGNAL);
    if (sent == got)
        return 0;
    if (sent < 0 && !is_worth_another_try(errno))
        return -1;
    if (sent < 0)
        sent = 0; /* there was no room, so all bytes are unsent */
    client->begin = 0;
    client->length = (size_t)(got - sent);
    client->bytes = malloc(client->length);
    if (client->bytes == NULL)
        return -1;
    memcpy(client->bytes, bytes + sent, client->length);
    return watch(EPOLL_CTL_MOD, client, EPOLLOUT);
}

static int send_unsent(struct client *client) {
    ssize_t sent = send(client->fd, client->bytes + client->begin,
                        client->length - client->begin, MSG_NOSIGNAL);
    if (sent < 0 && is_worth_another_try(errno))
        return 0;
    if (sent < 0)
        return -1;
    client->begin += (size_t)sent;
    if (client->begin < client->length)
        return 0;
    free(client->bytes);
    client->bytes = NULL;
    return watch(EPOLL_CTL_MOD, client, EPOLLIN);
}

static void accept_one(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        add_client(fd);
    else if (errno == EMFILE || errno == ENFILE)
        usleep(10000); /* or the loop would use a whole processor */
}

/* Returns the milliseconds until the first client's time is up, rounded up, or
 * -1 if there is no client. */
static int time_to_sleep(void) {
    if (clients == 0)
        return -1;
    /* clang-tidy cannot know that a client that was removed is in no place.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    int64_t left = heap[0]->end - now();
    if (left <= 0)
        return 0;
    return (int)((left + ns_per_ms - 1) / ns_per_ms);
}

static _Noreturn void serve(int listener) {
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, time_to_sleep());
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            int result = 0;
            if (client == NULL)
                accept_one(listener);
            else if (client->bytes != NULL)
                result = send_unsent(client);
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
    if (fd < 0)
        err(1, "listener");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
        err(1, "listener");
    if (bind(fd, (struct sockaddr *)&name, length) != 0)
        err(1, "listener");
    if (listen(fd, 4096) != 0)
        err(1, "listener");
    if (getsockname(fd, (struct sockaddr *)&name, &length) != 0)
        err(1, "listener");
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        err(1, "listener");
    printf("listening on 127.0.0.1:%d\n", ntohs(name.sin_port));
    if (fflush(stdout) != 0)
        err(1, "output");
    return fd;
}

static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    /* strtod reads signs, exponents and "inf" too. */
    int is_number = strspn(text, "0123456789.") == strlen(text) && *end == '\0';
    if (!is_number || seconds <= 0 || seconds > 86400)
        errx(1, "%s are no seconds", text);
    return seconds;
}

static in_port_t parse_port(const char *text) {
    unsigned long port = strtoul(text, NULL, 10);
    int is_number = *text != '\0' && strspn(text, "0123456789") == strlen(text);
    if (!is_number || port > 65535)
        errx(1, "%s is no port", text);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    struct rlimit files;
    if (argc != 4 || strcmp(argv[1], "-i") != 0) {
        fputs("usage: heap -i SECONDS PORT\n", stderr);
        return 2;
    }
    limit = (int64_t)(parse_seconds(argv[2]) * (double)ns_per_second);
    in_port_t port = parse_port(argv[3]);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");
    serve(open_listener(port));
}
