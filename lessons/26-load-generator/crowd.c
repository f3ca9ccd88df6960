/* crowd: many clients of one server, in one thread. */
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

enum {
    PIECE_BYTES = 256 * 1024, /* the most that one recv returns */
    FIRST_PIECE_BYTES = 64 * 1024,
};

static int is_loopback(const struct addrinfo *to) {
    if (to->ai_family != AF_INET)
        return 0;
    const struct sockaddr_in *peer = (const void *)to->ai_addr;
    in_addr_t first_byte = ntohl(peer->sin_addr.s_addr) >> 24;
    return first_byte == IN_LOOPBACKNET; /* 127 */
}

/* Binds the client with this number to one of our addresses, but to no port.
 * With IP_BIND_ADDRESS_NO_PORT, the kernel chooses the port in connect (ip(7)).
 * If bind chose it, it would have to be a port that no other client of ours
 * has, whatever server that client is connected to. */
static int bind_source(int fd, size_t number, const char **call) {
    const int on = 1;
    in_addr_t address = INADDR_LOOPBACK + (in_addr_t)(number % CROWD_SOURCES);
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(address),
    };
    *call = "setsockopt IP_BIND_ADDRESS_NO_PORT";
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0)
        return -1;
    *call = "bind";
    return bind(fd, (const struct sockaddr *)&own, sizeof own);
}

/* Sends one byte and receives it back. When the byte is back, the server has
 * accepted this client. Without this, our clients could fill the server's
 * queue. Then the kernel would ignore the next client, which tries again only
 * after a second. What is wrong with the answer is in crowd->why. */
static int exchange_byte(struct crowd *crowd, struct deadline deadline, int fd,
                         const char **call) {
    size_t sent;
    char byte;
    *call = "send first byte";
    if (deadline_send(deadline, fd, "?", 1, &sent) < 0)
        return -1;
    *call = "recv first byte";
    ssize_t received = deadline_recv(deadline, fd, &byte, 1);
    if (received < 0)
        return -1;
    if (received == 0) {
        (void)snprintf(crowd->why, sizeof crowd->why, "closed by the server");
        return -1;
    }
    if (byte != '?') {
        (void)snprintf(crowd->why, sizeof crowd->why,
                       "this byte was not sent, so this is no echo server");
        return -1;
    }
    return 0;
}

/* Remembers that the server has replied with this status. */
static void set_status(struct crowd *crowd, unsigned status) {
    (void)snprintf(crowd->why, sizeof crowd->why, "status %u", status);
}

/* A status of 2xx means success: RFC 9110, section 15.3. */
static int is_success(const struct response *response) {
    return response->status / 100 == 2;
}

/* Receives the first reply. If the reason for a failure is not in errno, it is
 * in crowd->why. */
static int receive_first_reply(struct crowd *crowd, struct crowd_client *client,
                               struct deadline deadline) {
    static char piece[FIRST_PIECE_BYTES];
    enum response_result result = RESPONSE_UNFINISHED;
    const char *flaw;
    response_begin(client->response);
    while (result == RESPONSE_UNFINISHED) {
        ssize_t received =
            deadline_recv(deadline, client->fd, piece, sizeof piece);
        if (received < 0)
            return -1;
        if (received == 0) {
            (void)snprintf(crowd->why, sizeof crowd->why,
                           "closed by the server");
            return -1;
        }
        result =
            response_read(client->response, piece, (size_t)received, &flaw);
    }
    if (result == RESPONSE_BAD) {
        (void)snprintf(crowd->why, sizeof crowd->why, "%s", flaw);
        return -1;
    }
    if (!is_success(client->response)) {
        set_status(crowd, client->response->status);
        return -1;
    }
    return 0;
}

/* The same as exchange_byte, for a web server. It says nothing to one byte, so
 * we send a whole request. */
static int exchange_request(struct crowd *crowd, struct crowd_client *client,
                            struct deadline deadline, const char **call) {
    size_t sent;
    *call = "send first request";
    if (deadline_send(deadline, client->fd, crowd->text, crowd->size, &sent) <
        0)
        return -1;
    *call = "recv first reply";
    return receive_first_reply(crowd, client, deadline);
}

