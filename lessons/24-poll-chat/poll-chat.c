/*
 * 24-poll-chat: what one client says goes to all other clients.
 *
 * Shows how one thread serves many clients. poll(2) waits for all of them at
 * once, and says which have sent something and which can take more. No other
 * call waits. So a client that does not read cannot stop the others.
 *
 * usage: 24-poll-chat PORT      (0: any free port)
 *
 * Left out: a limit for clients that say nothing, and a server whose work
 * depends on the active clients only (lesson 25).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    CLIENTS = 1000,           /* at once; others wait in the kernel's queue */
    NAME_BYTES = 16,          /* the longest name */
    LINE_BYTES = 1024,        /* the longest line, with its newline */
    QUEUE_BYTES = 256 * 1024, /* the most that may wait for one client */
    LEAVE_MS = 1000, /* how long a client that has left may read its queue */
    PAUSE_MS = 100,  /* after a call failed because something had run out */
};

enum state {
    NAMELESS, /* connected, but it has not sent a valid name yet */
    CHATTING,
    LEAVING, /* it gets no more lines. We have not told the others yet. */
    LEFT,    /* we have told the others. There may be a queue left to send. */
};

struct client {
    int fd;
    enum state state;
    const char *why;          /* the reason why it left */
    struct deadline leave_by; /* for LEAVING and LEFT */
    char name[NAME_BYTES + 1];
    size_t line_length;
    char line[LINE_BYTES]; /* the start of a line that is not whole yet */
    size_t queue_length;
    char queue[QUEUE_BYTES]; /* bytes for this client that are not sent yet */
};

struct chat {
    int listener;
    struct deadline pause; /* we accept no client before this has passed */
    size_t count;
    struct client *clients[CLIENTS];
    /* For each client the entry with its own index. Behind them comes one more:
     * the listener's. */
    struct pollfd polled[CLIENTS + 1];
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 24-poll-chat PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
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

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The signal handler. It asks for another signal, because this one may arrive
 * just before poll sleeps, and then it interrupts nothing: see lesson 02. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* These calls fail only for a signal number that does not exist. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    /* When a client has left, send must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Returns a listener at 127.0.0.1, as in lesson 02, and prints its name. The
 * sockets that it accepts inherit TCP_NODELAY from it: see lesson 05. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int listener =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, CLIENTS) < 0)
        err(1, "listen");
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return listener;
}

/* Prints one event: the client's descriptor, and what has happened. If it
 * cannot be printed, the chat goes on, and main reports this error at the end.
 */
static void report(const struct client *client, const char *event) {
    if (printf("%d %s\n", client->fd, event) < 0)
        warn("standard output");
}

static int is_here(const struct client *client) {
    return client->state == NAMELESS || client->state == CHATTING;
}

/* Marks a client that is to leave. It stays in the array for now, because our
 * caller may be in the middle of a loop over that array. */
static void mark_leaving(struct client *client, const char *why) {
    if (client->state == CHATTING)
        client->state = LEAVING;
    else
        client->state = LEFT; /* it has no name, so we announce nothing */
    client->why = why;
    client->leave_by = deadline_after(LEAVE_MS);
}

/* The next call may succeed: nothing was there, or a signal came. */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Sends as much of the queue as the kernel takes. What is left moves to the
 * front. */
static void send_queue(struct client *client) {
    ssize_t sent = send(client->fd, client->queue, client->queue_length, 0);
    if (sent < 0 && is_worth_another_try(errno))
        return;
    if (sent < 0) {
        warn("send to %d", client->fd);
        client->queue_length = 0; /* what is left cannot be sent either */
        if (is_here(client))
            mark_leaving(client, "left");
        return;
    }
    client->queue_length -= (size_t)sent;
    memmove(client->queue, client->queue + sent, client->queue_length);
}

/* Puts bytes into the queue of a client that is here. They are sent later, but
 * if there is no room, as much as possible is sent now. */
static void enqueue(struct client *client, const char *bytes, size_t length) {
    if (length > QUEUE_BYTES - client->queue_length)
        send_queue(client); /* much has come since the last time */
    if (!is_here(client))
        return; /* that has failed */
    if (length > QUEUE_BYTES - client->queue_length) {
        client->queue_length = 0; /* it will not read the old lines either */
        mark_leaving(client, "let go: it does not read");
        return;
    }
    memcpy(client->queue + client->queue_length, bytes, length);
    client->queue_length += length;
}

/* Puts a line into the queues of all others who chat. The line consists of the
 * sender's name, an infix such as ": " or " joined", and the length bytes at
 * text. Any of these bytes may be NUL, so we don't copy them with snprintf. */
static void broadcast(struct chat *chat, const struct client *sender,
                      const char *infix, const char *text, size_t length) {
    /* " joined" is the longest infix. */
    char line[NAME_BYTES + sizeof " joined" + LINE_BYTES];
    int head = snprintf(line, sizeof line, "%s%s", sender->name, infix);
    memcpy(line + head, text, length);
    for (size_t i = 0; i < chat->count; i++) {
        struct client *client = chat->clients[i];
        if (client != sender && client->state == CHATTING)
            enqueue(client, line, (size_t)head + length);
    }
}

/* Returns whether the first length bytes of a line are a valid name. The byte
 * behind them is no letter of a name, but a newline. So strspn(3),
 * which counts the letters at the beginning, stops there at the latest. */
static int is_name(const char *line, size_t length) {
    const char *letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (length < 1 || length > NAME_BYTES)
        return 0;
    return strspn(line, letters) == length;
}

static int is_called(const struct client *client, const char *name,
                     size_t length) {
    return strlen(client->name) == length &&
           memcmp(client->name, name, length) == 0;
}

static int is_taken(const struct chat *chat, const char *name, size_t length) {
    for (size_t i = 0; i < chat->count; i++) {
        if (is_called(chat->clients[i], name, length))
            return 1;
    }
    return 0;
}

/* The client has sent the name that it wants, the name that it wants. length
 * does not count the newline. If the name is refused, the client may send
 * another one.
 */
static void join(struct chat *chat, struct client *client, const char *line,
                 size_t length) {
    static const char refusal[] =
        "a name is 1 to 16 letters, digits, - and _, not taken\n";
    if (!is_name(line, length) || is_taken(chat, line, length)) {
        enqueue(client, refusal, strlen(refusal));
        return;
    }
    memcpy(client->name, line, length); /* the bytes behind it are 0 already */
    client->state = CHATTING;
    char event[sizeof "is " + NAME_BYTES];
    (void)snprintf(event, sizeof event, "is %s", client->name);
    report(client, event);
    broadcast(chat, client, " joined", "\n", 1);
}

/* Handles all whole lines that the client has sent so far. What is left is the
 * start of a line, and moves to the front. */
static void handle_lines(struct chat *chat, struct client *client) {
    char *line = client->line;
    char *end = client->line + client->line_length;
    /* A line may make its own client leave: the answer to it may be too much
     * for the queue. */
    while (is_here(client)) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        if (newline == NULL)
            break;
        size_t length = (size_t)(newline - line);
        if (client->state == NAMELESS)
            join(chat, client, line, length);
        else
            broadcast(chat, client, ": ", line, length + 1);
        line = newline + 1;
    }
    client->line_length = (size_t)(end - line);
    memmove(client->line, line, client->line_length);
}

