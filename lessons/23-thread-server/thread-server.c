/*
 * 23-thread-server: echo, with a thread for each client, or with a pool.
 *
 * Shows threads that share data: how a lock keeps the data right, how a signal
 * reaches one thread and no other, and how to end threads that sleep in recv.
 *
 * usage: 23-thread-server [-t THREADS] PORT
 *
 * It listens at 127.0.0.1. Without -t each client gets a thread of its own.
 * With -t there are THREADS threads from the start. Each of them serves one
 * client after another; the other clients wait in a queue. SIGINT and SIGTERM
 * end the server, which then says how much it has served.
 *
 * Left out: a deadline for clients that say nothing (lesson 07), and an answer
 * for clients that would have to wait (this lesson's exercise).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "listener.h"
#include "number.h"
#include "queue.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    MOST_THREADS = 4096, /* of a pool */
    DESCRIPTORS = 8192,  /* a client's descriptor must be below this */
    BUFFER_BYTES = 16 * 1024,
    PAUSE_MS = 50,  /* after a call failed because something had run out */
    STOP_MS = 1000, /* at the end, we wait so long for clients to read */
    NANOSECONDS_A_SECOND = 1000 * 1000 * 1000,
};

struct server;

struct client {
    struct server *server;
    int fd;
    int is_connected;
};

struct server {
    int listener;
    int threads; /* of the pool; 0: a thread for each client */
    pthread_t pool[MOST_THREADS];
    struct queue queue; /* clients that wait for a thread of the pool */

    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t last_client_left;
    int is_stopping;
    int clients; /* how many are connected */
    unsigned long long served;
    unsigned long long bytes;
    struct client places[DESCRIPTORS]; /* the index is the descriptor */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 23-thread-server [-t THREADS] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless the text is a
 * number from smallest to largest, in digits alone. */
static int parse_number(const char *text, int smallest, int largest,
                        const char *what) {
    unsigned long long number;
    if (number_parse(text, (unsigned)smallest, (unsigned)largest, &number) < 0)
        errx(1, "%s is not a %s: %d to %d", text, what, smallest, largest);
    return (int)number;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The functions of pthreads return the number of the error, and leave errno as
 * it was. Ends the program if there was an error. */
static void require(int error, const char *what) {
    if (error == 0)
        return;
    errno = error;
    err(1, "%s", what);
}

/* These two calls cannot fail here: see queue.c. */
static void lock(struct server *server) {
    (void)pthread_mutex_lock(&server->lock);
}

static void unlock(struct server *server) {
    (void)pthread_mutex_unlock(&server->lock);
}

static int is_stopping(struct server *server) {
    lock(server);
    int result = server->is_stopping;
    unlock(server);
    return result;
}

/* warn writes its line in pieces. The lock of stderr keeps the pieces of this
 * thread together (lesson 14). errno is another variable in each thread, so no
 * other thread can have changed it. */
static void report(const char *failed) {
    flockfile(stderr);
    warn("%s", failed);
    funlockfile(stderr);
}

/* Without the pause, a call that keeps failing would use a whole processor. */
static void report_and_pause(const char *failed) {
    report(failed);
    deadline_pause(PAUSE_MS);
}

/* Serving one client. Any thread may do this. */

/* Fills in the client's place in the array. Returns 0, or -1 when the server is
 * about to stop, and takes no more clients. */
static int add_client(struct server *server, int fd) {
    struct client *client = &server->places[fd];
    int result = -1;
    lock(server);
    if (!server->is_stopping) {
        client->server = server;
        client->fd = fd;
        client->is_connected = 1;
        server->clients++;
        result = 0;
    }
    unlock(server);
    return result;
}

/* Closes the client. We must hold the lock while we do that: as soon as the
 * descriptor is closed, the next client may get its number, and its place. */
static void remove_client(struct client *client) {
    struct server *server = client->server;
    lock(server);
    (void)close(client->fd);
    client->is_connected = 0;
    server->clients--;
    if (server->clients == 0)
        (void)pthread_cond_signal(&server->last_client_left);
    unlock(server);
}

/* Sends back what the client sends, until it ends its side or a call fails.
 * Returns how many bytes it has sent back. */
static unsigned long long echo(int fd) {
    char buffer[BUFFER_BYTES]; /* on the stack, so each thread has its own */
    unsigned long long bytes = 0;
    for (;;) {
        ssize_t received = recv(fd, buffer, sizeof buffer, 0);
        if (received == 0)
            return bytes;
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0) {
            report("recv");
            return bytes;
        }
        size_t sent;
        int result = stream_write_all(fd, buffer, (size_t)received, &sent);
        bytes += sent;
        if (result < 0) {
            report("send");
            return bytes;
        }
    }
}

static void serve_client(struct client *client) {
    struct server *server = client->server;
    unsigned long long bytes = echo(client->fd);
    lock(server);
    server->served++;
    server->bytes += bytes;
    unlock(server);
    remove_client(client);
}

/* What a thread of one client does. */
static void *run_client(void *argument) {
    serve_client(argument);
    return NULL;
}

/* What a thread of the pool does. */
static void *run_worker(void *argument) {
    struct server *server = argument;
    for (;;) {
        int fd = queue_take(&server->queue);
        if (fd < 0)
            return NULL;
        serve_client(&server->places[fd]);
    }
}

/* Accepting clients, in a thread of its own. */

/* Starts a thread for the client. No other thread waits for its end, so it is
 * detached: when it ends, its memory is freed at once. */
static void start_client(struct client *client) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run_client, client);
    if (error != 0) {
        errno = error;
        report_and_pause("pthread_create");
        remove_client(client);
        return;
    }
    (void)pthread_detach(thread);
}

