/*
 * 33-socks-proxy: connects clients to the servers that they ask for, and passes
 * everything on.
 *
 * Shows SOCKS 5 (RFC 1928), a protocol that is only a few bytes long;
 * splice(2), which moves bytes from one socket to another without our program
 * seeing them; and which addresses a proxy must not connect to. This file
 * starts the proxy, accepts clients, and gives each of them a thread for its
 * handshake. The rest is in the modules of this lesson; read them in this
 * order:
 *
 *   socks5    the handshake of SOCKS 5 with a client
 *   users     the names and passwords of those who may use the proxy
 *   target    connects to the server that a client asks for, if it is allowed
 *   network   which addresses no outsider can reach
 *   tunnel    passes on bytes between a client and its server
 *
 * proxy.h has what all tunnels share.
 *
 * usage: 33-socks-proxy [-a NETWORK]... [-u FILE] PORT
 *
 * Addresses of this machine and of private networks are refused, unless they
 * belong to a NETWORK such as 10.0.0.0/8. With -u, a client needs one of the
 * names and passwords in FILE, a NAME:PASSWORD a line. SIGINT or SIGTERM ends
 * the proxy.
 *
 * Left out: UDP and connections from servers to clients (the other two commands
 * of SOCKS 5); encryption between client and proxy.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "listener.h"
#include "loop.h"
#include "network.h"
#include "proxy.h"
#include "socks5.h"
#include "tunnel.h"
#include "users.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    THREADS = 256, /* so many clients are at their handshake together */
    STACK_BYTES = 256 * 1024,
    PAUSE_MS = 100, /* after a call that failed */
};

/* What a thread sends us when it has done a handshake. */
struct result {
    struct tunnel *tunnel;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 33-socks-proxy [-a NETWORK]... [-u FILE] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- Arguments -------------------------------------------------------------
 */

static void add_network(struct options *options, const char *text) {
    if (options->network_count == NETWORKS)
        errx(1, "there are more than %d networks", NETWORKS);
    if (network_parse(&options->networks[options->network_count], text) < 0)
        errx(1, "%s is not a network such as 10.0.0.0/8", text);
    options->network_count++;
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+ha:u:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'a')
            add_network(options, optarg);
        else if (option == 'u')
            options->users = users_read(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    const char *port = argv[optind];
    if (addr_parse_port(port, strlen(port), 0, &options->port) < 0)
        errx(1, "%s is not a port: 0 to %d", port, LARGEST_PORT);
}

/* ---- Clients ---------------------------------------------------------------
 */

/* Clients are accepted only while there can be another thread, and not while
 * there is a pause. */
static void watch_listener(struct proxy *proxy) {
    uint32_t events = 0;
    bool is_pause = proxy->accept_pause.timeout != NULL;
    if (proxy->threads < THREADS && !is_pause)
        events = EPOLLIN;
    if (loop_watch(&proxy->loop, &proxy->listener_watcher, events) < 0) {
        /* The kernel has no room for it now. After a pause we try again. */
        warn("epoll_ctl");
        loop_start_timer(&proxy->accept_pause_time, &proxy->accept_pause);
    }
}

/* The reason for a failure may go away. Without the pause, the listener would
 * be ready again at once, and a call that goes on failing would use a whole
 * processor. The loop goes on meanwhile, so the tunnels do not wait. */
static void warn_and_pause(struct proxy *proxy, const char *call, int error) {
    warnx("%s: %s", call, strerror(error));
    loop_start_timer(&proxy->accept_pause_time, &proxy->accept_pause);
    watch_listener(proxy);
}

/* The loop calls this when a pause is over. */
static void handle_accept_pause(void *owner) {
    watch_listener(owner);
}

/* What each thread does. A handshake waits for its client, and looking up a
 * name waits for name servers. So it has a thread of its own. Afterwards, the
 * tunnel goes to the loop: a pipe passes on a pointer whole, because it
 * has fewer bytes than PIPE_BUF: pipe(7). */
static void *run_handshake(void *argument) {
    const struct result result = {.tunnel = argument};
    int results = result.tunnel->proxy->results[1];
    socks5_shake_hands(result.tunnel);
    if (write(results, &result, sizeof result) != sizeof result)
        err(1, "write to the pipe of our own");
    return NULL;
}

/* Gives a tunnel to a thread, which begins with the handshake. All signals are
 * blocked in it: they are for the loop. */
static int start_thread(struct proxy *proxy, struct tunnel *tunnel) {
    sigset_t all;
    sigset_t usual;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &usual);
    int error =
        pthread_create(&thread, &proxy->detached, run_handshake, tunnel);
    (void)pthread_sigmask(SIG_SETMASK, &usual, NULL);
    if (error != 0) {
        warn_and_pause(proxy, "pthread_create", error);
        return -1;
    }
    proxy->threads++;
    return 0;
}

