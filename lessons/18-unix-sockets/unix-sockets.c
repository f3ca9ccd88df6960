/*
 * 18-unix-sockets: a server and a client without a network, and a pair of
 * sockets for a parent and its child.
 *
 * Shows the family AF_UNIX: its addresses are paths, the kernel knows the
 * process at the other end, and a connection may keep messages whole.
 *
 * usage: 18-unix-sockets [-m] serve PATH
 *        18-unix-sockets [-m] send PATH MESSAGE
 *        18-unix-sockets [-m] pair
 *
 * A PATH that begins with @ is an abstract name: there is no file for it. With
 * -m, messages stay whole: the type is SOCK_SEQPACKET, not SOCK_STREAM.
 *
 * Left out: taking the place of a dead server, which is the exercise; passing
 * descriptors (lesson 19); many clients at the same time (lesson 24).
 */
#define _GNU_SOURCE

#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 4096, /* the most bytes of one recv, or of one message */
    TALK_MS = 1000,     /* the longest conversation, for server and client */
    PAUSE_MS = 100,     /* after an accept that failed */
    PRIVATE = S_IXUSR | S_IRWXG | S_IRWXO, /* what umask(2) takes away */
};

/* An address of the family AF_UNIX. Its length belongs to it: an abstract name
 * has no NUL that would end it. */
struct address {
    struct sockaddr_un name;
    socklen_t length;
};

/* The server's listener, which the signal handler shuts down. For the type, see
 * lesson 12. */
static volatile sig_atomic_t listener;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 18-unix-sockets [-m] serve PATH\n"
          "       18-unix-sockets [-m] send PATH MESSAGE\n"
          "       18-unix-sockets [-m] pair\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* If descriptor 1 or 2 were closed, a socket would get that number, and what we
 * print would go to the peer: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static int is_abstract(const char *path) {
    return path[0] == '@';
}

/* Returns the address that the text names: unix(7). */
static struct address parse_path(const char *path) {
    struct address address = {.name.sun_family = AF_UNIX};
    size_t length = strlen(path);

    /* One byte of the array is for a NUL: the one at the end of a path, or the
     * one in front of an abstract name. */
    if (length < 1 || length >= sizeof address.name.sun_path)
        errx(1, "not a path of 1 to %zu bytes: %s",
             sizeof address.name.sun_path - 1, path);
    memcpy(address.name.sun_path, path, length);
    address.length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (is_abstract(path))
        address.name.sun_path[0] = '\0'; /* in the place of the @ */
    else
        address.length++; /* the NUL behind a path belongs to it */
    return address;
}

static int make_socket(int type) {
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

/* Asks the kernel which process is at the other end of this connection, and
 * puts its numbers into *peer. Returns 0, or -1 and errno. */
static int ask_peer(int fd, struct ucred *peer) {
    socklen_t length = sizeof *peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &length);
}

/* Receives from a stream what has come, or with -m the next message, and
 * returns what recv(2) returns. But if a message is longer than PIECE_BYTES,
 * returns -1 with errno EMSGSIZE. With MSG_TRUNC, recv returns the length of
 * the whole message. Without it, recv would return PIECE_BYTES, and we would
 * not notice that the rest of the message is lost.
 *
 * A byte that was sent with MSG_OOB makes poll report the socket, but recv
 * passes it over. With MSG_DONTWAIT, it then fails with EAGAIN. Without, it
 * would wait, and the deadline would not count. */
