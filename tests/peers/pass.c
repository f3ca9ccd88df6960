/*
 * pass: sends and receives descriptors, and says what became of them.
 *
 *     pass [-q] [-b BYTES] [-r ROOM] [-l] loop COUNT
 *     pass [-b BYTES] give PATH COUNT
 *     pass [-n] [-u] take PATH
 *
 * loop: makes COUNT pipes, and sends their ends for writing to itself, in one
 * message. It closes its own copies, and then receives the message. At the end
 * it says of each pipe whether somebody still holds its end for writing. The
 * channel is a stream, or with -q a SOCK_SEQPACKET. The message has BYTES bytes
 * of data (1 if not given). The control buffer of the receiver has CMSG_SPACE
 * for ROOM descriptors (COUNT if not given), or with -l only CMSG_LEN.
 *
 * give: plays a server that is about to be replaced (lesson 19's exercise). It
 * waits at the UNIX socket PATH. It sends the process that connects BYTES
 * bytes and COUNT descriptors: first a listener, then ends for writing of one
 * pipe. With -b 0 and a COUNT of 0 that is nothing, and the stream ends.
 * Then it says whether the other process confirms with one byte, closes its own
 * copies, and says whether the other still holds an end of the pipe.
 *
 * take: plays the server that replaces another. It asks the one at PATH for its
 * listener, says what it has received, and confirms. With -n it does not
 * confirm. Then it waits to be stopped. With -u it ends as soon as a message
 * has come, and leaves that unread.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    MOST = 300,          /* descriptors; the kernel sends up to 253 */
    MOST_BYTES = 16,     /* of data */
    WAIT_MS = 20 * 1000, /* as long as a test waits for anything */
    CLOSE_MS = 1000,     /* after it has confirmed, it closes the others */
};

struct options {
    int type;
    int bytes;
    int room;
    int is_exact; /* the buffer has CMSG_LEN, and not CMSG_SPACE */
    int is_silent;
    int leaves_unread;
};

struct control {
    alignas(struct cmsghdr) char bytes[CMSG_SPACE(MOST * sizeof(int))];
};

static _Noreturn void usage(void) {
    fputs("usage: pass [-q] [-b BYTES] [-r ROOM] [-l] loop COUNT\n"
          "       pass [-b BYTES] give PATH COUNT\n"
          "       pass [-n] [-u] take PATH\n",
          stderr);
    exit(2);
}

static int parse_number(const char *text, int most) {
    char *end;
    long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number > most)
        errx(1, "%s is not a number from 0 to %d", text, most);
    return (int)number;
}

static const char *plural(long count) {
    return count == 1 ? "" : "s";
}

/* Sends so many descriptors in a message with so many bytes of data. */
static void send_descriptors(int channel, int bytes, const int *fds,
                             int count) {
    char zeros[MOST_BYTES] = {0};
    struct iovec data = {.iov_base = zeros, .iov_len = (size_t)bytes};
    struct control control = {0};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    size_t size = (size_t)count * sizeof *fds;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = (socklen_t)CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header == NULL) /* the buffer has room for a header */
            abort();
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = (socklen_t)CMSG_LEN(size);
        memcpy(CMSG_DATA(header), fds, size);
    }
    ssize_t sent = sendmsg(channel, &message, MSG_NOSIGNAL);
    if (sent < 0)
        err(1, "sendmsg");
    printf("sent %zd byte%s and %d descriptor%s\n", sent, plural(sent), count,
           plural(count));
}

/* Receives a message, with a control buffer of so many bytes. Puts the
 * descriptors into fds, says what has come, and returns how many there are. */
static int receive_descriptors(int channel, int flags, size_t room, int *fds) {
    char bytes[MOST_BYTES];
    struct iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct control control;
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = (socklen_t)room,
    };
    ssize_t received = recvmsg(channel, &message, flags | MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EAGAIN) {
        puts("received nothing");
        return 0;
    }
    if (received < 0)
        err(1, "recvmsg");
    size_t count = 0;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
        count = (header->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
        memcpy(fds, CMSG_DATA(header), count * sizeof *fds);
    }
    printf("received %zd byte%s and %zu descriptor%s%s\n", received,
           plural(received), count, plural((long)count),
           message.msg_flags & MSG_CTRUNC ? ", MSG_CTRUNC" : "");
    return (int)count;
}

/* Whether an end for writing is still open, of the pipe that is read here. */
static int has_writer(int fd) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    if (poll(&polled, 1, 0) < 0)
        err(1, "poll");
    return (polled.revents & POLLHUP) == 0;
}