/* Connects the client's socket. The client is the next one of the crowd. */
static int set_up(struct crowd *crowd, struct crowd_client *client,
                  const struct addrinfo *to, int milliseconds,
                  const char **call) {
    struct deadline deadline = deadline_after(milliseconds);
    const int on = 1;
    if (is_loopback(to) && bind_source(client->fd, crowd->alive, call) < 0)
        return -1;
    *call = "connect";
    if (deadline_connect(deadline, client->fd, to->ai_addr, to->ai_addrlen) < 0)
        return -1;
    *call = "setsockopt TCP_NODELAY";
    if (setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -1;
    if (crowd->secure.context == NULL && crowd->responses == NULL)
        return exchange_byte(crowd, deadline, client->fd, call);
    if (crowd->secure.context == NULL)
        return exchange_request(crowd, client, deadline, call);
    *call = "handshake";
    client->ssl =
        secure_connect(&crowd->secure, client->fd, deadline, crowd->why);
    if (client->ssl == NULL)
        return -1;
    return 0;
}

/* Gives the client a connection. Otherwise it returns -1, sets errno, and *call
 * is the call that failed. */
static int dial(struct crowd *crowd, struct crowd_client *client,
                const struct addrinfo *to, int milliseconds,
                const char **call) {
    crowd->why[0] = '\0'; /* nothing of an address that we tried before */
    *call = "socket";
    client->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return -1;
    if (set_up(crowd, client, to, milliseconds, call) < 0) {
        int error = errno;
        (void)close(client->fd); /* the error that counts is the one before */
        client->fd = -1;
        errno = error;
        return -1;
    }
    return 0;
}

/* Each client needs a descriptor. So we take as many as this system lets us
 * have. */
static int raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -1;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/* Fills the text with random bytes, which are the same in each run. The
 * generator is xorshift: Marsaglia, Journal of Statistical Software 8, 14. The
 * seed and the three shifts are those of the article. Of each state we use
 * eight bits from the middle. */
static void fill_with_random(char *text, size_t length) {
    uint32_t state = 2463534242;
    for (size_t i = 0; i < length; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        text[i] = (char)(state >> 11 & 0xff);
    }
}

/* Adds the client at the end of the ring. */
static void set_free(struct crowd *crowd, struct crowd_client *client) {
    size_t place = (crowd->first_free + crowd->free_count) % crowd->count;
    client->state = CROWD_FREE;
    crowd->free[place] = client;
    crowd->free_count++;
}

/* Takes the first client out of the ring, or returns NULL if the ring is empty.
 * The client may have been lost while it was free. */
static struct crowd_client *take_free(struct crowd *crowd) {
    if (crowd->free_count == 0)
        return NULL;
    struct crowd_client *client = crowd->free[crowd->first_free];
    crowd->first_free = (crowd->first_free + 1) % crowd->count;
    crowd->free_count--;
    return client;
}

static int watch(const struct crowd *crowd, int operation, uint32_t events,
                 struct crowd_client *client) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    return epoll_ctl(crowd->epoll, operation, client->fd, &event);
}

/* Makes the text of the requests, and what is needed for the replies. */
static int prepare_requests(struct crowd *crowd, const char *request) {
    if (request != NULL) {
        crowd->responses = calloc(crowd->count, sizeof *crowd->responses);
        if (crowd->responses == NULL)
            return -1;
        crowd->text = malloc(crowd->size);
        if (crowd->text == NULL)
            return -1;
        memcpy(crowd->text, request, crowd->size);
        return 0;
    }
    size_t text_bytes = crowd->size + CROWD_SLICES;
    crowd->text = malloc(text_bytes);
    if (crowd->text == NULL)
        return -1;
    fill_with_random(crowd->text, text_bytes);
    return 0;
}

