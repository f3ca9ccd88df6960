/*
 * 19 exercise: replace a server without losing a client.
 *
 * A server gets a new version, so it has to be started again. But when the old
 * process ends, its listener is closed, and until the new process listens,
 * clients are refused. In this exercise you write a server that is replaced
 * while it runs, and no client is lost. The new process asks the old one for
 * its listener. With the listener comes the queue, in which clients may be
 * waiting.
 *
 * It is called as `19-passing-descriptors PATH PORT`. Each client is greeted
 * with a line that has the number of the server's process, such as `process
 * 4711`. Then the server sends back what the client sends, until the client
 * closes its side. At PATH the server listens on a UNIX socket (lesson 18) of
 * the type SOCK_STREAM. When you start the program and a server answers at
 * PATH, the new process takes its place. First, the new process connects to
 * PATH; this is its request. The old process sends a message with one byte of
 * data and its listener. Then the new process makes its own socket at PATH, in
 * the place of the old one. It prints where it listens, and confirms: it sends
 * one byte. Now the old process closes its listener and its socket at PATH,
 * and accepts no more clients. (The file at PATH belongs to the new process
 * now.) When its own clients have left, it ends.
 *
 * The starter is a server that already greets and sends back. What it lacks is
 * everything about PATH. You may copy from `passing-descriptors.c`. You may
 * leave out signals: nothing has to happen on SIGTERM. You may also assume that
 * clients send short messages and read their replies, and that no two new
 * processes start at the same moment.
 *
 * 1. It listens, and says where. If no server answers at PATH, it opens a
 *    listener at 127.0.0.1 and PORT. The first line that it prints is
 *    `listening on 127.0.0.1:PORT`. If PORT is 0, it takes a free port and
 *    prints that one.
 * 2. It greets each client with the number of its process. The line is
 *    `process`, a blank, and the number.
 * 3. It sends back what several clients send. They may be connected at the
 *    same time. When a client closes its side, the server closes the
 *    connection.
 * 4. It gives its listener to a process that connects to PATH. The message has
 *    one byte of data and one descriptor.
 * 5. It gives away a non-blocking listener. For a moment, two processes accept
 *    clients from it. One of them may be too late for a client, and must not
 *    wait in `accept4` for the next one.
 * 6. It goes on serving until the new process has confirmed. A new process may
 *    also end without confirming; then another one may ask. One new process at
 *    a time is enough.
 * 7. It closes everything that belongs to a new process that has gone. This is
 *    also so if that one has gone before it was sent the listener. The old
 *    process has then no more descriptors open than before.
 * 8. It accepts no more clients after the new process has confirmed.
 * 9. It serves the clients that it has to their end. Then it ends with status
 *    0.
 * 10. It takes the listener of the server at PATH. It prints the port of this
 *     listener, whatever PORT is. It confirms only when it can accept clients
 *     and listens at PATH itself. Before that, it does not confirm: if
 *     `listen` fails at PATH, the old process has to go on.
 * 11. It opens a listener of its own if the server at PATH is dead. The file
 *     is still there, but `connect` fails with ECONNREFUSED.
 * 12. It refuses an answer without a listener, with status 1. The answer may
 *     be a message without a descriptor, or the end of the connection. It says
 *     on standard error what is wrong.
 * 13. It keeps one descriptor at most of an answer that has more. It may take
 *     the first and close the others. Or it may refuse the answer, with status
 *     1.
 * 14. It loses no client in ten restarts. Meanwhile, 2000 clients connect.
 *     None is refused, and none is cut off.
 * 15. It has as many descriptors after three restarts as before. Each process
 *     closes what it needs no more.
 * 16. It has only descriptors that are close-on-exec. Standard input, output
 *     and error are exceptions.
 * 17. It refuses an invalid port, with status 1.
 * 18. It refuses other arguments, with status 2. It then prints a line that
 *     begins with `usage:` on standard error.
 *
 * This starter is the server that sends back what its clients send. It takes
 * nothing from an old process, and gives nothing to a new one.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "listener.h"
#include "number.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    PIECE_BYTES = 4096,
    GREETING_BYTES = sizeof "process -2147483648\n",
    MOST_CLIENTS = 1000,
    PAUSE_MS = 100, /* after a call failed because something had run out */
};

