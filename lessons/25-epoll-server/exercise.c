/*
 * 25 exercise: echo with an idle limit for each client.
 *
 * Our server keeps a silent client for ever. If ten thousand clients come and
 * never say anything, they hold ten thousand descriptors. In this exercise you
 * write an echo server with an idle limit: it closes a client that has been
 * silent for too long. The difficult part is to do that without looking at all
 * clients all the time.
 *
 * It is called as `25-epoll-server -i SECONDS PORT`. Everything else is as in
 * this lesson's server, but you may leave out some parts: all its options, the
 * signals, and the spare descriptor. (The check never uses up its
 * descriptors.) You may copy what you like.
 *
 * 1. It listens, and says where. The first line that it prints is `listening
 *    on 127.0.0.1:PORT`. If PORT is 0, it takes a free port and prints that
 *    one.
 * 2. It sends back what fifty clients send at once.
 * 3. It sends back large amounts. Five clients each send 300000 bytes at once.
 * 4. It sends back all that came before a client ended its half. Then it
 *    closes the connection.
 * 5. It goes on when a client resets its connection, and keeps nothing of
 *    clients that have gone. It closes their descriptors, and frees their
 *    memory, also the bytes that it could not send to them.
 * 6. It serves the others while a client does not read.
 * 7. It uses no processor while a client does not read. The client of this
 *    test sends all the time and reads nothing. When no more bytes fit
 *    anywhere, your server sleeps.
 * 8. It uses little memory for a client that does not read. While the same
 *    client sends all the time, the whole process uses less than 6 MB more
 *    than before.
 * 9. It uses no processor when all has been sent back.
 * 10. It closes a client that is silent for SECONDS. SECONDS is a number such
 *     as 2 or 0.25, up to a day. The client is closed at most 50 milliseconds
 *     late. Its memory is freed too, as in 5.
 * 11. It gives a client its time anew when it sends something. No client is
 *     closed before it has been silent for SECONDS. Only what your server
 *     receives from a client counts; what it sends to the client does not. So
 *     a client that never reads is closed in the end too, also if it has ended
 *     its half.
 * 12. It closes a silent client also while others send. Again, it is at most
 *     50 milliseconds late.
 * 13. It sleeps for ever while there is no client. It wakes up only when
 *     something happens.
 * 14. It sleeps until the first moment at which a client's time is up. There
 *     is no clock that ticks in between.
 * 15. It does not work more for a request when 2500 clients are silent.
 * 16. It spends most of its processor time in system calls. A loop over all
 *     possible descriptors in each turn would take longer than the calls.
 * 17. It goes on when a client sends just as its time is up. `epoll_wait` may
 *     report a client whose time is up in this moment. Your server may serve
 *     this client or close it, but it must not fail.
 * 18. It refuses an invalid number of seconds or an invalid port, with status
 *     1. It says on standard error what is wrong.
 * 19. It refuses other arguments, with status 2. It then prints a line that
 *     begins with `usage:` on standard error.
 *
 * What is here compiles, listens, and accepts nobody. Your part begins in
 * handle_events, which is called again and again. Copy from epoll-server.c what
 * you like.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    DESCRIPTORS = 64 * 1024, /* ours are below this */
};

struct server {
    int epoll;
    int listener;
    int milliseconds; /* how long a client may be silent */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 25-epoll-server -i SECONDS PORT\n", out);
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

/* If one of 0, 1 and 2 were closed, a socket would get that number: see lesson
 * 01. */
static void require_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Raises our limit to as many descriptors as we may have without special
 * rights, but not to more than DESCRIPTORS, the places of an array. If that
 * fails, the limit stays as it is. */
static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    if (files.rlim_cur > DESCRIPTORS)
        files.rlim_cur = DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* Returns a listener at 127.0.0.1, as in lesson 02. The sockets that it accepts
 * inherit TCP_NODELAY: lesson 05. */
static int open_listener(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

/* Prints the address at which we listen. */
static void announce(int listener) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Adds a descriptor to the list in the kernel (EPOLL_CTL_ADD), or changes the
 * events that we wait for (EPOLL_CTL_MOD). Returns 0, or -1 and errno. */
static int watch(const struct server *server, int operation, int fd,
                 uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(server->epoll, operation, fd, &event);
}

/* Waits once, and handles the events that epoll_wait reports. */
static void handle_events(struct server *server) {
    /* 1. Call epoll_wait. If the listener is ready, accept the clients that are
     *    in the queue, with SOCK_NONBLOCK, and add each to the list. */
    /* 2. If a client is ready, send back what it has sent. Keep what send does
     *    not take. */
    /* 3. Close the clients whose time is up. Whose time is up first? */
    /* 4. Let epoll_wait sleep no longer than that client's time. */
    (void)server;
    (void)pause(); /* delete this line when you call epoll_wait */
}

int main(int argc, char **argv) {
    static struct server server; /* arrays in it take no place on the stack */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 4 || strcmp(argv[1], "-i") != 0)
        usage(stderr, 2);
    if (deadline_parse(argv[2], strlen(argv[2]), &server.milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", argv[2]);
    in_port_t port = parse_port(argv[3]);
    require_standard_streams();
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */
    raise_descriptor_limit();

    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll < 0)
        err(1, "epoll_create1");
    server.listener = open_listener(port);
    if (watch(&server, EPOLL_CTL_ADD, server.listener, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    announce(server.listener);
    for (;;)
        handle_events(&server);
}
