/*
 * 23 exercise: echo with a pool of threads that says when it is busy.
 *
 * body
 *
 * What is here compiles, reads its arguments, listens, and says where. Then it
 * waits for ever. Your part begins in serve. Copy from thread-server.c and
 * queue.c what you like.
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
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    MOST_THREADS = 100,
    MOST_PLACES = 1000,
};

struct server {
    int listener;
    int threads;
    int places; /* for clients that wait */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 23-thread-server -t THREADS -q PLACES PORT\n", out);
    exit(status);
}

/* Returns the number that the text is. Ends the program unless the text is a
 * number from smallest to largest, in digits alone. */
static int parse_number(const char *text, int smallest, int largest) {
    unsigned long long number;
    if (number_parse(text, (unsigned)smallest, (unsigned)largest, &number) < 0)
        errx(1, "%s is not a number: %d to %d", text, smallest, largest);
    return (int)number;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static int listen_on(int port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    return fd;
}

/* Serves clients until SIGINT or SIGTERM comes. */
static void serve(struct server *server) {
    /* 1. Block the signals. Then start THREADS threads that each take a client
     *    from a queue, and send back what it sends. Where does main wait? */
    /* 2. Accept clients. Is there a free place in the queue? */
    /* 3. If there is none, tell the client `busy`, and close it. */
    /* 4. When a signal comes, wake up every thread, and wait for its end. */
    (void)server;
    (void)pause(); /* delete this line when you call sigwait */
}

static void read_arguments(int argc, char **argv, struct server *server,
                           int *port) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 6 || strcmp(argv[1], "-t") != 0 || strcmp(argv[3], "-q") != 0)
        usage(stderr, 2);
    server->threads = parse_number(argv[2], 1, MOST_THREADS);
    server->places = parse_number(argv[4], 1, MOST_PLACES);
    *port = parse_number(argv[5], 0, LARGEST_PORT);
}

int main(int argc, char **argv) {
    static struct server server; /* arrays in it take no place on the stack */
    int port;
    const char *failed;

    read_arguments(argc, argv, &server, &port);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has left is an error */
    server.listener = listen_on(port);
    if (listener_announce(server.listener, &failed) < 0)
        err(1, "%s", failed);
    serve(&server);
    return 0;
}