/* The loop calls this when a client is in the queue of the listener. */
static void handle_listener(void *owner, uint32_t events) {
    struct proxy *proxy = owner;
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    (void)events;
    int fd = accept4(proxy->listener, (struct sockaddr *)&peer, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
        return; /* this client has gone */
    if (fd < 0) {
        warn_and_pause(proxy, "accept", errno);
        return;
    }
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    if (tunnel == NULL) {
        (void)close(fd);
        warn_and_pause(proxy, "calloc", errno);
        return;
    }
    tunnel->proxy = proxy;
    tunnel->client = fd;
    tunnel->server = -1;
    (void)addr_format((struct sockaddr *)&peer, length, tunnel->client_name);
    if (start_thread(proxy, tunnel) < 0) {
        (void)close(fd);
        free(tunnel);
    }
    watch_listener(proxy);
}

/* The loop calls this when a thread has finished a handshake. */
static void handle_result(void *owner, uint32_t events) {
    struct proxy *proxy = owner;
    struct result result;
    (void)events;
    if (read(proxy->results[0], &result, sizeof result) != sizeof result) {
        warn("read from the pipe of our own"); /* the loop calls us again */
        return;
    }
    struct tunnel *tunnel = result.tunnel;
    proxy->threads--;
    watch_listener(proxy);
    if (tunnel->server >= 0) {
        tunnel_start(tunnel);
    } else {
        (void)close(tunnel->client);
        free(tunnel);
    }
}

/* ---- The proxy -------------------------------------------------------------
 */

/* If 0, 1 or 2 were free, a socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* A tunnel has six descriptors. We may raise our own limit as far as the hard
 * one: lesson 25. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "setrlimit");
}

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
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

static void open_proxy(struct proxy *proxy) {
    const char *failed;
    if (loop_open(&proxy->loop, &failed) < 0)
        err(1, "%s", failed);
    tunnel_add_timeout(proxy);
    proxy->accept_pause_time.milliseconds = PAUSE_MS;
    proxy->accept_pause_time.handle = handle_accept_pause;
    loop_add_timeout(&proxy->loop, &proxy->accept_pause_time);
    proxy->accept_pause.owner = proxy;
    if (pipe2(proxy->results, O_CLOEXEC) < 0)
        err(1, "pipe2");
    proxy->results_watcher = (struct loop_watcher){
        .handle = handle_result, .owner = proxy, .fd = proxy->results[0]};
    if (loop_watch(&proxy->loop, &proxy->results_watcher, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    (void)pthread_attr_init(&proxy->detached);
    (void)pthread_attr_setdetachstate(&proxy->detached,
                                      PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&proxy->detached, STACK_BYTES);

    proxy->listener = listen_on(proxy->options.port);
    proxy->listener_watcher = (struct loop_watcher){
        .handle = handle_listener, .owner = proxy, .fd = proxy->listener};
    if (loop_watch(&proxy->loop, &proxy->listener_watcher, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (listener_announce(proxy->listener, &failed) < 0)
        err(1, "%s", failed);
}

int main(int argc, char **argv) {
    static struct proxy proxy;
    parse_options(&proxy.options, argc, argv);
    require_standard_descriptors();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    /* splice has no MSG_NOSIGNAL. When a client has left, it must fail, and not
     * kill us: lesson 20. */
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    open_proxy(&proxy);
    while (!proxy.loop.is_stop_requested) {
        if (loop_turn(&proxy.loop, -1) < 0) {
            warn("epoll_wait");
            deadline_pause(PAUSE_MS); /* the next call may fail, too */
        }
    }
    return 0; /* this ends all threads and connections */
}
