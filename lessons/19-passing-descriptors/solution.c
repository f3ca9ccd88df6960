/*
 * 19 solution: a server that is replaced without losing a client, one good
 * answer of many.
 *
 * usage: 19-passing-descriptors PATH PORT
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
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    PIECE_BYTES = 4096,
    GREETING_BYTES = sizeof "process -2147483648\n",
    MOST_CLIENTS = 1000,
    BACKLOG = 8,        /* new processes that may wait; there is one at most */
    PATIENCE_MS = 5000, /* how long we wait for the old process */
    PAUSE_MS = 100,     /* after a call failed because something had run out */
};

/* Places in the array for poll. A place whose fd is -1 is empty. */
enum {
    LISTENER,     /* clients connect to this one */
    CONTROL,      /* new processes connect to this one, at PATH */
    SUCCESSOR,    /* the new process that has our listener, to be confirmed */
    FIRST_CLIENT, /* clients are from here on */
    PLACES = FIRST_CLIENT + MOST_CLIENTS,
};

struct server {
    struct pollfd polled[PLACES];
    int clients;     /* how many are connected */
    int is_replaced; /* the new process has confirmed */
};

/* The control buffer, at an address that suits a struct cmsghdr. */
struct control {
    alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 19-passing-descriptors PATH PORT\n", out);
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

/* Returns the address that names this path: lesson 18. */
static struct sockaddr_un parse_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < 1 || length >= sizeof address.sun_path)
        errx(1, "not a path of 1 to 107 bytes: %s", path);
    memcpy(address.sun_path, path, length);
    return address;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static int make_unix_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

/* Without the pause, a call that keeps failing would use a whole processor. */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* The new process. */

/* Returns a connection to the process that serves now, or -1 if there is none.
 * Then there is no file at the path, or nobody listens there any more. */
static int connect_to_old(const struct sockaddr_un *address) {
    int fd = make_unix_socket();
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return fd;
    if (errno != ENOENT && errno != ECONNREFUSED)
        err(1, "connect %s", address->sun_path);
    (void)close(fd);
    return -1;
}

/* Whether this control message brings one descriptor, and nothing else. */
static int holds_one_descriptor(const struct cmsghdr *header) {
    if (header->cmsg_level != SOL_SOCKET)
        return 0;
    if (header->cmsg_type != SCM_RIGHTS)
        return 0;
    return header->cmsg_len == CMSG_LEN(sizeof(int));
}

/* Returns the listener that the old process sends. Its port stays as it is, and
 * so does its queue of clients: both belong to the open socket. */
static int receive_listener(int old) {
    char byte;
    int listener;
    struct iovec data = {.iov_base = &byte, .iov_len = sizeof byte};
    struct control control;
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_LEN(sizeof listener), /* room for one */
    };
    if (deadline_wait(deadline_after(PATIENCE_MS), old, POLLIN) < 0)
        err(1, "no answer from the old process");
    if (recvmsg(old, &message, MSG_CMSG_CLOEXEC) < 0)
        err(1, "recvmsg");
    /* Either the message had more descriptors than we have room for, or no
     * number was free for ours. The kernel has closed what we did not get. */
    if (message.msg_flags & MSG_CTRUNC)
        errx(1, "the old process sent what we have no room for");
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || !holds_one_descriptor(header))
        errx(1, "the old process did not send its listener");
    memcpy(&listener, CMSG_DATA(header), sizeof listener);
    return listener;
}

/* Tells the old process that we have the listener and can accept. */
static void confirm(int old) {
    const char byte = 0; /* the old process ignores its value */
    size_t sent;
    if (stream_write_all(old, &byte, sizeof byte, &sent) < 0)
        err(1, "the old process has ended");
    (void)close(old);
}

/* Returns a listener of our own, for the first process. It is non-blocking, and
 * stays so when it is passed on. Another process may accept the client that
 * poll has reported to us. Then accept must fail, and not wait. */
static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((const struct sockaddr *)&own, sizeof own, SOMAXCONN,
                           0, &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

/* Listens at the path. If there is a socket's file already, we remove it. It is
 * left from a process that has ended, or it is that of the old process, which
 * needs it no more. A file of another kind is not ours: lesson 18. */
static int open_control(const struct sockaddr_un *address) {
    int fd = make_unix_socket();
    struct stat file;
    if (lstat(address->sun_path, &file) == 0 && !S_ISSOCK(file.st_mode))
        errx(1, "%s is a file, and not a socket", address->sun_path);
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        err(1, "unlink %s", address->sun_path);
    /* Without this, other users could connect here and get our listener, and
     * with it our clients: lesson 18. */
    (void)umask(S_IRWXG | S_IRWXO);
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0)
        err(1, "bind %s", address->sun_path);
    if (listen(fd, BACKLOG) < 0)
        err(1, "listen");
    return fd;
}

/* The old process. */

/* Sends a copy of the listener. Returns 0, or -1 and errno. */
static int send_listener(int new, int listener) {
    char byte = 0;
    struct iovec data = {.iov_base = &byte, .iov_len = sizeof byte};
    struct control control = {0};
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof listener);
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    if (sendmsg(new, &message, 0) < 0)
        return -1;
    return 0;
}

