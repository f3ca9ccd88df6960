/*
 * 19-passing-descriptors: accept in one process, and greet in others.
 *
 * Shows that an open connection can be sent to another process as a message:
 * sendmsg(2) and recvmsg(2) with SCM_RIGHTS, over a pair of connected sockets.
 * A parent accepts all clients and passes each to one of its workers. The
 * worker greets the client with its own number, and keeps the connection until
 * the client closes it.
 *
 * usage: 19-passing-descriptors [-w WORKERS] PORT      (0: any free port)
 *
 * Left out: a worker that ends is not replaced. A worker has one client at a
 * time, and a client that stays keeps its worker for ever.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "listener.h"
#include "number.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    WORKERS = 2, /* if -w does not say how many */
    MOST_WORKERS = 64,
    PIECE_BYTES = 4096, /* of what a client sends, which nobody needs */
    PAUSE_NANOSECONDS = 100 * 1000 * 1000, /* after a call that failed */
    NAME_BYTES = sizeof "worker -2147483648",
    GREETING_BYTES = sizeof "hello from \n" + NAME_BYTES,
};

/* The two ends of the channel, as socketpair(2) returns them. */
enum { OF_PARENT, OF_WORKERS, ENDS };

/*
 * The control buffer, with room for one descriptor. It begins with a struct
 * cmsghdr, which must lie at an address that suits its members. An array of
 * char may lie anywhere, so we ask for the right place. cmsg(3)
 */
struct control {
    alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

enum received {
    DESCRIPTOR,    /* a descriptor */
    NO_DESCRIPTOR, /* a message, but it brought no descriptor */
    CHANNEL_END,   /* the parent has closed its end, and nothing is left */
    FAILED,        /* the call failed, with its reason in errno */
};

/* Set by the signal handler: this process is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 19-passing-descriptors [-w WORKERS] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

static int parse_workers(const char *text) {
    unsigned long long number;
    if (number_parse(text, 1, MOST_WORKERS, &number) < 0)
        errx(1, "%s is not a number of workers: 1 to %d", text, MOST_WORKERS);
    return (int)number;
}

static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The signal handler, as in lesson 02: a signal that arrives just before a call
 * begins to sleep does not interrupt it, so another one follows each second. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* The workers inherit these settings. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    /* Our own parent may ignore SIGCHLD. Then the kernel would keep no exit
     * status for our waitpid: wait(2). */
    (void)signal(SIGCHLD, SIG_DFL);
}

/* Without the pause, a call that goes on failing would use a whole processor.
 * A signal ends it earlier. */
static void warn_and_pause(const char *failed) {
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    warn("%s", failed);
    (void)nanosleep(&pause, NULL);
}

/* Prints which number a connection has in which process. A report that cannot
 * be printed does not stop us, but it is an error, which main and the workers
 * say at their end. */
static void report(const struct sockaddr *client, socklen_t length, int fd,
                   const char *process) {
    char text[ADDR_TEXT_BYTES];
    (void)printf("%s is descriptor %d of %s\n",
                 addr_format(client, length, text), fd, process);
}

/* Returns the exit status of this process: 1 if a report could not be printed,
 * and otherwise 0. */
static int status_of_output(void) {
    if (ferror(stdout) == 0)
        return 0;
    warnx("standard output: not every line could be written");
    return 1;
}

/* Sends a copy of the descriptor over the channel. Ours stays open. Returns 0,
 * or -1 and errno. */
static int send_descriptor(int channel, int fd) {
    /* A descriptor travels beside the data, so there must be some data: unix(7)
     * asks for one byte. The receiver ignores it. */
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
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);

    for (;;) {
        ssize_t sent = sendmsg(channel, &message, 0);
        if (sent >= 0)
            return 0;
        if (errno == EINTR && !stopping)
            continue; /* this signal does not stop us: try again */
        return -1;
    }
}

/* Whether this control message brings one descriptor, and nothing else. */
static int holds_one_descriptor(const struct cmsghdr *header) {
    if (header->cmsg_level != SOL_SOCKET)
        return 0;
    if (header->cmsg_type != SCM_RIGHTS)
        return 0;
    return header->cmsg_len == CMSG_LEN(sizeof(int));
}

/* Receives one message from the channel, and puts its descriptor into *fd. The
 * descriptor is close-on-exec, and belongs to the caller. */
static enum received receive_descriptor(int channel, int *fd) {
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = sizeof byte};
    struct control control;
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        /* Not CMSG_SPACE: with its padding, two descriptors would fit. */
        .msg_controllen = CMSG_LEN(sizeof *fd),
    };
    ssize_t received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    if (received < 0)
        return FAILED;
    if (received == 0)
        return CHANNEL_END;
    /* If this process has no free number for the descriptor, the kernel has
     * closed it, and has set MSG_CTRUNC. Then there is no control message. */
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || !holds_one_descriptor(header))
        return NO_DESCRIPTOR;
    memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return DESCRIPTOR;
}

/* The workers. */

/* Waits until the client closes its side, or the connection fails, or we are to
 * end. We read what the client sends: if we closed a connection with unread
 * bytes, it would be reset, and the greeting could get lost (lesson 06). */
static void wait_for_end(int fd) {
    char piece[PIECE_BYTES];
    while (!stopping) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received == 0)
            return;
        if (received < 0 && errno != EINTR) {
            warn("recv");
            return;
        }
    }
}

