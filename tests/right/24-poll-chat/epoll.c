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

enum {
    NAME_BYTES = 16,
    LINE_BYTES = 1024,
    MOST_QUEUED = 256 * 1024,
    LEAVE_MS = 1000, /* how long a client that has left may read its queue */
    EVENTS = 32,
};

struct message {
    unsigned users; /* how many queues have it; and make_message's caller */
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
    int has_name;
    int has_left; /* it gets no new messages */
    int64_t end;  /* when to close a client that has left, in milliseconds */
    char name[NAME_BYTES + 1];
    char input[LINE_BYTES];
    size_t input_length;
    struct link *first; /* of the queue */
    struct link *last;
    size_t sent;   /* how many bytes of the first message were sent */
    size_t queued; /* how many bytes of all messages were not sent yet */
};

static int poller;
static int listener;
static int is_paused; /* the listener is not in epoll's list */
static struct client *clients;

static const char name_refusal[] =
    "a name is 1 to 16 letters, digits, - and _, not taken\n";
static const char private_refusal[] = "/to needs a name and a text\n";

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}

/* Returns the time in milliseconds. */
static int64_t now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Tells epoll what we wait for now: input, room to send, or both. */
static void update_events(struct client *client) {
    struct epoll_event event = {.data.ptr = client};
    if (!client->has_left)
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

static void remove_first(struct client *client) {
    struct link *link = client->first;
    client->first = link->next;
    client->sent = 0;
    release(link->message);
    free(link);
}

static void clear_queue(struct client *client) {
    while (client->first != NULL)
        remove_first(client);
    client->queued = 0;
}

/* Returns a message: the string head, and the length bytes at text. The caller
 * has to release it. */
static struct message *make_message(const char *head, const char *text,
                                    size_t length) {
    size_t head_length = strlen(head);
    struct message *message = malloc(sizeof *message + head_length + length);
    if (message == NULL)
        err(1, "malloc");
    message->users = 1;
    message->length = head_length + length;
    memcpy(message->bytes, head, head_length);
    memcpy(message->bytes + head_length, text, length);
    return message;
}

/* A client may leave because its queue is full; and when it leaves, the others
 * get a message in their queues. So enqueue and leave call each other. */
static void leave(struct client *client);

static void enqueue(struct client *client, struct message *message) {
    if (client->has_left)
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
        update_events(client);
    } else {
        client->last->next = link;
        client->last = link;
    }
}

static void broadcast(const struct client *sender, const char *head,
                      const char *text, size_t length) {
    struct message *message = make_message(head, text, length);
    for (struct client *other = clients; other != NULL; other = other->next) {
        if (other != sender && other->has_name)
            enqueue(other, message);
    }
    release(message);
}

static void send_to_one(struct client *client, const char *head,
                        const char *text, size_t length) {
    struct message *message = make_message(head, text, length);
    enqueue(client, message);
    release(message);
}

/* The client stays in the list until its queue is empty or its time is up. */
static void leave(struct client *client) {
    if (client->has_left)
        return;
    client->has_left = 1;
    client->end = now() + LEAVE_MS;
    update_events(client);
    if (client->has_name) {
        const char *event = " left\n";
        broadcast(client, client->name, event, strlen(event));
    }
    client->has_name = 0;
}

static int is_called(const struct client *client, const char *name,
                     size_t length) {
    if (!client->has_name || strlen(client->name) != length)
        return 0;
    return memcmp(client->name, name, length) == 0;
}

static struct client *find_client(const char *name, size_t length) {
    for (struct client *client = clients; client != NULL; client = client->next)
        if (is_called(client, name, length))
            return client;
    return NULL;
}

static int is_name(const char *line, size_t length) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_";
    if (length < 1 || length > NAME_BYTES)
        return 0;
    /* The newline behind the line ends strspn. */
    return strspn(line, letters) == length;
}

static void try_name(struct client *client, const char *line, size_t length) {
    if (!is_name(line, length) || find_client(line, length) != NULL) {
        send_to_one(client, name_refusal, "", 0);
        return;
    }
    memcpy(client->name, line, length);
    client->has_name = 1;
    const char *event = " joined\n";
    broadcast(client, client->name, event, strlen(event));
}

static void refuse_receiver(struct client *client, const char *name,
                            size_t length) {
    /* The message has one byte more than the name, for its newline. */
    struct message *message =
        make_message("nobody is called ", name, length + 1);
    message->bytes[message->length - 1] = '\n';
    enqueue(client, message);
    release(message);
}

/* Handles what stands behind "/to ": length bytes, and a newline behind them.
 */
static void send_private(struct client *client, const char *rest,
                         size_t length) {
    size_t name_length = length;
    size_t text_length = 0;
    const char *blank = memchr(rest, ' ', length);
    if (blank != NULL) {
        name_length = (size_t)(blank - rest);
        text_length = length - name_length - 1;
    }
    struct client *receiver = find_client(rest, name_length);
    if (name_length == 0) {
        send_to_one(client, private_refusal, "", 0);
    } else if (receiver == NULL) {
        refuse_receiver(client, rest, name_length);
    } else if (text_length == 0) {
        send_to_one(client, private_refusal, "", 0);
    } else {
        char head[64];
        (void)snprintf(head, sizeof head, "%s (private): ", client->name);
        send_to_one(receiver, head, blank + 1, text_length + 1);
    }
}

