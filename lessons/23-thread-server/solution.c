/*
 * 23 solution: echo with a pool of threads that says when it is busy, one good
 * answer of many.
 *
 * usage: 23-thread-server -t THREADS -q PLACES PORT
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
    BUFFER_BYTES = 16 * 1024,
    NO_CLIENT = -1,
    PAUSE_MS = 50, /* after a call failed because something had run out */
};

struct server;

struct worker {
    struct server *server;
    pthread_t thread;
    /* The client that this worker serves, or NO_CLIENT. Other threads may use
     * fd only while they hold the lock of the server. */
    int fd;
};

struct server {
    int listener;
    int threads;
    int places;
    struct worker workers[MOST_THREADS];

    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t has_changed;
    int is_stopping;
    int queue[MOST_PLACES]; /* a ring: after the last place comes the first */
    int first;   /* the place of the client that has waited longest */
    int waiting; /* how many clients are in the queue */
    unsigned long served;
    unsigned long refused;
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

/* Ends the program if a function of pthreads has returned an error. */
static void require(int error, const char *what) {
    if (error == 0)
        return;
    errno = error;
    err(1, "%s", what);
}

static void lock(struct server *server) {
    (void)pthread_mutex_lock(&server->lock);
}

static void unlock(struct server *server) {
    (void)pthread_mutex_unlock(&server->lock);
}

/* Puts the client at the end of the queue. Returns 0, or -1 if it is full. */
static int put_into_queue(struct server *server, int fd) {
    int result = -1;
    lock(server);
    if (server->waiting < server->places) {
        int end = (server->first + server->waiting) % server->places;
        server->queue[end] = fd;
        server->waiting++;
        result = 0;
        (void)pthread_cond_signal(&server->has_changed);
    }
    unlock(server);
    return result;
}

/* Waits for a client in the queue, and makes it the worker's own. Returns 0, or
 * -1 when the server is to stop. */
static int take_from_queue(struct worker *worker) {
    struct server *server = worker->server;
    int result = -1;
    lock(server);
    while (server->waiting == 0 && !server->is_stopping)
        (void)pthread_cond_wait(&server->has_changed, &server->lock);
    if (!server->is_stopping) {
        worker->fd = server->queue[server->first];
        server->first = (server->first + 1) % server->places;
        server->waiting--;
        result = 0;
    }
    unlock(server);
    return result;
}

/* warn writes its line in pieces. The lock of stderr keeps the pieces of this
 * thread together: lesson 14. */
static void report(const char *failed) {
    flockfile(stderr);
    warn("%s", failed);
    funlockfile(stderr);
}

/* Sends back what the client sends, until it ends its side or a call fails. */
static void echo(int fd) {
    char buffer[BUFFER_BYTES];
    for (;;) {
        ssize_t received = recv(fd, buffer, sizeof buffer, 0);
        if (received == 0)
            return;
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0) {
            report("recv");
            return;
        }
        size_t sent;
        if (stream_write_all(fd, buffer, (size_t)received, &sent) < 0) {
            report("send");
            return;
        }
    }
}

/* We hold the lock while we close the client. So while another thread holds the
 * lock, each fd of a worker that is not NO_CLIENT is open. */
static void close_client(struct worker *worker) {
    struct server *server = worker->server;
    lock(server);
    (void)close(worker->fd);
    worker->fd = NO_CLIENT;
    server->served++;
    unlock(server);
}

static void *run_worker(void *argument) {
    struct worker *worker = argument;
    while (take_from_queue(worker) == 0) {
        echo(worker->fd);
        close_client(worker);
    }
    return NULL;
}

/* We do not hold the lock while we send, because send may wait for the client,
 * and then all threads that need the lock would wait, too. */
static void refuse_client(struct server *server, int fd) {
    static const char line[] = "busy\n";
    size_t sent;
    if (stream_write_all(fd, line, strlen(line), &sent) < 0)
        report("send");
    (void)close(fd);
    lock(server);
    server->refused++;
    unlock(server);
}

static int is_stopping(struct server *server) {
    lock(server);
    int result = server->is_stopping;
    unlock(server);
    return result;
}

/* Accepts clients until the server is to stop. Then request_stop shuts down the
 * listener, and accept fails. */
static void *accept_clients(void *argument) {
    struct server *server = argument;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (is_stopping(server)) {
            if (fd >= 0)
                (void)close(fd);
            return NULL;
        }
        if (fd < 0) {
            report("accept");
            deadline_pause(PAUSE_MS);
            continue;
        }
        if (put_into_queue(server, fd) < 0)
            refuse_client(server, fd);
    }
}

/* Sleeps until one of the signals comes. */
static void wait_for_signal(const sigset_t *signals) {
    int signal_number;
    for (;;) {
        int error = sigwait(signals, &signal_number);
        if (error == 0)
            return;
        errno = error;
        report("sigwait");
        deadline_pause(PAUSE_MS);
    }
}

/* Wakes up every thread, whatever it waits for. */
static void request_stop(struct server *server) {
    lock(server);
    server->is_stopping = 1;
    (void)pthread_cond_broadcast(&server->has_changed);
    for (int i = 0; i < server->threads; i++) {
        if (server->workers[i].fd != NO_CLIENT)
            (void)shutdown(server->workers[i].fd, SHUT_RDWR);
    }
    unlock(server);
    (void)shutdown(server->listener, SHUT_RD);
}

/* Closes the clients that no thread has taken. All threads have ended, so we
 * need no lock. */
static void close_waiting_clients(struct server *server) {
    for (int i = 0; i < server->waiting; i++) {
        int place = (server->first + i) % server->places;
        (void)close(server->queue[place]);
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

static void start_workers(struct server *server) {
    for (int i = 0; i < server->threads; i++) {
        struct worker *worker = &server->workers[i];
        worker->server = server;
        worker->fd = NO_CLIENT;
        require(pthread_create(&worker->thread, NULL, run_worker, worker),
                "pthread_create");
    }
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
    static struct server server = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .has_changed = PTHREAD_COND_INITIALIZER,
    };
    sigset_t signals;
    int port;
    pthread_t acceptor;
    const char *failed;

    read_arguments(argc, argv, &server, &port);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    require(pthread_sigmask(SIG_BLOCK, &signals, NULL), "pthread_sigmask");

    server.listener = listen_on(port);
    start_workers(&server);
    require(pthread_create(&acceptor, NULL, accept_clients, &server),
            "pthread_create");
    if (listener_announce(server.listener, &failed) < 0)
        err(1, "%s", failed);

    wait_for_signal(&signals);
    request_stop(&server);
    require(pthread_join(acceptor, NULL), "pthread_join");
    for (int i = 0; i < server.threads; i++)
        require(pthread_join(server.workers[i].thread, NULL), "pthread_join");
    close_waiting_clients(&server);
    (void)close(server.listener);
    if (printf("%lu served, %lu busy\n", server.served, server.refused) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
