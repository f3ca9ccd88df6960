/*
 * A right answer with epoll, clients in a linked list, and a queue of messages
 * for each client: a message is in memory once, however many clients get it.
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_QUEUED = 256 * 1024 };

struct message {
    unsigned users;
    size_t length;
    char bytes[];
};

struct link {
    struct message *message;
    struct link *next;
};

struct client {
    struct client *next;
    int fd;
    int named;
    int left;    /* it is sent nothing new */
    int64_t end; /* of a client that has left, in milliseconds */
    char name[17];
    char input[1024];
    size_t input_length;
    struct link *first; /* of the queue */
    struct link *last;
    size_t sent;   /* of the first message */
    size_t queued; /* bytes of all messages, without those that were sent */
};

static int poller;
static int listener;
static int is_paused;
static struct client *list;

static void be_told(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static int64_t milliseconds(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watch(struct client *client) {
    struct epoll_event event = {.data.ptr = client};
    if (!client->left)
        event.events |= EPOLLIN;
    if (client->first != NULL)
        event.events |= EPOLLOUT;
    if (epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event) < 0)
        err(1, "epoll_ctl");
}

static void release(struct message *message) {
    message->users--;
    if (message->users == 0)
        free(message);
}

static void pop(struct client *client) {
    struct link *link = client->first;
    client->first = link->next;
    client->sent = 0;
    release(link->message);
    free(link);
}

static void clear_queue(struct client *client) {
    while (client->first != NULL)
        pop(client);
    client->queued = 0;
}

static struct message *make(const char *head, const char *text, size_t length) {
    size_t head_length = strlen(head);
    struct message *message = malloc(sizeof *message + head_length + length);
    if (message == NULL)
        err(1, "malloc");
    message->users = 1;
    message->length = head_length + length;
    char *end = mempcpy(message->bytes, head, head_length);
    memcpy(end, text, length);
    return message;
}

static void leave(struct client *client);

static void push(struct client *client, struct message *message) {
    if (client->left)
        return;
    if (client->queued + message->length > MOST_QUEUED) {
        clear_queue(client);
        leave(client);
        return;
    }
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        err(1, "calloc");
    link->message = message;
    message->users++;
    client->queued += message->length;
    if (client->first == NULL) {
        client->first = link;
        client->last = link;
        watch(client);
    } else {
        client->last->next = link;
        client->last = link;
    }
}

static void tell_all_but(const struct client *sender, const char *head,
                         const char *text, size_t length) {
    struct message *message = make(head, text, length);
    for (struct client *one = list; one != NULL; one = one->next)
        if (one != sender && one->named)
            push(one, message);
    release(message);
}

static void tell(struct client *client, const char *head, const char *text,
                 size_t length) {
    struct message *message = make(head, text, length);
    push(client, message);
    release(message);
}

/* The client stays in the list until its queue is empty or its time is up. */
static void leave(struct client *client) {
    if (client->left)
        return;
    client->left = 1;
    client->end = milliseconds() + 1000;
    watch(client);
    if (client->named)
        tell_all_but(client, client->name, " left\n", 6);
    client->named = 0;
}

static struct client *called(const char *name, size_t length) {
    for (struct client *one = list; one != NULL; one = one->next)
        if (one->named && strlen(one->name) == length &&
            memcmp(one->name, name, length) == 0)
            return one;
    return NULL;
}

static void try_name(struct client *client, const char *line, size_t length) {
    static const char no[] =
        "a name is 1 to 16 letters, digits, - and _, not taken\n";
    int good = length > 0 && length < sizeof client->name;
    for (size_t i = 0; i < length && good; i++)
        good = line[i] != '\0' &&
               strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789-_",
                      line[i]) != NULL;
    if (!good || called(line, length) != NULL) {
        tell(client, no, "", 0);
        return;
    }
    memcpy(client->name, line, length);
    client->named = 1;
    tell_all_but(client, client->name, " joined\n", 8);
}

