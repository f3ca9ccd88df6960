/*
 * 02-tcp-server: send each client back what it sends, one client at a time.
 *
 * Shows that a listener makes descriptors: accept(2) takes the next connection
 * out of a queue, and the kernel fills that queue without our program.
 *
 * usage: 02-tcp-server PORT      (0: any free port)
 *
 * Left out: a deadline (lesson 07), and several clients at the same time
 * (lesson 22). A client that sends nothing, or reads nothing, keeps its turn
 * for ever. IPv6 is left out too (lesson 04).
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 65536, /* the most that one recv may return; any size works */
    BACKLOG = 128,       /* connections that may wait for accept */
    LARGEST_PORT = 65535, /* a port has 16 bits: RFC 9293, section 3.1 */
    PAUSE_NANOSECONDS = 100 * 1000 * 1000, /* after an accept that failed */
    NAME_BYTES = sizeof "255.255.255.255:65535",
};

/* How sending to a client ended. */
enum outcome {
    ALL_SENT,
    STOPPED,     /* the server is to end, and a part was not sent */
    SEND_FAILED, /* errno says why */
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 02-tcp-server PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    /* strtoul(3) alone would also take blanks and a sign in front. */
    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port <= LARGEST_PORT;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* Ends the program if its standard output or standard error is closed. Without
 * this check, a socket could get the number 1 or 2: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The signal handler. A signal also interrupts a system call that sleeps: the
 * call fails with EINTR. But a signal that arrives after we looked at
 * `stopping`, and before the call sleeps, interrupts nothing. So the handler
 * asks for another signal, SIGALRM, in one second, and that signal for the
 * next one, until we have ended. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* We do not set SA_RESTART: with it, the kernel would restart an interrupted
 * call, and the server would go on sleeping. These calls fail only for a
 * signal number that does not exist. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    /* When a client has left, send must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Writes ADDRESS:PORT, as people read it, into name. The longest one fits, so
 * neither call can fail. */
static void format_name(char name[NAME_BYTES],
                        const struct sockaddr_in *address) {
    char number[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &address->sin_addr, number, sizeof number);
    (void)snprintf(name, NAME_BYTES, "%s:%d", number, ntohs(address->sin_port));
}

/* Returns a listener at 127.0.0.1 and this port, and writes its name. */
static int listen_on(in_port_t port, char name[NAME_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");

    /* Without this, bind fails while a connection of an earlier server on this
     * port is in TIME_WAIT: tcp(7), and section 3.6 of RFC 9293. */
    const int on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");

    /* For port 0 the kernel has chosen a port. This call tells us which. */
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    format_name(name, &own);
    return listener;
}

/* Sends all the bytes, and says how that ended. A client that never reads keeps
 * us here until it leaves, or until the server is to end. */
static enum outcome send_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(fd, bytes + done, length - done, 0);
        if (sent < 0 && errno == EINTR) {
            if (stopping)
                return STOPPED;
            continue; /* this signal does not end us: send again */
        }
        if (sent < 0)
            return SEND_FAILED;
        done += (size_t)sent;
    }
    return ALL_SENT;
}

/* Sends the client back what it sends, until it closes its side, or a call
 * fails, or the server is to end. Returns how many bytes that was; it does not
 * count a piece that was sent only in part. */
static unsigned long long echo(int fd, const char *name) {
    char piece[PIECE_BYTES];
    unsigned long long total = 0;

    while (!stopping) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0 && errno == EINTR)
            continue; /* look at `stopping` */
        if (received < 0) {
            warn("recv from %s", name);
            break;
        }
        if (received == 0)
            break;
        enum outcome outcome = send_all(fd, piece, (size_t)received);
        if (outcome == SEND_FAILED)
            warn("send to %s", name);
        if (outcome != ALL_SENT)
            break;
        total += (size_t)received;
    }
    return total;
}

/* Serves one client from its first byte to its last, and closes its
 * descriptor. A report that cannot be printed is no reason to stop serving:
 * main checks the output at the end. */
static void serve_client(int fd, const struct sockaddr_in *peer) {
    char name[NAME_BYTES];
    format_name(name, peer);

    if (printf("%s connected\n", name) < 0)
        warn("standard output");
    unsigned long long total = echo(fd, name);
    if (printf("%s closed after %llu bytes\n", name, total) < 0)
        warn("standard output");
    if (close(fd) < 0)
        warn("close %s", name);
}

/* Serves one client after another, until the server is to end. accept(2) fails,
 * for example, when the process has no descriptor left. Such a failure passes,
 * so it does not end the server. But until then every call of accept(2) would
 * fail at once, so we pause before the next one. */
static void serve(int listener) {
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};

    while (!stopping) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        int fd =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR)
            continue; /* look at `stopping` */
        if (fd < 0) {
            warn("accept");
            (void)nanosleep(&pause, NULL); /* a signal may end the pause */
            continue;
        }
        serve_client(fd, &peer);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);
    require_output();
    catch_signals();

    char name[NAME_BYTES];
    int listener = listen_on(port, name);
    /* Print each line at once, also into a file or a pipe. This call fails only
     * for a mode that does not exist. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    serve(listener);
    if (close(listener) < 0)
        err(1, "close");
    /* A report that could not be printed did not stop us, but it is an error.
     */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