/* Receives once. If the client has sent more, the next poll says so again, and
 * the other clients have their turn before that. */
static void receive_lines(struct chat *chat, struct client *client) {
    ssize_t received = recv(client->fd, client->line + client->line_length,
                            LINE_BYTES - client->line_length, 0);
    if (received < 0 && is_worth_another_try(errno))
        return;
    if (received < 0) {
        warn("recv from %d", client->fd);
        mark_leaving(client, "left");
        return;
    }
    if (received == 0) {
        mark_leaving(client, "left"); /* it may still read its queue */
        return;
    }
    client->line_length += (size_t)received;
    handle_lines(chat, client);
    if (client->line_length == LINE_BYTES && is_here(client))
        mark_leaving(client, "let go: its line is too long");
}

static int are_all_here(const struct chat *chat) {
    for (size_t i = 0; i < chat->count; i++) {
        if (!is_here(chat->clients[i]))
            return 0;
    }
    return 1;
}

static struct client *find_leaving(const struct chat *chat) {
    for (size_t i = 0; i < chat->count; i++) {
        if (chat->clients[i]->state == LEAVING)
            return chat->clients[i];
    }
    return NULL;
}

/* Tells the others about each client that is LEAVING. A line about one client
 * may be too much for the queue of another client. Then that client is LEAVING
 * too, so we search again from the beginning. */
static void announce_leaving(struct chat *chat) {
    struct client *client = find_leaving(chat);
    while (client != NULL) {
        client->state = LEFT;
        broadcast(chat, client, " left", "\n", 1);
        /* From now on, another client may have this name. */
        memset(client->name, 0, sizeof client->name);
        client = find_leaving(chat);
    }
}

/* Returns whether a client has left, and has either got its whole queue or had
 * its time to read it. */
static int is_finished(const struct client *client) {
    if (client->state != LEFT)
        return 0;
    if (client->queue_length == 0)
        return 1;
    return deadline_left(client->leave_by) == 0;
}

/* Closes the client with the index i. The last client of the array moves into
 * its place. */