/* The line has length bytes, and a newline behind them. */
static void handle_line(struct client *client, const char *line,
                        size_t length) {
    char head[64];
    if (!client->has_name) {
        try_name(client, line, length);
    } else if (length == 3 && memcmp(line, "/to", 3) == 0) {
        send_to_one(client, private_refusal, "", 0);
    } else if (length >= 4 && memcmp(line, "/to ", 4) == 0) {
        send_private(client, line + 4, length - 4);
    } else {
        (void)snprintf(head, sizeof head, "%s: ", client->name);
        broadcast(client, head, line, length + 1);
    }
}

static void receive(struct client *client) {
    ssize_t n = recv(client->fd, client->input + client->input_length,
                     sizeof client->input - client->input_length, 0);
    if (n < 0 && is_worth_another_try(errno))
        return;
    if (n <= 0) { /* an error, or the end */
        leave(client);
        return;
    }
    client->input_length += (size_t)n;
    size_t begin = 0; /* of the line that is not handled yet */
    for (size_t i = 0; i < client->input_length; i++) {
        if (client->input[i] == '\n' && !client->has_left) {
            handle_line(client, client->input + begin, i - begin);
            begin = i + 1;
        }
    }
    client->input_length -= begin;
    memmove(client->input, client->input + begin, client->input_length);
    if (client->input_length == sizeof client->input)
        leave(client);
}

static void send_queue(struct client *client) {
    while (client->first != NULL) {
        const struct message *message = client->first->message;
        ssize_t n = send(client->fd, message->bytes + client->sent,
                         message->length - client->sent, MSG_NOSIGNAL);
        if (n < 0 && is_worth_another_try(errno))
            return;
        if (n < 0) {
            clear_queue(client);
            leave(client);
            return;
        }
        client->sent += (size_t)n;
        client->queued -= (size_t)n;
        if (client->sent == message->length)
            remove_first(client);
    }
    update_events(client); /* the queue is empty */
}

static void watch_listener(int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poller, operation, listener, &event) < 0)
        err(1, "epoll_ctl");
}

static void accept_one(void) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* There is no descriptor left: wait until a client is closed. */
        if (errno == EMFILE || errno == ENFILE) {
            watch_listener(EPOLL_CTL_DEL);
            is_paused = 1;
        }
        return;
    }
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        err(1, "calloc");
    client->fd = fd;
    client->next = clients;
    clients = client;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

static void close_client(struct client *client) {
    close(client->fd);
    clear_queue(client);
    free(client);
    if (is_paused)
        watch_listener(EPOLL_CTL_ADD);
    is_paused = 0;
}

static int is_finished(const struct client *client, int64_t time) {
    if (!client->has_left)
        return 0;
    return client->first == NULL || client->end <= time;
}

static void close_finished(int64_t time) {
    /* What points to the client: the list's beginning, or another client. */
    struct client **pointer = &clients;
    while (*pointer != NULL) {
        struct client *client = *pointer;
        if (is_finished(client, time)) {
            *pointer = client->next;
            close_client(client);
        } else {
            pointer = &client->next;
        }
    }
}

/* Returns how many milliseconds we may sleep until a client is to be closed, or
 * -1 if none has left. Call this after close_finished with the same time. */
static int time_to_sleep(int64_t time) {
    int sleep = -1;
    for (const struct client *client = clients; client != NULL;
         client = client->next) {
        if (!client->has_left)
            continue;
        int left = (int)(client->end - time);
        if (sleep == -1 || left < sleep)
            sleep = left;
    }
    return sleep;
}

static void handle_client(struct client *client, uint32_t events) {
    int has_ended = (events & (EPOLLERR | EPOLLHUP)) != 0;
    int has_input = (events & EPOLLIN) != 0;
    /* A client that has left, and is reset now, will not read its queue. */
    if (client->has_left && has_ended)
        clear_queue(client);
    if ((events & EPOLLOUT) != 0)
        send_queue(client);
    if (!client->has_left && (has_input || has_ended))
        receive(client);
}

static _Noreturn void serve(void) {
    struct epoll_event events[EVENTS];
    for (;;) {
        int64_t time = now();
        close_finished(time);
        int count = epoll_wait(poller, events, EVENTS, time_to_sleep(time));
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_one();
            else
                handle_client(events[i].data.ptr, events[i].events);
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
    int is_number = end != argv[1] && *end == '\0';
    if (!is_number || port < 0 || port > 65535)
        errx(1, "no port: %s", argv[1]);
    own.sin_port = htons((in_port_t)port);
    own.sin_addr.s_addr = inet_addr("127.0.0.1");
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    poller = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (poller < 0 || listener < 0)
        err(1, "cannot listen");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "cannot listen");
    if (bind(listener, (struct sockaddr *)&own, length) < 0)
        err(1, "cannot listen");
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "cannot listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "cannot listen");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    if (fflush(stdout) != 0)
        err(1, "standard output");
    watch_listener(EPOLL_CTL_ADD);
    serve();
}
