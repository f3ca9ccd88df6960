/* crowd: many clients of one echo server, in one thread. */
#define _GNU_SOURCE

#include "crowd.h"

#include "deadline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 18 };

static bool is_loopback(const struct addrinfo *to) {
    const struct sockaddr_in *peer = (const void *)to->ai_addr;
    return to->ai_family == AF_INET &&
           ntohl(peer->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* IP_BIND_ADDRESS_NO_PORT: the port is chosen when we connect (ip(7)). Chosen
 * now, it would have to be one that nobody has, towards no server at all. */
static int choose_source(int fd, size_t number, const char **call) {
    const int on = 1;
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr =
            htonl(INADDR_LOOPBACK + (in_addr_t)(number % CROWD_SOURCES)),
    };
    *call = "setsockopt IP_BIND_ADDRESS_NO_PORT";
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0)
        return -1;
    *call = "bind";
    return bind(fd, (const struct sockaddr *)&own, sizeof own);
}

/* Who only connects can fill the queue of a server, and waits a second until
 * the kernel knocks again. One byte there and back, and there is room. */
static int greet(struct deadline deadline, int fd, const char **call) {
    size_t sent;
    char byte;
    *call = "send first byte";
    if (deadline_send(deadline, fd, "?", 1, &sent) < 0)
        return -1;
    *call = "recv first byte";
    ssize_t got = deadline_recv(deadline, fd, &byte, 1);
    if (got == 1 && byte == '?')
        return 0;
    if (got >= 0)
        errno = got == 0 ? ENODATA : EPROTO;
    return -1;
}

/* Returns a socket, or -1, errno, and the call that failed. */
static int dial(const struct addrinfo *to, size_t number, int milliseconds,
                const char **call) {
    struct deadline deadline = deadline_after(milliseconds);
    const int on = 1;
    *call = "socket";
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (is_loopback(to) && choose_source(fd, number, call) < 0)
        goto out;
    *call = "connect";
    if (deadline_connect(deadline, fd, to->ai_addr, to->ai_addrlen) < 0)
        goto out;
    *call = "setsockopt TCP_NODELAY";
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        goto out;
    if (greet(deadline, fd, call) == 0)
        return fd;
out:;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* A descriptor for each client, and as many as this system lets us have. */
static int raise_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -1;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/* Requests are slices of these bytes, each a byte further on than the one
 * before: those that are on their way are all different. The bytes are the same
 * in each run. (xorshift: Marsaglia, Journal of Statistical Software 8, 14) */
static void fill(char *bytes, size_t length) {
    uint32_t state = 2463534242;
    for (size_t i = 0; i < length; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[i] = (char)(state >> 11 & 0xff);
    }
}

static void release(struct crowd *crowd, struct crowd_client *client) {
    size_t last = crowd->first_free + crowd->free_count++;
    crowd->free[last % crowd->count] = client;
}

static int watch(const struct crowd *crowd, int operation, uint32_t events,
                 struct crowd_client *client) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    return epoll_ctl(crowd->epoll, operation, client->fd, &event);
}

static int prepare(struct crowd *crowd, const char **call) {
    *call = "malloc";
    crowd->clients = calloc(crowd->count, sizeof *crowd->clients);
    crowd->free = calloc(crowd->count, sizeof(struct crowd_client *));
    crowd->bytes = malloc(crowd->size + CROWD_SLICES);
    if (crowd->clients == NULL || crowd->free == NULL || crowd->bytes == NULL)
        return -1;
    fill(crowd->bytes, crowd->size + CROWD_SLICES);
    *call = "setrlimit";
    if (raise_limit() < 0)
        return -1;
    *call = "epoll_create1";
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    return crowd->epoll;
}

/* Connects all that are not connected yet. */
static int connect_all(struct crowd *crowd, const struct addrinfo *to,
                       int milliseconds, const char **call) {
    while (crowd->alive < crowd->count) {
        struct crowd_client *client = &crowd->clients[crowd->alive];
        client->fd = dial(to, crowd->alive, milliseconds, call);
        if (client->fd < 0)
            return -1;
        crowd->alive++;
        release(crowd, client);
        *call = "epoll_ctl";
        if (watch(crowd, EPOLL_CTL_ADD, EPOLLIN, client) < 0)
            return -1;
    }
    return 0;
}

int crowd_open(struct crowd *crowd, const struct addrinfo *list, size_t count,
               size_t size, int milliseconds, const char **call) {
    *crowd = (struct crowd){.count = count, .size = size, .epoll = -1};
    int result = prepare(crowd, call);
    /* The first address that takes one takes all. */
    if (result >= 0)
        do
            result = connect_all(crowd, list, milliseconds, call);
        while (result < 0 && crowd->alive == 0 &&
               (list = list->ai_next) != NULL);
    if (result == 0)
        return 0;
    int error = errno;
    crowd_close(crowd);
    errno = error;
    return -1;
}