static int prepare(struct crowd *crowd, const char *request,
                   const char **call) {
    *call = "malloc";
    crowd->clients = calloc(crowd->count, sizeof *crowd->clients);
    if (crowd->clients == NULL)
        return -1;
    for (size_t i = 0; i < crowd->count; i++)
        crowd->clients[i].fd = -1; /* not connected yet */
    crowd->free = calloc(crowd->count, sizeof(struct crowd_client *));
    if (crowd->free == NULL)
        return -1;
    if (prepare_requests(crowd, request) < 0)
        return -1;
    *call = "setrlimit";
    if (raise_descriptor_limit() < 0)
        return -1;
    *call = "epoll_create1";
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (crowd->epoll < 0)
        return -1;
    return 0;
}

/* Connects the next client. */
static int connect_client(struct crowd *crowd, const struct addrinfo *to,
                          int milliseconds, const char **call) {
    struct crowd_client *client = &crowd->clients[crowd->alive];
    if (crowd->responses != NULL)
        client->response = &crowd->responses[crowd->alive];
    if (dial(crowd, client, to, milliseconds, call) < 0)
        return -1;
    crowd->alive++;
    set_free(crowd, client);
    *call = "epoll_ctl";
    return watch(crowd, EPOLL_CTL_ADD, EPOLLIN, client);
}

/* Connects all clients to the first address that accepts one of them. */
static int connect_all(struct crowd *crowd, const struct addrinfo *list,
                       int milliseconds, const char **call) {
    const struct addrinfo *to = list;
    while (crowd->alive < crowd->count) {
        int result = connect_client(crowd, to, milliseconds, call);
        if (result < 0) {
            /* Once a client is connected, we stay with its address. */
            if (crowd->alive > 0 || to->ai_next == NULL)
                return -1;
            to = to->ai_next;
        }
    }
    return 0;
}

int crowd_open(struct crowd *crowd, const struct addrinfo *list, size_t count,
               const char *request, size_t size, int milliseconds,
               const struct secure *secure, const char **call) {
    *crowd = (struct crowd){
        .count = count,
        .size = size,
        .epoll = -1,
        .secure = *secure,
    };
    int result = prepare(crowd, request, call);
    if (result == 0)
        result = connect_all(crowd, list, milliseconds, call);
    if (result < 0) {
        int error = errno; /* crowd_close may change it */
        crowd_close(crowd);
        errno = error;
    }
    return result;
}

static ssize_t send_bytes(const struct crowd_client *client, const char *bytes,
                          size_t length) {
    if (client->ssl != NULL)
        return secure_send(client->ssl, bytes, length);
    return send(client->fd, bytes, length, MSG_NOSIGNAL);
}

static ssize_t receive_bytes(const struct crowd_client *client, char *bytes,
                             size_t length) {
    if (client->ssl != NULL)
        return secure_recv(client->ssl, bytes, length);
    return recv(client->fd, bytes, length, 0);
}

static bool has_more(const struct crowd_client *client) {
    return client->ssl != NULL && secure_has_more(client->ssl);
}

/* Remembers that this call failed, and ends the connection. The next epoll_wait
 * reports the end of a connection, and then crowd_wait tells its caller. */
static void mark_failed(struct crowd_client *client, const char *call) {
    client->error = errno;
    client->failed = call;
    client->state = CROWD_FAILED;
    /* If this fails, there is no connection, and epoll reports that as well. */
    (void)shutdown(client->fd, SHUT_RDWR);
}

/* Sets the state to CROWD_SENDING or CROWD_AWAITING. While a client is SENDING,
 * epoll also waits for room to send (EPOLLOUT). Most requests fit at once. Then
 * the state does not change, and there is no call. */
static void set_sending_state(struct crowd *crowd, struct crowd_client *client,
                              enum crowd_state state) {
    uint32_t events = EPOLLIN;
    if (client->state == state)
        return;
    client->state = state;
    if (state == CROWD_SENDING)
        events = EPOLLIN | EPOLLOUT;
    if (watch(crowd, EPOLL_CTL_MOD, events, client) < 0)
        mark_failed(client, "epoll_ctl");
}