/* Places in the array for poll. poll ignores a place whose fd is -1. At the
 * start all are 0, so a place that you add and that is empty needs a -1. */
enum {
    LISTENER,     /* clients connect to this one */
    FIRST_CLIENT, /* clients are from here on */
    PLACES = FIRST_CLIENT + MOST_CLIENTS,
};

struct server {
    struct pollfd polled[PLACES];
    int clients; /* how many are connected */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 19-passing-descriptors PATH PORT\n", out);
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

/* Without the pause, a call that keeps failing would use a whole processor. */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* Returns a listener. It is non-blocking, and stays so when it is passed on.
 * Another process may accept the client that poll has reported to us. Then
 * accept must fail, and not wait. */
static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((const struct sockaddr *)&own, sizeof own, SOMAXCONN,
                           0, &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

/* The clients. */

/* Accepts the next client, and tells it which process it talks to. */
static void accept_client(struct server *server) {
    char greeting[GREETING_BYTES];
    size_t sent;
    int fd = accept4(server->polled[LISTENER].fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
            warn_and_pause("accept");
        return;
    }
    int length =
        snprintf(greeting, sizeof greeting, "process %d\n", (int)getpid());
    if (stream_write_all(fd, greeting, (size_t)length, &sent) < 0) {
        warn("send");
        (void)close(fd);
        return;
    }
    server->polled[FIRST_CLIENT + server->clients] =
        (struct pollfd){.fd = fd, .events = POLLIN};
    server->clients++;
}

/* Closes the client, and moves the last one to its place. */
static void close_client(struct server *server, int place) {
    (void)close(server->polled[place].fd);
    server->clients--;
    server->polled[place] = server->polled[FIRST_CLIENT + server->clients];
}

/* Sends the client back what it has sent. Returns 0, or -1 when the client is
 * to be closed. */
static int serve_client(int fd) {
    char piece[PIECE_BYTES];
    size_t sent;
    ssize_t received = recv(fd, piece, sizeof piece, 0);
    if (received == 0)
        return -1;
    if (received < 0 && errno == EINTR)
        return 0; /* poll will report this client again */
    if (received < 0) {
        warn("recv");
        return -1;
    }
    if (stream_write_all(fd, piece, (size_t)received, &sent) < 0) {
        warn("send");
        return -1;
    }
    return 0;
}

/* Waits until something happens, and does what there is to do. */
static void handle_events(struct server *server) {
    struct pollfd *polled = server->polled;
    polled[LISTENER].events = POLLIN;
    if (server->clients == MOST_CLIENTS)
        polled[LISTENER].events = 0; /* new clients wait in the queue */
    int places = FIRST_CLIENT + server->clients;
    if (poll(polled, (nfds_t)places, -1) < 0) {
        if (errno != EINTR)
            warn_and_pause("poll");
        return;
    }
    /* From the last to the first: close_client moves the last client into the
     * place of the closed one, and the last client has been served already. */
    for (int i = places - 1; i >= FIRST_CLIENT; i--) {
        if (polled[i].revents == 0)
            continue;
        if (serve_client(polled[i].fd) < 0)
            close_client(server, i);
    }
    if (polled[LISTENER].revents != 0)
        accept_client(server);
}

int main(int argc, char **argv) {
    static struct server server; /* it is large */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    const char *path = argv[1];
    in_port_t port = parse_port(argv[2]);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    /* 1. Listen at PATH, too. If another process connects there, send it a copy
     *    of the listener, as send_descriptor of passing-descriptors.c does. */
    /* 2. When that process confirms with one byte, close the listener. Go on
     *    with the clients that you have, and end when the last has left. */
    /* 3. Before all this, connect to PATH. If a process answers, receive its
     *    listener in the place of open_listener. */
    (void)path; /* delete this line when you use it */
    int listener = open_listener(port);
    const char *failed;
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);

    server.polled[LISTENER] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;)
        handle_events(&server);
}