/* epoll tells of a connection that we end ourselves as of one that the other
 * side has ended. */
static void fail(struct crowd_client *client, const char *call) {
    client->error = errno;
    client->failed = call;
    (void)shutdown(client->fd, SHUT_RDWR); /* has none to end: also told */
}

/* What is left of a request, or as much as fits. */
static void send_rest(struct crowd *crowd, struct crowd_client *client) {
    while (client->sent < crowd->size) {
        ssize_t sent = send(client->fd, client->request + client->sent,
                            crowd->size - client->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0 && errno != EINTR) {
            fail(client, "send");
            return;
        }
        client->sent += sent < 0 ? 0 : (size_t)sent;
    }
    bool blocked = client->sent < crowd->size;
    if (blocked != client->blocked &&
        watch(crowd, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN,
              client) < 0)
        fail(client, "epoll_ctl");
    client->blocked = blocked;
}

struct crowd_client *crowd_begin(struct crowd *crowd) {
    struct crowd_client *client;
    do {
        if (crowd->free_count == 0)
            return NULL;
        client = crowd->free[crowd->first_free];
        crowd->first_free = (crowd->first_free + 1) % crowd->count;
        crowd->free_count--;
    } while (client->fd < 0 || client->failed != NULL);
    client->request = crowd->bytes + crowd->slice;
    crowd->slice = (crowd->slice + 1) % CROWD_SLICES;
    client->sent = client->received = 0;
    client->waits = true;
    crowd->waiting++;
    send_rest(crowd, client);
    return client;
}

static enum crowd_news lose(struct crowd *crowd, struct crowd_client *client,
                            const char *call, const char *reason) {
    (void)snprintf(crowd->why, sizeof crowd->why, "%s: %s", call, reason);
    (void)close(client->fd); /* takes it from epoll, too */
    client->fd = -1;
    crowd->alive--;
    crowd->waiting -= client->waits;
    client->waits = false;
    return CROWD_LOST;
}

/* A reply, or a part of it, which cannot be ahead of what was sent. */
static enum crowd_news receive(struct crowd *crowd,
                               struct crowd_client *client) {
    static char piece[PIECE_BYTES];
    if (client->failed != NULL)
        return lose(crowd, client, client->failed, strerror(client->error));
    ssize_t got = recv(client->fd, piece, sizeof piece, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return CROWD_NOTHING;
    if (got < 0)
        return lose(crowd, client, "recv", strerror(errno));
    if (got == 0)
        return lose(crowd, client, "recv", "closed by the server");
    if ((size_t)got > client->sent - client->received ||
        memcmp(piece, client->request + client->received, (size_t)got) != 0)
        return lose(crowd, client, "recv", "these bytes were not sent");
    client->received += (size_t)got;
    if (client->received < crowd->size)
        return CROWD_NOTHING;
    client->waits = false;
    crowd->waiting--;
    release(crowd, client);
    return CROWD_REPLY;
}

/* Events of a client that was lost since they were told are passed over. */
static enum crowd_news handle(struct crowd *crowd, uint32_t events,
                              struct crowd_client *client) {
    if (client == NULL)
        return CROWD_OTHER;
    if (client->fd >= 0 && client->blocked && (events & EPOLLOUT) != 0)
        send_rest(crowd, client);
    if (client->fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
        return receive(crowd, client);
    return CROWD_NOTHING;
}

enum crowd_news crowd_wait(struct crowd *crowd, int milliseconds,
                           struct crowd_client **client) {
    for (;;) {
        while (crowd->told < crowd->ready) {
            const struct epoll_event *event = &crowd->events[crowd->told++];
            *client = event->data.ptr;
            enum crowd_news news = handle(crowd, event->events, *client);
            if (news != CROWD_NOTHING)
                return news;
        }
        crowd->told = crowd->ready = 0;
        int ready =
            epoll_wait(crowd->epoll, crowd->events, CROWD_EVENTS, milliseconds);
        if (ready < 0 && errno != EINTR)
            return CROWD_ERROR;
        if (ready <= 0)
            return CROWD_NOTHING;
        crowd->ready = ready;
    }
}

void crowd_close(struct crowd *crowd) {
    for (size_t i = 0; crowd->clients != NULL && i < crowd->count; i++)
        if (crowd->clients[i].fd > 0)
            (void)close(crowd->clients[i].fd);
    if (crowd->epoll >= 0)
        (void)close(crowd->epoll);
    free(crowd->clients);
    free(crowd->free);
    free(crowd->bytes);
    *crowd = (struct crowd){.epoll = -1};
}
