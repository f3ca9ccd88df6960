/*
 * 17 solution: a server that takes the listeners which another program has
 * opened for it; one good answer of many.
 *
 * usage: 17-create-server PORT COMMAND
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
#include <limits.h>
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
    FIRST_LISTENER = 3,  /* sd_listen_fds(3): SD_LISTEN_FDS_START */
    MOST_LISTENERS = 16, /* in LISTEN_FDS */
    PIECE_BYTES = 4096,
    PAUSE_MS = 100, /* after a call that failed */
};

/* The listeners of this server. */
struct server {
    struct pollfd listeners[MOST_LISTENERS];
    nfds_t count;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 17-create-server PORT COMMAND\n", out);
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

static void add_listener(struct server *server, int fd) {
    struct pollfd *added = &server->listeners[server->count];
    added->fd = fd;
    added->events = POLLIN;
    server->count++;
}

/* Returns whether the variables LISTEN_PID and LISTEN_FDS are meant for this
 * process. If our parent inherited them and did not remove them, LISTEN_PID is
 * the number of another process. */
static int is_activated(void) {
    const char *text = getenv("LISTEN_PID");
    unsigned long long pid;
    if (text == NULL)
        return 0;
    if (number_parse(text, 1, INT_MAX, &pid) < 0)
        return 0;
    return (pid_t)pid == getpid();
}

/* Returns how many listeners have been opened for us. */
static int number_of_listeners(void) {
    const char *text = getenv("LISTEN_FDS");
    unsigned long long count;
    if (text == NULL)
        errx(1, "LISTEN_FDS is not set");
    if (number_parse(text, 1, MOST_LISTENERS, &count) < 0)
        errx(1, "LISTEN_FDS=%s is not a number from 1 to %d", text,
             MOST_LISTENERS);
    return (int)count;
}

/* Ends the program unless the descriptor is a listener. */
static void require_listener(int fd) {
    int listens;
    socklen_t length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
        err(1, "descriptor %d", fd);
    if (!listens)
        errx(1, "descriptor %d is not a listener", fd);
}

static void take_listeners(struct server *server) {
    int count = number_of_listeners();
    for (int fd = FIRST_LISTENER; fd < FIRST_LISTENER + count; fd++) {
        require_listener(fd);
        /* We have inherited this listener, but COMMAND must not inherit it. */
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            err(1, "descriptor %d", fd);
        add_listener(server, fd);
    }
}

static void open_listener(struct server *server, in_port_t port) {
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
    add_listener(server, fd);
}

static void announce(const struct server *server) {
    for (nfds_t i = 0; i < server->count; i++) {
        const char *failed;
        if (listener_announce(server->listeners[i].fd, &failed) < 0)
            err(1, "%s", failed);
    }
}

/* Removes the variables, so that COMMAND does not inherit them. When we have
 * ended, a program that COMMAND started could get our process id by chance, and
 * would then believe that the variables are for itself. unsetenv fails only if
 * a name is empty or contains a '='. */
static void remove_variables(void) {
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

/* Sends the output of the command to the client, until the output ends or the
 * client has left. */
static void copy_output(FILE *output, int fd) {
    char piece[PIECE_BYTES];
    for (;;) {
        size_t length = fread(piece, 1, sizeof piece, output);
        if (length == 0)
            break;
        size_t sent;
        if (stream_write_all(fd, piece, length, &sent) < 0) {
            warn("send");
            break;
        }
    }
    if (ferror(output))
        warn("read from the command");
}

static void serve_client(int fd, const char *command) {
    /* It is the task of this program to run the caller's command. The e means
     * close-on-exec. NOLINTNEXTLINE(cert-env33-c) */
    FILE *output = popen(command, "re");
    if (output == NULL) {
        warn("popen %s", command);
        return;
    }
    copy_output(output, fd);
    (void)pclose(output); /* how the command ended is not our concern */
}

/* Says which call has failed, and pauses before we try again. Without the
 * pause, a call that fails again and again would keep a processor busy. */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

static void accept_client(int listener, const char *command) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        warn_and_pause("accept");
        return;
    }
    serve_client(fd, command);
    (void)close(fd); /* an error changes nothing for the next client */
}

/* Serves one client after another, whichever listener they come to. */
static _Noreturn void serve(struct server *server, const char *command) {
    for (;;) {
        if (poll(server->listeners, server->count, -1) < 0) {
            warn_and_pause("poll");
            continue;
        }
        for (nfds_t i = 0; i < server->count; i++) {
            if (server->listeners[i].revents != 0)
                accept_client(server->listeners[i].fd, command);
        }
    }
}

/* The signal handler of SIGPIPE. Why do we not ignore the signal? COMMAND would
 * inherit that, and would ignore SIGPIPE too. A handler is not inherited, so
 * SIGPIPE still ends COMMAND: execve(2). */
static void do_nothing(int signal_number) {
    (void)signal_number;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);
    (void)signal(SIGPIPE, do_nothing); /* send fails instead of killing us */

    struct server server = {0};
    if (is_activated())
        take_listeners(&server);
    else
        open_listener(&server, port);
    remove_variables();
    announce(&server);
    serve(&server, argv[2]);
}