static void remove_client(struct chat *chat, size_t i) {
    struct client *client = chat->clients[i];
    report(client, client->why);
    (void)close(client->fd); /* an error changes nothing for the others */
    free(client);
    chat->count--;
    chat->clients[i] = chat->clients[chat->count];
}

static void remove_finished(struct chat *chat) {
    size_t i = 0;
    while (i < chat->count) {
        if (is_finished(chat->clients[i]))
            remove_client(chat, i); /* i is now the index of another client */
        else
            i++;
    }
}

/* These errors of accept are not ours. The connection that we were about to
 * accept has failed, and the next one may be good: accept(2), "Error handling".
 */
static int is_one_connection_lost(int error) {
    switch (error) {
    case ECONNABORTED:
    case EPERM: /* a firewall forbids it */
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return 1;
    default:
        return 0;
    }
}

/* When descriptors or memory have run out, the listener stays ready, and poll
 * would return at once, again and again. So we do not poll it for a while. */
static void pause_accepting(struct chat *chat) {
    chat->pause = deadline_after(PAUSE_MS);
}

/* Call this right after accept4 failed: errno is still its reason. */
static void report_failed_accept(struct chat *chat) {
    int error = errno; /* warn may change it */
    if (error == EAGAIN || error == EINTR)
        return; /* the client has left already, or a signal came */
    warn("accept");
    if (!is_one_connection_lost(error))
        pause_accepting(chat);
}

static void accept_client(struct chat *chat) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        warn("calloc");
        pause_accepting(chat);
        return;
    }
    client->fd =
        accept4(chat->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client->fd < 0) {
        report_failed_accept(chat);
        free(client);
        return;
    }
    chat->clients[chat->count] = client;
    chat->count++;
    report(client, "connected");
}

/* Returns the shorter of two times for poll. They are in milliseconds, and -1
 * is for ever. */
static int earlier(int one, int other) {
    if (one == -1)
        return other;
    if (other == -1 || one < other)
        return one;
    return other;
}

/* Fills the array for poll. Returns how long poll may wait: until a pause is
 * over, or until a client that has left has had its time to read. */
static int fill_polled(struct chat *chat) {
    int timeout = -1;
    for (size_t i = 0; i < chat->count; i++) {
        const struct client *client = chat->clients[i];
        struct pollfd *entry = &chat->polled[i];
        entry->fd = client->fd;
        entry->events = 0;
        entry->revents = 0; /* if poll fails, it does not set this */
        if (is_here(client))
            entry->events |= POLLIN;
        else
            timeout = earlier(timeout, deadline_left(client->leave_by));
        if (client->queue_length > 0)
            entry->events |= POLLOUT;
    }

    struct pollfd *listener = &chat->polled[chat->count];
    int pause_left = deadline_left(chat->pause);
    listener->fd = chat->listener;
    listener->events = POLLIN;
    listener->revents = 0;
    if (pause_left > 0 || chat->count == CLIENTS)
        listener->fd = -1; /* poll ignores this entry */
    if (pause_left > 0)
        timeout = earlier(timeout, pause_left);
    return timeout;
}

/* Handles what poll has said about one client. After POLLHUP or POLLERR, recv
 * or send says what has happened. poll reports these two without being asked,
 * so we check whether there is anything to send. */
static void handle_client(struct chat *chat, struct client *client,
                          const struct pollfd *entry) {
    int has_ended = (entry->revents & (POLLHUP | POLLERR)) != 0;
    int has_queue = client->queue_length > 0;
    int can_send = has_ended || (entry->revents & POLLOUT) != 0;
    int can_receive = has_ended || (entry->revents & POLLIN) != 0;
    if (has_queue && can_send)
        send_queue(client);
    if (is_here(client) && can_receive)
        receive_lines(chat, client);
}

/* Waits once for all clients and the listener, and handles what poll says. */
static void handle_events(struct chat *chat) {
    const size_t count = chat->count; /* how many clients were polled */
    int timeout = fill_polled(chat);
    int ready = poll(chat->polled, count + 1, timeout);
    if (ready < 0 && errno != EINTR) {
        warn("poll");
        deadline_pause(PAUSE_MS);
    }
    for (size_t i = 0; i < count; i++)
        handle_client(chat, chat->clients[i], &chat->polled[i]);
    if (!are_all_here(chat)) {
        announce_leaving(chat);
        remove_finished(chat);
    }
    /* The listener's entry still stands behind those of the polled clients. */
    if (chat->polled[count].revents != 0)
        accept_client(chat);
}

int main(int argc, char **argv) {
    static struct chat chat; /* it is large, and all zero to begin with */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);
    require_output();
    catch_signals();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    chat.listener = listen_on(port);
    while (!stopping)
        handle_events(&chat);
    /* If a report could not be printed, the chat went on. But it is an error.
     */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0; /* the kernel closes all our descriptors */
}