/* Sends the rest of the request, or as much of it as the kernel takes. */
static void send_rest(struct crowd *crowd, struct crowd_client *client) {
    while (client->sent < crowd->size) {
        ssize_t sent = send_bytes(client, client->request + client->sent,
                                  crowd->size - client->sent);
        if (sent >= 0) {
            client->sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            set_sending_state(crowd, client, CROWD_SENDING);
            return;
        } else if (errno != EINTR) {
            mark_failed(client, "send");
            return;
        }
    }
    set_sending_state(crowd, client, CROWD_AWAITING);
}

struct crowd_client *crowd_begin(struct crowd *crowd) {
    struct crowd_client *client = take_free(crowd);
    while (client != NULL && client->state == CROWD_LOST)
        client = take_free(crowd);
    if (client == NULL)
        return NULL;
    client->request = crowd->text + crowd->next_slice;
    client->sent = 0;
    client->received = 0;
    if (client->response != NULL) {
        response_begin(client->response);
    } else {
        /* Each request of an echo begins one byte further on in the text than
         * the one before. So all requests on their way are different. */
        crowd->next_slice = (crowd->next_slice + 1) % CROWD_SLICES;
    }
    client->state = CROWD_AWAITING;
    crowd->busy++;
    send_rest(crowd, client);
    return client;
}

int crowd_is_busy(const struct crowd_client *client) {
    return client->state != CROWD_FREE && client->state != CROWD_LOST;
}