static void loop(const struct options *options, int count) {
    int channel[2];
    int read_ends[MOST];
    int write_ends[MOST];
    int received[MOST];
    if (socketpair(AF_UNIX, options->type | SOCK_CLOEXEC, 0, channel) < 0)
        err(1, "socketpair");
    for (int i = 0; i < count; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            err(1, "pipe");
        read_ends[i] = ends[0];
        write_ends[i] = ends[1];
    }
    size_t size =
        (size_t)(options->room < 0 ? count : options->room) * sizeof(int);
    size_t room = options->is_exact ? CMSG_LEN(size) : CMSG_SPACE(size);
    printf("the receiver's control buffer has %zu bytes\n", room);
    send_descriptors(channel[0], options->bytes, write_ends, count);
    for (int i = 0; i < count; i++)
        (void)close(write_ends[i]);
    (void)receive_descriptors(channel[1], MSG_DONTWAIT, room, received);
    for (int i = 0; i < count; i++)
        printf("pipe %d is %s\n", i + 1,
               has_writer(read_ends[i]) ? "open" : "closed");
}

static struct sockaddr_un parse_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        errx(1, "too long a path: %s", path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int make_socket(int family) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

static int listen_at(const char *path) {
    struct sockaddr_un own = parse_path(path);
    int fd = make_socket(AF_UNIX);
    (void)unlink(path);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind %s", path);
    if (listen(fd, 1) < 0)
        err(1, "listen");
    return fd;
}

static int listen_on_any_port(void) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = make_socket(AF_INET);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

/* Waits so many milliseconds for something to receive, or for the end. Returns
 * whether it has come. */
static int is_ready(int fd, int milliseconds) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, milliseconds) > 0;
}

/* Says what kind of listener this is. */
static void describe(int fd) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    int is_listener = 0;
    socklen_t size = sizeof is_listener;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &size) < 0)
        err(1, "getsockopt");
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    printf("%s at port %d, %s\n", is_listener ? "a listener" : "no listener",
           ntohs(own.sin_port),
           fcntl(fd, F_GETFL) & O_NONBLOCK ? "non-blocking" : "blocking");
}

static void give(const char *path, int bytes, int count) {
    int fds[MOST];
    int ends[2];
    char byte;
    if (pipe2(ends, O_CLOEXEC) < 0)
        err(1, "pipe");
    for (int i = 0; i < count; i++)
        fds[i] = i == 0 ? listen_on_any_port() : ends[1];
    int control = listen_at(path);
    if (count > 0)
        describe(fds[0]);
    printf("waiting at %s\n", path);
    int other = accept4(control, NULL, NULL, SOCK_CLOEXEC);
    if (other < 0)
        err(1, "accept");
    send_descriptors(other, bytes, fds, count);
    if (count > 0)
        (void)close(fds[0]);
    (void)close(ends[1]);
    if (bytes == 0 && shutdown(other, SHUT_WR) < 0)
        err(1, "shutdown");
    int has_confirmed =
        is_ready(other, WAIT_MS) && recv(other, &byte, 1, 0) == 1;
    puts(has_confirmed ? "it confirms" : "it does not confirm");
    /* At a hang-up, there is something to read: the end. */
    puts(is_ready(ends[0], CLOSE_MS)
             ? "it keeps no other descriptor"
             : "it keeps more than the first descriptor");
}

static void take(const char *path, const struct options *options) {
    struct sockaddr_un peer = parse_path(path);
    int fds[MOST];
    int other = make_socket(AF_UNIX);
    if (connect(other, (struct sockaddr *)&peer, sizeof peer) < 0)
        err(1, "connect %s", path);
    if (!is_ready(other, WAIT_MS))
        errx(1, "nothing comes");
    if (options->leaves_unread) {
        puts("a message has come");
        return;
    }
    int count =
        receive_descriptors(other, 0, CMSG_SPACE(MOST * sizeof(int)), fds);
    if (count > 0)
        describe(fds[0]);
    if (!options->is_silent) {
        if (send(other, "", 1, MSG_NOSIGNAL) < 0)
            err(1, "send");
        puts("confirmed");
    }
    for (;;)
        (void)pause();
}

int main(int argc, char **argv) {
    struct options options = {.type = SOCK_STREAM, .bytes = 1, .room = -1};
    for (;;) {
        int option = getopt(argc, argv, "+qlnub:r:");
        if (option == -1)
            break;
        if (option == 'q')
            options.type = SOCK_SEQPACKET;
        else if (option == 'l')
            options.is_exact = 1;
        else if (option == 'n')
            options.is_silent = 1;
        else if (option == 'u')
            options.leaves_unread = 1;
        else if (option == 'b')
            options.bytes = parse_number(optarg, MOST_BYTES);
        else if (option == 'r')
            options.room = parse_number(optarg, MOST);
        else
            usage();
    }
    argc -= optind;
    argv += optind;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[0], "loop") == 0)
        loop(&options, parse_number(argv[1], MOST));
    else if (argc == 3 && strcmp(argv[0], "give") == 0)
        give(argv[1], options.bytes, parse_number(argv[2], MOST));
    else if (argc == 2 && strcmp(argv[0], "take") == 0)
        take(argv[1], &options);
    else
        usage();
    return 0;
}
