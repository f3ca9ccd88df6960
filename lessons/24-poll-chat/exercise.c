/*
 * 24 exercise: a chat with private messages.
 *
 * Our chat is for everybody. Sometimes you want to say something to one person
 * only. In this exercise you write a chat with private messages: if bob types
 * `/to alice hello`, only alice gets the text.
 *
 * It is called as `24-poll-chat PORT`. Everything else is as in this lesson's
 * chat, and you may copy as much of `poll-chat.c` as you like.
 *
 * 1. It listens, and says where. The first line that it prints is `listening
 *    on 127.0.0.1:PORT`. If PORT is 0, it takes a free port and prints that
 *    one. What else it prints is not checked.
 * 2. It tells the others who joins. The first line that a client sends is its
 *    name, without the newline. All other clients that have a name are then
 *    sent the line `NAME joined`.
 * 3. It sends each line of a client to the others. All other clients that have
 *    a name are sent `NAME: TEXT`, in the order in which the lines came. An
 *    empty line counts too. The sender is not sent its own line.
 * 4. It tells the others who leaves. When a client that has a name ends its
 *    half of the connection, all others that have a name are sent `NAME left`.
 * 5. It refuses a name that is invalid or taken. A name consists of 1 to 16 of
 *    these: letters from a to z and A to Z, digits, `-` and `_`. To any other
 *    name, and to the name of another client that is here, it answers `a name
 *    is 1 to 16 letters, digits, - and _, not taken`. The next line is another
 *    try. Capitals are different letters: `Alice` is free when `alice` is
 *    taken. When a client leaves, its name is free again.
 * 6. It waits for the end of a line. A line may arrive in many pieces, and one
 *    piece may hold many lines, also the name and the first line after it. If
 *    a client ends in the middle of a line, that part is sent to nobody.
 * 7. It sends every byte of a line as it is. Any byte but the newline may be
 *    in a line, NUL too.
 * 8. It takes lines of up to 1024 bytes. The newline counts. If a client sends
 *    1024 bytes without a newline, it has left: its connection is closed, and
 *    if it had a name, the others are sent `NAME left`.
 * 9. It serves clients that come after others have left. A client that has
 *    connected and says nothing delays no other client.
 * 10. It sends a private message to one client alone. A line that begins with
 *     `/to` and a blank is private, and so is a line that is `/to` and nothing
 *     else. NAME ends at the next blank, and everything behind that blank is
 *     the text, with all its blanks. So if there are two blanks behind `/to`,
 *     NAME is missing. `/to NAME TEXT` goes to the client called NAME, as
 *     `SENDER (private): TEXT`, and to no other. NAME may be the sender
 *     itself.
 * 11. It tells the sender what is wrong with a private message. If no client
 *     is called NAME, it answers `nobody is called NAME`. NAME may be longer
 *     than 16 letters: then nobody is called so, and the answer has the whole
 *     NAME. If NAME or the text is missing, it answers `/to needs a name and a
 *     text`. A text that is only one blank is a text too. If both are true
 *     (the text is missing, and no client is called NAME), either answer is
 *     right. The others are not told.
 * 12. It does not wait for a client that does not read. All other clients get
 *     all their lines.
 * 13. It closes a client that has not read for long. For each client, it keeps
 *     at most 256 KiB that could not be sent yet. If there were more, the
 *     client counts as one that has left: your server closes it, and sends
 *     `NAME left` to the others. Your server may throw the kept bytes away.
 * 14. It goes on when clients reset their connection. Such a client has left.
 * 15. It closes the descriptor of each client that has left.
 * 16. It sends what is queued to a client that has ended its half. Then it
 *     closes the connection. But the client has left as soon as it ends its
 *     half: the others are told at once, its name is free, and no private
 *     message goes to it.
 * 17. It gives a client that has ended its half one second to read. After that
 *     it closes the connection, even if not everything is sent. This second
 *     begins when the client ends its half. It does not begin anew when your
 *     server sends something.
 * 18. It waits without using the processor while it has no descriptor left.
 *     When a client leaves, it accepts the next one within a second.
 *
 * What is here compiles and listens, but accepts nobody. Your part begins in
 * handle_events.
 */
#define _GNU_SOURCE

#include "number.h"
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 24-poll-chat PORT\n", out);
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

/* Waits once for all clients and the listener, and handles what poll says. */
static void handle_events(int listener) {
    /* 1. Fill an array for poll, with all clients and the listener. Call poll.
     */
    /* 2. Accept a client, with SOCK_NONBLOCK. Close those that have left. */
    /* 3. Receive what a client has sent, and cut it into lines. */
    /* 4. Put each line into the queues of all others; or, for /to, into the
     * queue of one client. */
    /* 5. Send from a queue when poll says that there is room. */
    (void)listener;
    (void)pause(); /* delete this line when you call poll */
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);
    require_output();
    catch_signals();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port);
    while (!stopping)
        handle_events(listener);
    return 0; /* the kernel closes all our descriptors */
}
