/*
 * 02-tcp-server: send every client back what it sends, one client at a time.
 *
 * Shows that a listener makes descriptors: accept(2) takes the next connection
 * from a queue that the kernel fills, whether we are looking or not.
 *
 * usage: 02-tcp-server PORT      (0: any free port)
 *
 * Left out: a client that says nothing, or reads nothing, keeps its turn for
 * ever; a deadline comes in 07, and a turn beside it in 22. IPv6: 17.
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
    PIECE_BYTES = 1 << 16, /* asked for at once; any size would do */
    BACKLOG = 128,         /* connections that may wait for accept */
    LARGEST_PORT = 65535,  /* a port is 16 bits wide: RFC 9293, section 3.1 */
    PAUSE_NANOSECONDS = 100 * 1000 * 1000, /* after an accept that failed */
    NAME_BYTES = sizeof "255.255.255.255:65535",
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 02-tcp-server PORT\n", out);
    exit(status);
}

/* A port from the command line: digits and nothing else, 0 to 65535. */
static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        port > LARGEST_PORT)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* Were 1 or 2 free, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* A signal wakes the call that sleeps: it fails with EINTR. One that lands
 * between our look at the flag and that call wakes nobody, so another one
 * follows each second until we have gone. */
static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* Without SA_RESTART, which would send a woken call back to sleep. None of
 * these calls fails for a signal that there is. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error */
}

/* Writes ADDRESS:PORT, as people read them, into name. With room for the
 * longest, neither call has a way to fail. */
static void format_name(char name[NAME_BYTES], const struct sockaddr_in *end) {
    char address[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &end->sin_addr, address, sizeof address);
    (void)snprintf(name, NAME_BYTES, "%s:%d", address, ntohs(end->sin_port));
}

/* Returns a socket that the kernel queues connections on; writes its name. */
static int listen_on(in_port_t port, char name[NAME_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    /* Or the port stays taken for a minute when we were the first to close: the
     * kernel keeps what is left of such a connection, in TIME_WAIT. */
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    /* Who asks for port 0 gets another one: which? */
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    format_name(name, &own);
    return listener;
}

/* Returns 0, or -1 and errno: EINTR when we were told to stop. A client that
 * never reads keeps us here until it goes. */
static int send_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, 0);
        if (sent < 0 && (errno != EINTR || stopping))
            return -1;
        if (sent < 0)
            continue;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* One client's turn: until it ends its half or fails, or we are to stop. */
static void echo(int fd, const char *name) {
    char piece[PIECE_BYTES];
    unsigned long long total = 0;
    while (!stopping) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0)
            warn("recv from %s", name);
        if (received <= 0)
            break;
        if (send_all(fd, piece, (size_t)received) < 0) {
            if (errno != EINTR)
                warn("send to %s", name);
            break;
        }
        total += (size_t)received;
    }
    if (printf("%s closed after %llu bytes\n", name, total) < 0)
        warn("standard output");
}

/* accept(2) fails when a client has gone again, or when descriptors or memory
 * have run out. That is no reason to end, and none to ask again at once: who
 * has no descriptor left would do so a million times a second. Nor is a line
 * that cannot be printed; main says in the end that it was not all well. */
static void serve(int listener) {
    const struct timespec moment = {.tv_nsec = PAUSE_NANOSECONDS};
    while (!stopping) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        char name[NAME_BYTES];
        int fd =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR) {
            warn("accept");
            (void)nanosleep(&moment, NULL); /* or less: a signal is welcome */
        }
        if (fd < 0)
            continue;
        format_name(name, &peer);
        if (printf("%s connected\n", name) < 0)
            warn("standard output");
        echo(fd, name);
        if (close(fd) < 0)
            warn("close %s", name);
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
    /* Line by line, into a file too; it fails only for a mode there is not. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    serve(listener);
    if (close(listener) < 0)
        err(1, "close");
    /* No reason to leave clients alone; but one to say so when all is done. */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