/* Greets the client, and stays with it to its end. */
static void serve_client(int fd, const char *worker) {
    struct sockaddr_storage client = {0};
    socklen_t length = sizeof client;
    char greeting[GREETING_BYTES];
    size_t sent;

    if (getpeername(fd, (struct sockaddr *)&client, &length) < 0) {
        warn("getpeername"); /* the client has left already */
        return;
    }
    report((struct sockaddr *)&client, length, fd, worker);
    int bytes = snprintf(greeting, sizeof greeting, "hello from %s\n", worker);
    if (stream_write_all(fd, greeting, (size_t)bytes, &sent) < 0) {
        warn("send");
        return;
    }
    wait_for_end(fd);
}

/* The life of a worker: one client after the other, until it is told to end, or
 * the parent's end of the channel is closed. Returns the exit status. */
static int run_worker(int channel, const char *worker) {
    while (!stopping) {
        int fd;
        enum received received = receive_descriptor(channel, &fd);
        if (received == CHANNEL_END)
            break;
        if (received == DESCRIPTOR) {
            serve_client(fd, worker);
            (void)close(fd); /* an error here changes nothing for others */
        } else if (received == NO_DESCRIPTOR) {
            warnx("%s: a message without a descriptor", worker);
        } else if (errno != EINTR) {
            warn_and_pause("recvmsg");
        }
    }
    return status_of_output();
}

/* The parent. */

/* Makes the workers, which are copies of this process, as in lesson 06. All of
 * them read from the same end of the channel, and each message arrives at one
 * of them. */
static void start_workers(const int channel[ENDS], int count, pid_t *workers) {
    for (int i = 0; i < count; i++) {
        workers[i] = fork();
        if (workers[i] < 0)
            err(1, "fork");
        if (workers[i] == 0) {
            char name[NAME_BYTES];
            (void)snprintf(name, sizeof name, "worker %d", i + 1);
            /* Without this, a worker would hold the parent's end, and so it
             * would never see the end of the channel. */
            (void)close(channel[OF_PARENT]);
            exit(run_worker(channel[OF_WORKERS], name));
        }
    }
}

/* Asks for the workers that have ended (lesson 09), and puts a 0 in the place
 * of each. For a worker that still runs, waitpid returns 0. */
static void remove_ended_workers(int count, pid_t *workers) {
    for (int i = 0; i < count; i++) {
        if (workers[i] == 0)
            continue;
        pid_t ended = waitpid(workers[i], NULL, WNOHANG);
        if (ended != 0)
            workers[i] = 0;
    }
}

/* Returns how many of the workers have not ended: the places that are not 0. */
static int count_running(int count, const pid_t *workers) {
    int running = 0;
    for (int i = 0; i < count; i++) {
        if (workers[i] != 0)
            running++;
    }
    return running;
}

/* Waits until this worker has ended. Returns 0 if it has ended with status 0,
 * and otherwise -1. */
static int wait_for_worker(pid_t worker) {
    int status;
    while (waitpid(worker, &status, 0) < 0) {
        if (errno != EINTR) {
            warn("waitpid");
            return -1;
        }
    }
    if (status != 0)
        return -1;
    return 0;
}

/* Tells the workers to end, and waits until they have. Returns 0 if all of them
 * have ended with status 0, and otherwise 1. A worker that had ended before, of
 * which only a 0 is left, counts as a failure. */
static int stop_workers(int count, const pid_t *workers) {
    int result = 0;
    for (int i = 0; i < count; i++) {
        if (workers[i] != 0)
            (void)kill(workers[i], SIGTERM);
    }
    for (int i = 0; i < count; i++) {
        if (workers[i] == 0 || wait_for_worker(workers[i]) < 0)
            result = 1;
    }
    return result;
}

/* Accepts the next client. Returns its descriptor, or -1 if accept fails. */
static int accept_client(int listener) {
    struct sockaddr_storage client = {0};
    socklen_t length = sizeof client;
    int fd =
        accept4(listener, (struct sockaddr *)&client, &length, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EINTR)
            warn_and_pause("accept");
        return -1;
    }
    report((struct sockaddr *)&client, length, fd, "the parent");
    return fd;
}

/* Passes the client to a worker, and closes our own copy. Returns 0, or -1 if
 * sendmsg has failed. */
static int pass_client(int channel, int fd) {
    int result = send_descriptor(channel, fd);
    if (result < 0 && errno != EINTR)
        warn_and_pause("sendmsg");
    /* If the message was sent, a copy of the descriptor is in the channel or in
     * a worker. So this close does not end the connection. If sendmsg failed,
     * there is no copy, and this close does end it. */
    (void)close(fd);
    return result;
}

/* Accepts clients and passes them on, until we are to end, or no worker is
 * left. */
static void serve(int listener, int channel, int count, pid_t *workers) {
    while (!stopping) {
        int fd = accept_client(listener);
        if (fd < 0)
            continue;
        if (pass_client(channel, fd) < 0) {
            remove_ended_workers(count, workers);
            if (count_running(count, workers) == 0) {
                warnx("no worker is left");
                return;
            }
        }
    }
}

static int open_listener(in_port_t port) {
    const struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int listener = listener_open((const struct sockaddr *)&own, sizeof own,
                                 SOMAXCONN, 0, &failed);
    if (listener < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    return listener;
}

int main(int argc, char **argv) {
    int channel[ENDS];
    pid_t workers[MOST_WORKERS];
    int count = WORKERS;
    for (;;) {
        int option = getopt(argc, argv, "+hw:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'w')
            count = parse_workers(optarg);
        else
            usage(stderr, 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[optind]);
    require_output();
    catch_signals();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
        err(1, "socketpair");
    start_workers(channel, count, workers);
    (void)close(channel[OF_WORKERS]);
    int listener = open_listener(port);

    serve(listener, channel[OF_PARENT], count, workers);

    (void)close(listener);
    int result = stop_workers(count, workers);
    if (status_of_output() != 0)
        result = 1;
    return result;
}
