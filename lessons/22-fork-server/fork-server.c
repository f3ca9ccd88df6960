/*
 * 22-fork-server: send each client back what it sends, in a process for each.
 *
 * Shows fork(2): a copy of our process that serves one client, so that no
 * client waits for another. Also shows what that asks of the parent: it closes
 * its own copy of each connection, and it asks for the exit status of each
 * child (waitpid). And it takes signals only where they do no harm
 * (sigprocmask, ppoll).
 *
 * usage: 22-fork-server [-m MAXCHILDREN] PORT
 *
 * At most MAXCHILDREN clients are served at the same time (512 unless given).
 * The others wait in the queue of the listener. SIGINT or SIGTERM ends the
 * server and its children.
 *
 * Left out: a client that is being served when the server ends is cut off (this
 * lesson's exercise lets it finish), and a client that says nothing keeps its
 * process for ever (lesson 07 has deadlines).
 */
#define _GNU_SOURCE

#include "addr.h"
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    DEFAULT_CHILDREN = 512, /* unless -m says otherwise */
    MOST_CHILDREN = 4096,   /* the largest MAXCHILDREN */
    PIECE_BYTES = 16384,
    PAUSE_MS = 100, /* after a call that failed */
};

struct child {
    pid_t pid;
    char client[ADDR_TEXT_BYTES];
};

struct server {
    int listener;
    size_t limit;       /* the most children at the same time */
    size_t count;       /* how many there are */
    sigset_t unblocked; /* a signal mask that blocks none of our signals */
    struct child children[MOST_CHILDREN];
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 22-fork-server [-m MAXCHILDREN] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless the text is a
 * number from least to most, in digits alone. */
static unsigned parse_number(const char *text, unsigned least, unsigned most,
                             const char *what) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s is not a %s: %u to %u", text, what, least, most);
    return (unsigned)number;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

/* SIGCHLD says that a child has ended. It only has to interrupt ppoll. */
static void wake_up(int signal_number) {
    (void)signal_number;
}

/* These calls fail only for a signal number that does not exist. */
static void set_handler(int signal_number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
}

/* From here on, our three signals wait in the kernel until we let them in. */
static void catch_signals(struct server *server) {
    sigset_t ours;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ours, &server->unblocked);
    /* This is the mask from before. Our own parent may have blocked our signals
     * in it already, so we take them out. */
    (void)sigdelset(&server->unblocked, SIGINT);
    (void)sigdelset(&server->unblocked, SIGTERM);
    (void)sigdelset(&server->unblocked, SIGCHLD);
    set_handler(SIGINT, request_stop);
    set_handler(SIGTERM, request_stop);
    set_handler(SIGCHLD, wake_up);
    set_handler(SIGPIPE, SIG_IGN); /* a reader that has left is an error */
}

/* Lets in the signals that wait, so that their handlers run, and blocks them
 * again. ppoll does the same, but not when a client is in the queue: then it
 * returns at once. */
static void deliver_signals(const struct server *server) {
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, &server->unblocked, &blocked);
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Returns a listener at 127.0.0.1. It is non-blocking: should a client in the
 * queue be gone when we accept it, we must not wait for the next one. */
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

/* The reason for a failure may go away. Without the pause, a call that goes on
 * failing would use a whole processor. */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* Sends the client back what it sends, until the client ends its side or a call
 * fails. Returns how many bytes that was. */
static unsigned long long echo(int fd, const char *client) {
    char piece[PIECE_BYTES];
    unsigned long long total = 0;
    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received == 0)
            return total;
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0) {
            warn("recv from %s", client);
            return total;
        }
        size_t sent;
        int result = stream_write_all(fd, piece, (size_t)received, &sent);
        total += sent;
        if (result < 0) {
            warn("send to %s", client);
            return total;
        }
    }
}

/* What a child does. It ends here, and never returns to the parent's loop. */
static _Noreturn void run_child(const struct server *server, int fd,
                                const char *client, pid_t parent) {
    /* When the parent ends, so does the child: lesson 09. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        warn("prctl");
    if (getppid() != parent)
        _exit(1); /* the parent had ended before we called prctl */
    (void)close(server->listener);
    set_handler(SIGINT, SIG_IGN); /* a Ctrl-C is for the parent */
    set_handler(SIGTERM, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &server->unblocked, NULL);

    if (printf("%s connected: process %d\n", client, (int)getpid()) < 0)
        warn("standard output");
    unsigned long long total = echo(fd, client);
    if (printf("%s closed after %llu bytes\n", client, total) < 0)
        warn("standard output");
    /* _exit closes the connection. It does not write what is still in the
     * buffer of stdout, but nothing is there: see setvbuf in main. */
    _exit(0);
}