/* Closes what is at this place of the array, and leaves the place empty. */
static void close_place(struct server *server, int place) {
    if (server->polled[place].fd >= 0)
        (void)close(server->polled[place].fd);
    server->polled[place].fd = -1;
}

/* A new process has connected: sends it our listener. If an earlier new process
 * has not confirmed yet, we close our connection to it. */
static void answer_successor(struct server *server) {
    int fd = accept4(server->polled[CONTROL].fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        warn_and_pause("accept");
        return;
    }
    close_place(server, SUCCESSOR);
    server->polled[SUCCESSOR].fd = fd;
    if (send_listener(fd, server->polled[LISTENER].fd) < 0) {
        warn("sendmsg");
        close_place(server, SUCCESSOR);
    }
}

/* The new process has confirmed, or has ended. If it has confirmed, it accepts
 * all clients from now on, also those that are in the queue already. (Why
 * MSG_DONTWAIT? See `receive` in lesson 18.) */
static void receive_confirmation(struct server *server) {
    char byte;
    ssize_t received =
        recv(server->polled[SUCCESSOR].fd, &byte, 1, MSG_DONTWAIT);
    close_place(server, SUCCESSOR);
    if (received <= 0) {
        warnx("the new process has not confirmed, so we go on");
        return;
    }
    server->is_replaced = 1;
    close_place(server, LISTENER);
    close_place(server, CONTROL);
}

/* The clients. */

/* Accepts the next client, and tells it which process it talks to. */
static void accept_client(struct server *server) {
    char greeting[GREETING_BYTES];
    size_t sent;
    int fd = accept4(server->polled[LISTENER].fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
            warn_and_pause("accept");
        return;
    }
    int length =
        snprintf(greeting, sizeof greeting, "process %d\n", (int)getpid());
    if (stream_write_all(fd, greeting, (size_t)length, &sent) < 0) {
        warn("send");
        (void)close(fd);
        return;
    }
    server->polled[FIRST_CLIENT + server->clients] =
        (struct pollfd){.fd = fd, .events = POLLIN};
    server->clients++;
}

/* Closes the client, and moves the last one to its place. */
static void close_client(struct server *server, int place) {
    (void)close(server->polled[place].fd);
    server->clients--;
    server->polled[place] = server->polled[FIRST_CLIENT + server->clients];
}

/* Sends the client back what it has sent. Returns 0, or -1 when the client is
 * to be closed. */
static int serve_client(int fd) {
    char piece[PIECE_BYTES];
    size_t sent;
    ssize_t received = recv(fd, piece, sizeof piece, 0);
    if (received == 0)
        return -1;
    if (received < 0 && errno == EINTR)
        return 0; /* poll will report this client again */
    if (received < 0) {
        warn("recv");
        return -1;
    }
    if (stream_write_all(fd, piece, (size_t)received, &sent) < 0) {
        warn("send");
        return -1;
    }
    return 0;
}

/* Waits until something happens, and does what there is to do. */
static void handle_events(struct server *server) {
    struct pollfd *polled = server->polled;
    polled[LISTENER].events = POLLIN;
    if (server->clients == MOST_CLIENTS)
        polled[LISTENER].events = 0; /* new clients wait in the queue */
    int places = FIRST_CLIENT + server->clients;
    if (poll(polled, (nfds_t)places, -1) < 0) {
        if (errno != EINTR)
            warn_and_pause("poll");
        return;
    }
    /* From the last to the first: close_client moves the last client into the
     * place of the closed one, and the last client has been served already. */
    for (int i = places - 1; i >= FIRST_CLIENT; i--) {
        if (polled[i].revents == 0)
            continue;
        if (serve_client(polled[i].fd) < 0)
            close_client(server, i);
    }
    if (polled[LISTENER].revents != 0)
        accept_client(server);
    if (polled[SUCCESSOR].revents != 0) {
        /* This may close CONTROL, so we do not look at CONTROL now. If CONTROL
         * stays open, the next poll reports it again. */
        receive_confirmation(server);
    } else if (polled[CONTROL].revents != 0) {
        answer_successor(server);
    }
}

int main(int argc, char **argv) {
    static struct server server; /* it is large */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    struct sockaddr_un address = parse_path(argv[1]);
    in_port_t port = parse_port(argv[2]);
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* send fails instead of killing us */

    int old = connect_to_old(&address);
    int listener;
    if (old < 0)
        listener = open_listener(port);
    else
        listener = receive_listener(old);
    int control = open_control(&address);
    const char *failed;
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    if (old >= 0)
        confirm(old);

    server.polled[LISTENER] = (struct pollfd){.fd = listener, .events = POLLIN};
    server.polled[CONTROL] = (struct pollfd){.fd = control, .events = POLLIN};
    server.polled[SUCCESSOR] = (struct pollfd){.fd = -1, .events = POLLIN};
    /* A process that has been replaced still serves the clients that it has. */
    while (!server.is_replaced || server.clients > 0)
        handle_events(&server);
    return 0;
}