/* line begins with "/to ", has length bytes, and a newline behind them. */
static void private(struct client *client, const char *line, size_t length) {
    char head[64];
    const char *end = line + length;
    const char *name = line + 4;
    const char *blank = memchr(name, ' ', (size_t)(end - name));
    const char *name_end = blank == NULL ? end : blank;
    struct client *to = called(name, (size_t)(name_end - name));
    if (name != name_end && to == NULL) {
        struct message *message =
            make("nobody is called ", name, (size_t)(name_end - name) + 1);
        message->bytes[message->length - 1] = '\n';
        push(client, message);
        release(message);
    } else if (to == NULL || blank == NULL || blank + 1 == end) {
        tell(client, "/to needs a name and a text\n", "", 0);
    } else {
        (void)snprintf(head, sizeof head, "%s (private): ", client->name);
        tell(to, head, blank + 1, (size_t)(end - blank));
    }
}

static void take(struct client *client, const char *line, size_t length) {
    char head[64];
    if (!client->named) {
        try_name(client, line, length);
    } else if (length == 3 && strncmp(line, "/to", 3) == 0) {
        tell(client, "/to needs a name and a text\n", "", 0);
    } else if (length >= 4 && strncmp(line, "/to ", 4) == 0) {
        private(client, line, length);
    } else {
        (void)snprintf(head, sizeof head, "%s: ", client->name);
        tell_all_but(client, head, line, length + 1);
    }
}

static void receive(struct client *client) {
    ssize_t n = recv(client->fd, client->input + client->input_length,
                     sizeof client->input - client->input_length, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        leave(client);
        return;
    }
    client->input_length += (size_t)n;
    size_t begin = 0;
    for (size_t i = 0; i < client->input_length; i++) {
        if (client->input[i] == '\n' && !client->left) {
            take(client, client->input + begin, i - begin);
            begin = i + 1;
        }
    }
    client->input_length -= begin;
    memmove(client->input, client->input + begin, client->input_length);
    if (client->input_length == sizeof client->input)
        leave(client);
}

static void send_some(struct client *client) {
    while (client->first != NULL) {
        const struct message *message = client->first->message;
        ssize_t n = send(client->fd, message->bytes + client->sent,
                         message->length - client->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            clear_queue(client);
            leave(client);
            return;
        }
        client->sent += (size_t)n;
        client->queued -= (size_t)n;
        if (client->sent == message->length)
            pop(client);
    }
    watch(client);
}

static void watch_listener(int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poller, operation, listener, &event) < 0)
        err(1, "epoll_ctl");
}

static void accept_one(void) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        watch_listener(EPOLL_CTL_DEL);
        is_paused = 1;
    }
    if (fd < 0)
        return;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        err(1, "calloc");
    client->fd = fd;
    client->next = list;
    list = client;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

/* Closes those that are through. Returns how long we may sleep. */
static int bury(void) {
    int sleep = -1;
    int64_t now = milliseconds();
    struct client **place = &list;
    while (*place != NULL) {
        struct client *client = *place;
        if (client->left && (client->first == NULL || client->end <= now)) {
            *place = client->next;
            close(client->fd);
            clear_queue(client);
            free(client);
            if (is_paused)
                watch_listener(EPOLL_CTL_ADD);
            is_paused = 0;
            continue;
        }
        if (client->left && (sleep < 0 || client->end - now < sleep))
            sleep = (int)(client->end - now);
        place = &client->next;
    }
    return sleep;
}

static _Noreturn void serve(void) {
    struct epoll_event events[32];
    for (;;) {
        int count = epoll_wait(poller, events, 32, bury());
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client == NULL) {
                accept_one();
                continue;
            }
            /* One that has left, and is reset now, will not read its queue. */
            if (client->left && (events[i].events & (EPOLLERR | EPOLLHUP)))
                clear_queue(client);
            if ((events[i].events & EPOLLOUT) != 0)
                send_some(client);
            if (!client->left && (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
                receive(client);
        }
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t length = sizeof own;
    int on = 1;
    if (argc != 2) {
        fputs("usage: epoll PORT\n", stderr);
        return 2;
    }
    char *end;
    long port = strtol(argv[1], &end, 10);
    if (*end != '\0' || end == argv[1] || port < 0 || port > 65535)
        errx(1, "no port: %s", argv[1]);
    own.sin_port = htons((in_port_t)port);
    own.sin_addr.s_addr = inet_addr("127.0.0.1");
    (void)signal(SIGINT, be_told);
    (void)signal(SIGTERM, be_told);
    poller = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (poller < 0 || listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&own, length) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "cannot listen");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    if (fflush(stdout) != 0)
        err(1, "standard output");
    watch_listener(EPOLL_CTL_ADD);
    serve();
}
