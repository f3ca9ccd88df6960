/*
 * 23 exercise: echo with a pool of threads that says when it is busy.
 *
 * A server with a pool lets clients wait in its queue. If all its threads are
 * busy for long, a client does not know whether it will ever get an answer. It
 * is often better to say at once that the server is busy. Then the client can
 * try again later, or try another server. In this exercise you write such a
 * server. It sends back what a client sends, and tells a client for which
 * there is no place that it is busy.
 *
 * It is called as `23-thread-server -t THREADS -q PLACES PORT`. It has THREADS
 * threads for clients, 1 to 100, and a queue with PLACES places for clients
 * that wait, 1 to 1000. It listens at 127.0.0.1. If PORT is 0, it takes any
 * port that is free. You may copy from this lesson's programs.
 *
 * 1. It listens, and says where. Its first line is `listening on
 *    127.0.0.1:PORT`, with the port that it really has. The starter does that
 *    already.
 * 2. It sends back what a client sends. When the client ends its half, it gets
 *    the rest, and then the server closes the connection.
 * 3. It has no data race. If your compiler has ThreadSanitizer, the check
 *    builds your program with it, lets eight clients come at the same time,
 *    and ends the server by SIGTERM. There must be no report of a race.
 *    Each thread that has been created is joined or detached.
 * 4. It serves THREADS clients at the same time, and no more. A thread serves
 *    one client until that client leaves, and then takes the next one. The
 *    threads are started once: no thread is started for a client.
 * 5. It lets PLACES more clients wait, and serves them in the order in which
 *    they came. While a client waits, nothing is sent to it.
 * 6. It tells the next client that it is busy, and closes the connection. If
 *    all threads serve a client and all places are taken, the client is sent
 *    the line `busy`, with a newline, at once. (A client that no thread has
 *    taken out yet still fills its place, even if a thread is free.) You need
 *    not care for bytes that this client has sent already, although the reset
 *    of lesson 06 may then take the line from it.
 * 7. It takes clients again when there is a place.
 * 8. It serves the others while it tells a client that it is busy. Even if
 *    this `send` took a whole second, a thread could take the next client from
 *    the queue meanwhile. So the lock must be free while you send `busy`.
 * 9. It wakes up a thread for each client. If four clients come at the same
 *    moment, and four threads and four places are free, all four are served.
 * 10. It goes on when a thread wakes up without a reason. `pthread_cond_wait`
 *     may do that at any time, and the check makes it do so.
 * 11. It goes on when a client resets its connection, and keeps no descriptor.
 *     It closes the socket of each client that has gone, and of each that was
 *     told `busy`.
 * 12. It goes on when accept fails, and says why. The reason is on standard
 *     error, in words.
 * 13. It ends within a second of SIGTERM or SIGINT, with status 0. It does so
 *     also while a client says nothing, another does not read, and a third one
 *     waits. All of them see their connection end. (The lesson's own server
 *     gives its clients a second first. There is no time for that here.)
 * 14. It says at its end how many it has served, and how many it has told
 *     busy. The last line is, for example, `2 served, 3 busy`. A client has
 *     been served when a thread has finished with it. In this test no client
 *     is connected at the end.
 * 15. It refuses an invalid number or port, with status 1. It says on standard
 *     error what is wrong.
 * 16. It refuses other arguments, with status 2. It then prints a line that
 *     begins with `usage:` on standard error.
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
        errx(1, "%s is not a number from %d to %d", text, smallest, largest);
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
    const char *failed;
    if (listener_announce(server->listener, &failed) < 0)
        err(1, "%s", failed);
    /* 2. Accept clients. Is there a free place in the queue? */
    /* 3. If there is none, tell the client `busy`, and close it. */
    /* 4. When a signal comes, wake up every thread, and wait for its end. */
    (void)pause(); /* delete this line when you call sigwait */
}

static void read_arguments(int argc, char **argv, struct server *server,
                           int *port) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 6)
        usage(stderr, 2);
    if (strcmp(argv[1], "-t") != 0 || strcmp(argv[3], "-q") != 0)
        usage(stderr, 2);
    server->threads = parse_number(argv[2], 1, MOST_THREADS);
    server->places = parse_number(argv[4], 1, MOST_PLACES);
    *port = parse_number(argv[5], 0, LARGEST_PORT);
}

int main(int argc, char **argv) {
    static struct server
        server; /* arrays that you add take no place on the stack */
    int port;

    read_arguments(argc, argv, &server, &port);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */
    server.listener = listen_on(port);
    serve(&server);
    return 0;
}