static void add_child(struct server *server, pid_t pid, const char *client) {
    struct child *child = &server->children[server->count];
    child->pid = pid;
    (void)snprintf(child->client, sizeof child->client, "%s", client);
    server->count++;
}

/* Says so if a child has crashed, or was killed. */
static void report_end(const struct child *child, int status) {
    if (!WIFSIGNALED(status))
        return; /* it has called _exit */
    int signal_number = WTERMSIG(status);
    warnx("process %d, for %s: ended by signal %d (%s)", (int)child->pid,
          child->client, signal_number, strsignal(signal_number));
}

/* This child has ended: takes it out of the array, and moves the last one into
 * its place. When we are stopping, its end is no news: we have asked for it. */
static void remove_child(struct server *server, pid_t pid, int status) {
    for (size_t i = 0; i < server->count; i++) {
        struct child *child = &server->children[i];
        if (child->pid != pid)
            continue;
        if (!stopping)
            report_end(child, status);
        server->count--;
        *child = server->children[server->count];
        return;
    }
}

/* Asks for all children that have ended. If several end at about the same time,
 * one SIGCHLD may stand for all of them. */
static void reap_children(struct server *server) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return; /* 0: no other child has ended; -1: there is no child */
        remove_child(server, pid, status);
    }
}

/* Sleeps until a client is in the queue, and returns 1; or until a signal has
 * come, and returns 0. If there are as many children as allowed, it waits only
 * for a signal. Our signals are blocked everywhere but here and in
 * deliver_signals. So no signal can come between the test of `stopping` in
 * serve and the call of ppoll here. */
static int wait_for_client(const struct server *server) {
    struct pollfd entry = {.fd = server->listener, .events = POLLIN};
    nfds_t entries = 1;
    if (server->count == server->limit)
        entries = 0;
    int ready = ppoll(&entry, entries, NULL, &server->unblocked);
    if (ready < 0 && errno != EINTR)
        warn_and_pause("ppoll");
    return ready > 0;
}

/* Makes a process that serves the client. */
static void start_child(struct server *server, int fd, const char *client) {
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(server, fd, client, parent);
    if (pid > 0)
        add_child(server, pid, client);
    else
        warn_and_pause("fork");
}

/* Accepts the next client in the queue, and makes a child for it. */
static void accept_client(struct server *server) {
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    int fd = accept4(server->listener, (struct sockaddr *)&peer, &length,
                     SOCK_CLOEXEC);
    if (fd < 0 && errno == EAGAIN)
        return; /* nobody is in the queue */
    if (fd < 0) {
        warn_and_pause("accept");
        return;
    }
    char client[ADDR_TEXT_BYTES];
    (void)addr_format((struct sockaddr *)&peer, length, client);
    start_child(server, fd, client);
    (void)close(fd); /* the child has its own copy */
}

/* Tells all children to end, and waits until they have. If kill fails, we end,
 * and then the kernel sends them SIGTERM: PR_SET_PDEATHSIG in run_child. */
static void end_children(struct server *server) {
    for (size_t i = 0; i < server->count; i++) {
        if (kill(server->children[i].pid, SIGTERM) < 0)
            err(1, "kill");
    }
    while (server->count > 0) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0) {
            warn("waitpid");
            return;
        }
        remove_child(server, pid, status);
    }
}

static void serve(struct server *server) {
    while (!stopping) {
        reap_children(server);
        if (wait_for_client(server))
            accept_client(server);
        deliver_signals(server);
    }
}

int main(int argc, char **argv) {
    static struct server server; /* it is too large for the stack */
    server.limit = DEFAULT_CHILDREN;
    for (;;) {
        int option = getopt(argc, argv, "+hm:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'm')
            server.limit =
                parse_number(optarg, 1, MOST_CHILDREN, "number of children");
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    unsigned port = parse_number(argv[optind], 0, LARGEST_PORT, "port");
    require_output();
    /* Many processes write to these two streams. So each line must be a single
     * write(2), or the lines of two processes could mix. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    catch_signals(&server);

    const char *failed;
    server.listener = listen_on((in_port_t)port);
    if (listener_announce(server.listener, &failed) < 0)
        err(1, "%s", failed);
    serve(&server);
    (void)close(server.listener);
    end_children(&server);
    return 0;
}