/* Gives the client that was accepted to a thread. If the array has no place for
 * it, we report the error that accept itself has when descriptors run out. */
static void admit_client(struct server *server, int fd) {
    if (fd >= DESCRIPTORS) {
        (void)close(fd);
        errno = EMFILE;
        report_and_pause("accept");
        return;
    }
    if (add_client(server, fd) < 0) {
        (void)close(fd);
        return;
    }
    struct client *client = &server->places[fd];
    if (server->threads == 0) {
        start_client(client); /* there is no pool */
        return;
    }
    /* When the server is to stop, the queue is closed, and takes nothing. */
    if (queue_put(&server->queue, fd) < 0)
        remove_client(client);
}

/* Accepts clients until the server is to stop. Then the listener is shut down,
 * and accept fails. */
static void *accept_clients(void *argument) {
    struct server *server = argument;
    while (!is_stopping(server)) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            admit_client(server, fd);
            continue;
        }
        /* is_stopping leaves errno as it is, so report_and_pause can use it. */
        if (errno != EINTR && !is_stopping(server))
            report_and_pause("accept");
    }
    return NULL;
}

/* The beginning and the end, in main's thread. */

/* From now on these signals do not interrupt this thread, nor the threads that
 * it creates: they inherit that. */
static void block_signals(sigset_t *signals) {
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGTERM);
    require(pthread_sigmask(SIG_BLOCK, signals, NULL), "pthread_sigmask");
}

/* Sleeps until one of the signals comes. */
static void wait_for_signal(const sigset_t *signals) {
    int signal_number;
    for (;;) {
        int error = sigwait(signals, &signal_number);
        if (error == 0)
            return;
        errno = error;
        report_and_pause("sigwait");
    }
}

/* The sockets that the listener accepts inherit TCP_NODELAY: lesson 05. */
static int listen_on(int port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    return fd;
}

/* The condition for the last client has a clock that nobody can set. */
static void init_locks(struct server *server) {
    pthread_condattr_t attributes;
    require(pthread_mutex_init(&server->lock, NULL), "pthread_mutex_init");
    require(pthread_condattr_init(&attributes), "pthread_condattr_init");
    require(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC),
            "pthread_condattr_setclock");
    require(pthread_cond_init(&server->last_client_left, &attributes),
            "pthread_cond_init");
    (void)pthread_condattr_destroy(&attributes);
    require(queue_init(&server->queue), "queue_init");
}

static void start_pool(struct server *server) {
    for (int i = 0; i < server->threads; i++)
        require(pthread_create(&server->pool[i], NULL, run_worker, server),
                "pthread_create");
}

/* Wakes up the threads that wait in accept, queue_put or queue_take. No signal
 * can do that. But accept returns when we shut down the listener, and the other
 * two return when we close the queue. */
static void stop_accepting(struct server *server, pthread_t acceptor) {
    lock(server);
    server->is_stopping = 1;
    unlock(server);
    (void)shutdown(server->listener, SHUT_RD);
    queue_close(&server->queue);
    require(pthread_join(acceptor, NULL), "pthread_join");
    (void)close(server->listener);
}

/* Shuts down the connections of all clients. Their threads wake up, and close
 * them. No thread can close its client while we are here, because we hold the
 * lock. */
static void shut_down_clients(struct server *server, int how) {
    lock(server);
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if (server->places[fd].is_connected)
            (void)shutdown(fd, how);
    }
    unlock(server);
}

/* Waits until no client is connected, or until the deadline. */
static void wait_for_clients(struct server *server, struct deadline deadline) {
    struct timespec end = {
        .tv_sec = deadline.nanoseconds / NANOSECONDS_A_SECOND,
        .tv_nsec = deadline.nanoseconds % NANOSECONDS_A_SECOND,
    };
    int error = 0;
    lock(server);
    while (server->clients > 0 && error == 0)
        error = pthread_cond_timedwait(&server->last_client_left, &server->lock,
                                       &end);
    unlock(server);
}

/* With SHUT_RD, a thread still receives what its client has sent before, and
 * sends it back. A client that does not read could keep its thread for ever. So
 * after STOP_MS we use SHUT_RDWR, and then the thread's send fails, too. */
static void stop_clients(struct server *server) {
    shut_down_clients(server, SHUT_RD);
    wait_for_clients(server, deadline_after(STOP_MS));
    shut_down_clients(server, SHUT_RDWR);
    wait_for_clients(server, deadline_after(STOP_MS));
    for (int i = 0; i < server->threads; i++)
        require(pthread_join(server->pool[i], NULL), "pthread_join");
}

static void print_totals(struct server *server) {
    lock(server);
    int printed = printf("served %llu clients, %llu bytes\n", server->served,
                         server->bytes);
    unlock(server);
    if (printed < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
}

static void read_arguments(int argc, char **argv, int *threads, int *port) {
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            *threads =
                parse_number(optarg, 1, MOST_THREADS, "number of threads");
        else
            usage(stderr, 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    *port = parse_number(argv[optind], 0, LARGEST_PORT, "port");
}

int main(int argc, char **argv) {
    static struct server server; /* too large for the stack */
    sigset_t signals;
    int port;
    pthread_t acceptor;
    const char *failed;

    read_arguments(argc, argv, &server.threads, &port);
    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    block_signals(&signals);
    init_locks(&server);
    server.listener = listen_on(port);
    start_pool(&server);
    require(pthread_create(&acceptor, NULL, accept_clients, &server),
            "pthread_create");
    if (listener_announce(server.listener, &failed) < 0)
        err(1, "%s", failed);

    wait_for_signal(&signals);
    stop_accepting(&server, acceptor);
    stop_clients(&server);
    print_totals(&server);
    return 0;
}