static enum crowd_news lose(struct crowd *crowd, struct crowd_client *client,
                            const char *call, const char *reason) {
    (void)snprintf(crowd->why, sizeof crowd->why, "%s: %s", call, reason);
    secure_end(client->ssl, false);
    client->ssl = NULL;
    (void)close(client->fd); /* this also takes it off epoll's list */
    crowd->alive--;
    if (crowd_is_busy(client))
        crowd->busy--;
    client->state = CROWD_LOST;
    return CROWD_LOSS;
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Compares a piece of an echo. Each byte must be the next one of the request,
 * and one that we have already sent. */
static enum crowd_news handle_echo(struct crowd *crowd,
                                   struct crowd_client *client,
                                   const char *piece, size_t length) {
    size_t outstanding = client->sent - client->received;
    const char *expected = client->request + client->received;
    if (length > outstanding || memcmp(piece, expected, length) != 0)
        return lose(crowd, client, "recv", "these bytes were not sent");
    client->received += length;
    if (client->received < crowd->size)
        return CROWD_NOTHING;
    crowd->busy--;
    set_free(crowd, client);
    return CROWD_REPLY;
}

/* Reads a piece of a web server's reply. */
static enum crowd_news handle_response(struct crowd *crowd,
                                       struct crowd_client *client,
                                       const char *piece, size_t length) {
    const char *flaw;
    if (client->state != CROWD_AWAITING)
        return lose(crowd, client, "recv", "a reply without a request");
    switch (response_read(client->response, piece, length, &flaw)) {
    case RESPONSE_UNFINISHED:
        return CROWD_NOTHING;
    case RESPONSE_BAD:
        return lose(crowd, client, "recv", flaw);
    case RESPONSE_WHOLE:
        break;
    }
    crowd->busy--;
    set_free(crowd, client);
    if (is_success(client->response))
        return CROWD_REPLY;
    set_status(crowd, client->response->status);
    return CROWD_REFUSAL;
}

/* Says whether a part of a reply has come, and not yet all of it. */
static int is_amid_reply(const struct crowd_client *client) {
    const struct response *response = client->response;
    if (client->state != CROWD_AWAITING)
        return 0;
    return response->part != RESPONSE_STATUS_LINE || response->line_length > 0;
}

/* Handles the result of recv: so many bytes of a piece of a reply, the end, or
 * an error. */
static enum crowd_news handle_piece(struct crowd *crowd,
                                    struct crowd_client *client,
                                    const char *piece, ssize_t count) {
    /* Did the last whole reply say that the server closes? If our request has
     * crossed the server's end, the connection is reset. */
    if (count <= 0 && client->response != NULL && client->response->closes &&
        !is_amid_reply(client))
        return lose(crowd, client, "recv",
                    "the server closes the connection after each reply");
    if (count < 0)
        return lose(crowd, client, "recv", strerror(errno));
    if (count == 0)
        return lose(crowd, client, "recv", "closed by the server");
    if (client->response != NULL)
        return handle_response(crowd, client, piece, (size_t)count);
    return handle_echo(crowd, client, piece, (size_t)count);
}

/* Receives a reply, or a part of it. What OpenSSL has already read from the
 * socket belongs to that: epoll would not report it. */
static enum crowd_news receive(struct crowd *crowd,
                               struct crowd_client *client) {
    static char piece[PIECE_BYTES];
    for (;;) {
        ssize_t count = receive_bytes(client, piece, sizeof piece);
        if (count < 0 && is_worth_another_try(errno))
            return CROWD_NOTHING;
        enum crowd_news news = handle_piece(crowd, client, piece, count);
        if (news != CROWD_NOTHING || !has_more(client))
            return news;
    }
}

/* Handles what epoll_wait has reported of this client. */
static enum crowd_news handle(struct crowd *crowd, uint32_t events,
                              struct crowd_client *client) {
    const uint32_t input_or_end = EPOLLIN | EPOLLERR | EPOLLHUP;
    if (client == NULL)
        return CROWD_OTHER;
    if (client->state == CROWD_SENDING && (events & EPOLLOUT) != 0)
        send_rest(crowd, client);
    if (client->state == CROWD_FAILED)
        return lose(crowd, client, client->failed, strerror(client->error));
    /* After an error or an end, recv says what has happened. */
    if ((events & input_or_end) != 0)
        return receive(crowd, client);
    return CROWD_NOTHING;
}

/* Handles the events that epoll_wait has reported, until one of them is news
 * for the caller. The events behind that one stay for the next call. */
static enum crowd_news handle_events(struct crowd *crowd,
                                     struct crowd_client **client) {
    while (crowd->handled < crowd->event_count) {
        const struct epoll_event *event = &crowd->events[crowd->handled];
        crowd->handled++;
        *client = event->data.ptr;
        enum crowd_news news = handle(crowd, event->events, *client);
        if (news != CROWD_NOTHING)
            return news;
    }
    return CROWD_NOTHING;
}

enum crowd_news crowd_wait(struct crowd *crowd, int milliseconds,
                           struct crowd_client **client) {
    enum crowd_news news = handle_events(crowd, client);
    if (news != CROWD_NOTHING)
        return news;
    int count =
        epoll_wait(crowd->epoll, crowd->events, CROWD_EVENTS, milliseconds);
    crowd->handled = 0;
    crowd->event_count = 0;
    if (count < 0 && errno != EINTR)
        return CROWD_ERROR;
    if (count <= 0)
        return CROWD_NOTHING;
    crowd->event_count = count;
    /* If only parts of replies have come, there is no news. But we do not wait
     * again: parts may come for ever, and the caller has a limit of time. */
    return handle_events(crowd, client);
}

static void close_clients(struct crowd *crowd) {
    if (crowd->clients == NULL)
        return;
    for (size_t i = 0; i < crowd->count; i++) {
        struct crowd_client *client = &crowd->clients[i];
        int was_connected = client->fd >= 0;
        if (was_connected && client->state != CROWD_LOST) {
            secure_end(client->ssl, true);
            (void)close(client->fd); /* there is nothing left to send */
        }
    }
}

void crowd_close(struct crowd *crowd) {
    close_clients(crowd);
    if (crowd->epoll >= 0)
        (void)close(crowd->epoll);
    free(crowd->clients);
    free(crowd->free);
    free(crowd->responses);
    free(crowd->text);
    crowd->clients = NULL;
    crowd->free = NULL;
    crowd->responses = NULL;
    crowd->text = NULL;
    crowd->epoll = -1;
}