static ssize_t receive(struct deadline end, int fd, char piece[PIECE_BYTES]) {
    if (deadline_wait(end, fd, POLLIN) < 0)
        return -1;
    ssize_t received = recv(fd, piece, PIECE_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    if (received > PIECE_BYTES) {
        errno = EMSGSIZE;
        return -1;
    }
    return received;
}

/* The server. */

/* Returns whether there is a file at this path that is not a socket. */
static int is_other_file(const char *path) {
    struct stat file;
    if (lstat(path, &file) < 0)
        return 0;
    return !S_ISSOCK(file.st_mode);
}

/* Says why bind found the address in use, and ends the program. A socket's file
 * can belong to a live server, or a dead server has left it. To learn which, we
 * call connect. But connect fails with ECONNREFUSED for a file of another kind
 * too, so we look at the kind first. */
static _Noreturn void report_in_use(const struct address *own, const char *path,
                                    int type) {
    if (!is_abstract(path) && is_other_file(path))
        errx(1, "bind %s: there is a file, and it is not a socket", path);

    /* With SOCK_NONBLOCK, connect does not wait for a live server whose queue
     * is full. It fails with EAGAIN. */
    int fd = make_socket(type | SOCK_NONBLOCK);
    int result = connect(fd, (const struct sockaddr *)&own->name, own->length);
    if (result == 0 || errno == EAGAIN)
        errx(1, "bind %s: a server is listening there", path);
    if (errno == ECONNREFUSED)
        errx(1, "bind %s: in use, but no server is listening", path);
    err(1, "bind %s: Address already in use; connect", path);
}

/* Returns a listener at this path. Only our own user can connect to it. */
static int listen_at(const char *path, int type) {
    struct address own = parse_path(path);
    int fd = make_socket(type);

    /* bind makes the file, with all permissions but those of the umask. So the
     * file is private from its first moment. A chmod after listen would come
     * too late for a client that has connected before. */
    mode_t before = umask(PRIVATE);
    int bound = bind(fd, (struct sockaddr *)&own.name, own.length);
    (void)umask(before); /* it never fails, and leaves errno alone */

    if (bound < 0 && errno == EADDRINUSE)
        report_in_use(&own, path, type);
    if (bound < 0)
        err(1, "bind %s", path);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

/* Sends the client back what it sends, in the same pieces, until the client
 * ends its side, or a call fails, or the time is over. Returns how many bytes
 * were sent back. */
static unsigned long long echo(int fd, pid_t process) {
    struct deadline end = deadline_after(TALK_MS);
    char piece[PIECE_BYTES];
    unsigned long long total = 0;

    for (;;) {
        ssize_t received = receive(end, fd, piece);
        if (received < 0) {
            warn("recv from process %d", process);
            return total;
        }
        if (received == 0)
            return total;
        size_t sent;
        if (deadline_send(end, fd, piece, (size_t)received, &sent) < 0) {
            warn("send to process %d", process);
            return total + sent;
        }
        total += sent;
    }
}

/* Serves one client. If a report cannot be printed, we go on serving. When the
 * server ends, its exit status says that something was not printed. */
static void serve_client(int fd) {
    struct ucred peer;
    if (ask_peer(fd, &peer) < 0) {
        warn("getsockopt SO_PEERCRED");
        return;
    }
    if (printf("process %d, user %u, group %u: connected\n", peer.pid, peer.uid,
               peer.gid) < 0)
        warn("standard output");
    unsigned long long total = echo(fd, peer.pid);
    if (printf("process %d: closed after %llu bytes\n", peer.pid, total) < 0)
        warn("standard output");
}

/* The signal handler. After this, accept(2) fails with EINVAL: see lesson 12.
 */
static void shut_listener(int signal_number) {
    (void)signal_number;
    (void)shutdown(listener, SHUT_RD);
}

/* Accepts one client after another, until the listener is shut down. */
static void serve_clients(void) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINVAL)
            return;
        if (fd < 0) {
            warn("accept");
            deadline_pause(PAUSE_MS);
            continue;
        }
        serve_client(fd);
        (void)close(fd); /* an error here changes nothing for other clients */
    }
}

static int serve_main(const char *path, int type) {
    listener = listen_at(path, type);
    (void)signal(SIGINT, shut_listener);
    (void)signal(SIGTERM, shut_listener);
    if (printf("listening on %s\n", path) < 0)
        warn("standard output");
    else
        serve_clients();

    /* bind has made a file, and close would not remove it. */
    if (!is_abstract(path)) {
        if (unlink(path) < 0)
            err(1, "unlink %s", path);
    }
    if (close(listener) < 0)
        err(1, "close");
    if (ferror(stdout))
        return 1; /* the reason was printed before */
    return 0;
}

/* The client. */

/* Prints all that the server sends, until it ends its side. */
static void print_answer(struct deadline end, int fd) {
    char piece[PIECE_BYTES];
    for (;;) {
        ssize_t received = receive(end, fd, piece);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            return;
        /* stdout is line-buffered. Then fwrite may return the whole length even
         * if it could not write a line. So we do not use the results of these
         * two calls, but ask ferror, which notices each failure. */
        (void)fwrite(piece, 1, (size_t)received, stdout);
        (void)fflush(stdout);
        if (ferror(stdout))
            err(1, "standard output");
    }
}

