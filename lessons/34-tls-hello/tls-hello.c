/*
 * 34-tls-hello: reads the first message of each TLS client, prints what it says
 * to everybody on the way, and passes the connection on to the server that the
 * client wants.
 *
 * Shows how to look at bytes and leave them in the socket (MSG_PEEK), how to
 * wait until there are more of them (SO_RCVLOWAT), and what of TLS is not
 * encrypted. This file gives each client a thread. What the thread does for its
 * client is in the modules of this lesson; read them in this order:
 *
 *   peek      looks at the first message, and leaves it in the socket
 *   report    prints what the message says, and its fingerprint
 *   route     which server the client gets for its name
 *   relay     takes a client to its server, or refuses it
 *
 * client.h has what we know of a client. common/hello.c reads the message. It
 * belongs to this lesson, so read it too.
 *
 * usage: 34-tls-hello [-p] NAME=HOST:PORT... PORT
 *
 * A client that asks for NAME is connected to HOST:PORT. With -p, what the
 * message says is printed. SIGINT or SIGTERM ends the program, and all
 * connections with it.
 *
 * Left out: the server does not learn the address of the client, because the
 * connection to the server is ours.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "client.h"
#include "deadline.h"
#include "hello.h"
#include "listener.h"
#include "peek.h"
#include "relay.h"
#include "report.h"
#include "route.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    CONNECTIONS = 256, /* at the same time; others wait in the queue */
    STACK_BYTES = 256 * 1024,
    PAUSE_MS = 100, /* after a call that failed */
};

struct options {
    bool prints_all;
    in_port_t port;
    struct route_table routes;
};

/* Set by the signal handler: the program is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 34-tls-hello [-p] NAME=HOST:PORT... PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- Arguments -------------------------------------------------------------
 */

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+hp");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'p')
            options->prints_all = true;
        else
            usage(stderr, 2);
    }
    if (argc - optind < 2)
        usage(stderr, 2);
    const char *port = argv[argc - 1];
    if (addr_parse_port(port, strlen(port), 0, &options->port) < 0)
        errx(1, "%s is not a port: 0 to %d", port, LARGEST_PORT);
    for (int i = optind; i < argc - 1; i++)
        route_add(&options->routes, argv[i]);
}

/* ---- Clients ---------------------------------------------------------------
 */

static void serve_client(struct client *client) {
    if (!peek_hello(client))
        return;
    if (hello_parse(&client->hello, client->message, client->message_length) <
        0) {
        warnx("%s: the ClientHello is damaged", client->name);
        return;
    }
    if (client->options->prints_all)
        report_hello(client);
    const struct route *route =
        route_find(&client->options->routes, &client->hello.name);
    if (route == NULL)
        relay_refuse(client);
    else
        relay_connect(client, route);
}

/* What each thread does. */
static void *run_client(void *argument) {
    struct client *client = argument;
    sem_t *places = client->places;
    serve_client(client);
    (void)close(client->fd);
    free(client);
    (void)sem_post(places);
    return NULL;
}

/* The reason for a failure may go away. Without the pause, a call that goes on
 * failing would use a whole processor. */
static void warn_and_pause(const char *failed, int error) {
    warnx("%s: %s", failed, strerror(error));
    deadline_pause(PAUSE_MS);
}

/* Starts a thread for the client. Nobody waits for its end (lesson 23). It
 * begins with all signals blocked, so they come to the first thread. */
static bool start_thread(struct client *client,
                         const pthread_attr_t *detached) {
    sigset_t all;
    sigset_t usual;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &usual);
    int error = pthread_create(&thread, detached, run_client, client);
    (void)pthread_sigmask(SIG_SETMASK, &usual, NULL);
    if (error != 0)
        warn_and_pause("pthread_create", error);
    return error == 0;
}

/* Takes a client out of the queue, and gives it to a thread. Returns false when
 * no thread was started. Then the caller gives its place back. */
static bool accept_client(int listener, const struct options *options,
                          sem_t *places, const pthread_attr_t *detached) {
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    if (fd < 0 && errno == EINTR)
        return false;
    if (fd < 0) {
        warn_and_pause("accept", errno);
        return false;
    }
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        (void)close(fd);
        warn_and_pause("calloc", errno);
        return false;
    }
    client->options = options;
    client->places = places;
    client->fd = fd;
    (void)addr_format((struct sockaddr *)&peer, length, client->name);
    if (!start_thread(client, detached)) {
        (void)close(fd);
        free(client);
        return false;
    }
    return true;
}

/* A signal that comes just before accept begins to wait does not end it. So
 * another follows every second: lesson 02. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void serve(int listener, const struct options *options) {
    sem_t places;
    pthread_attr_t detached;
    (void)sem_init(&places, 0, CONNECTIONS);
    (void)pthread_attr_init(&detached);
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&detached, STACK_BYTES);
    while (!stopping) {
        if (sem_wait(&places) < 0)
            continue; /* a signal has interrupted it */
        bool accepted = accept_client(listener, options, &places, &detached);
        if (!accepted)
            (void)sem_post(&places);
    }
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
}

/* If 1 or 2 were free, a socket would get that number: lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The connections to our clients inherit TCP_NODELAY from the listener. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (relay_send_at_once(fd) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (listener_announce(fd, &failed) < 0)
        err(1, "%s", failed);
    return fd;
}

int main(int argc, char **argv) {
    static struct options options;
    parse_options(&options, argc, argv);
    require_output();
    /* EVP_DigestInit_ex would crash if this had not been set up. */
    if (OSSL_LIB_CTX_get0_global_default() == NULL)
        errx(1, "OSSL_LIB_CTX_get0_global_default: no memory");
    handle_signals();
    int listener = listen_on(options.port);
    serve(listener, &options);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    /* This ends the threads, too, and closes their connections. exit would also
     * clean up OpenSSL, which a thread may be using. */
    _exit(0);
}