/* Sends the message and a newline, in one piece. */
static void send_line(struct deadline end, int fd, const char *message) {
    size_t length = strlen(message) + 1; /* with the newline, without a NUL */
    char *line = malloc(length);
    if (line == NULL)
        err(1, "malloc");
    memcpy(line, message, length - 1);
    line[length - 1] = '\n';
    size_t sent;
    if (deadline_send(end, fd, line, length, &sent) < 0)
        err(1, "send");
    free(line);
}

static int send_main(const char *path, const char *message, int type) {
    struct address server = parse_path(path);
    struct deadline end = deadline_after(TALK_MS);
    int fd = make_socket(type);
    if (deadline_connect(end, fd, (struct sockaddr *)&server.name,
                         server.length) < 0)
        err(1, "connect %s", path);

    struct ucred peer;
    if (ask_peer(fd, &peer) < 0)
        err(1, "getsockopt SO_PEERCRED");
    if (printf("connected to process %d, user %u, group %u\n", peer.pid,
               peer.uid, peer.gid) < 0)
        err(1, "standard output");

    send_line(end, fd, message);
    if (shutdown(fd, SHUT_WR) < 0)
        err(1, "shutdown");
    print_answer(end, fd);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

/* The pair. */

static void send_message(int fd, const char *message) {
    if (send(fd, message, strlen(message), MSG_NOSIGNAL) < 0)
        err(1, "send");
}

/* Prints which process is the peer of this end, as the kernel sees it. The role
 * is "parent" or "child". */
static void print_peer(const char *role, int fd) {
    struct ucred peer;
    if (ask_peer(fd, &peer) < 0)
        err(1, "getsockopt SO_PEERCRED");
    if (printf("%s %d: my peer is process %d\n", role, getpid(), peer.pid) < 0)
        err(1, "standard output");
}

/* Prints what each recv returns, until the other end sends no more. Returns the
 * number of pieces that came. */
static unsigned print_pieces(const char *role, int fd) {
    char piece[PIECE_BYTES];
    unsigned pieces = 0;
    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            return pieces;
        pieces++;
        if (printf("%s %d: received %.*s\n", role, getpid(), (int)received,
                   piece) < 0)
            err(1, "standard output");
    }
}

static int pair_main(int type) {
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        err(1, "socketpair");
    print_peer("parent", ends[0]);
    /* The messages wait in the kernel until the child receives them. */
    send_message(ends[0], "one");
    send_message(ends[0], "two");
    send_message(ends[0], "three");

    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    /* Each process closes the end that it does not use. Suppose that the parent
     * kept the child's end open: then the connection would not end when the
     * child ends, and the parent would wait for ever. */
    if (child == 0) {
        (void)close(ends[0]);
        print_peer("child", ends[1]);
        (void)print_pieces("child", ends[1]);
        send_message(ends[1], "thanks");
        return 0; /* this closes the child's end */
    }
    (void)close(ends[1]);
    if (shutdown(ends[0], SHUT_WR) < 0)
        err(1, "shutdown");
    if (print_pieces("parent", ends[0]) == 0)
        errx(1, "the child has not answered");
    if (waitpid(child, NULL, 0) < 0)
        err(1, "waitpid");
    return 0;
}

int main(int argc, char **argv) {
    int type = SOCK_STREAM;

    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    /* If our parent has made us ignore SIGCHLD, waitpid could not report the
     * child's end: wait(2). So we set the default. */
    (void)signal(SIGCHLD, SIG_DFL);
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        int option = getopt(argc, argv, "+hm");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'm')
            type = SOCK_SEQPACKET;
        else
            usage(stderr, 2);
    }
    int words = argc - optind;
    char **word = argv + optind;

    if (words == 2 && strcmp(word[0], "serve") == 0)
        return serve_main(word[1], type);
    if (words == 3 && strcmp(word[0], "send") == 0)
        return send_main(word[1], word[2], type);
    if (words == 1 && strcmp(word[0], "pair") == 0)
        return pair_main(type);
    usage(stderr, 2);
}
