/*
 * 03-udp: send a datagram and print its answer, or be the one who answers.
 *
 * Shows that a datagram arrives whole, or cut, or not at all.
 *
 * usage: 03-udp serve PORT       (0: any free port)
 *        03-udp send ADDRESS PORT MESSAGE
 *
 * The message goes out without newline or NUL; a newline follows the answer.
 *
 * Left out: a clock, so a signal cuts a wait short (07); a number in each
 * question, so a late answer passes for the next one's (30); names, IPv6 (04).
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
#include <sys/time.h>
#include <unistd.h>

enum {
    LARGEST_DATAGRAM = 65507, /* 65535 less IP's header of 20, UDP's of 8 */
    LARGEST_PORT = 65535,
    TRIES = 3,
    WAIT_SECONDS = 1, /* for an answer, each time */
    NAME_BYTES = sizeof "255.255.255.255:65535",
};

static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fprintf(out, "usage: 03-udp serve PORT\n"
                 "       03-udp send ADDRESS PORT MESSAGE\n");
    exit(status);
}

/* A port from the command line: digits and nothing else. */
static in_port_t parse_port(const char *text, unsigned long lowest) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        port < lowest || port > LARGEST_PORT)
        errx(1, "%s is not a port: %lu to %d", text, lowest, LARGEST_PORT);
    return (in_port_t)port;
}

static struct sockaddr_in parse_address(const char *address, const char *port) {
    struct sockaddr_in where = {
        .sin_family = AF_INET,
        .sin_port = htons(parse_port(port, 1)),
    };
    if (inet_pton(AF_INET, address, &where.sin_addr) != 1)
        errx(1,
             "%s is not an IPv4 address such as 127.0.0.1: names come in "
             "lesson 04",
             address);
    return where;
}

/* Were 1 or 2 free, our socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* Writes ADDRESS:PORT, as people read them, into name. */
static void format_name(char name[NAME_BYTES], const struct sockaddr_in *peer) {
    char address[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &peer->sin_addr, address, sizeof address);
    (void)snprintf(name, NAME_BYTES, "%s:%d", address, ntohs(peer->sin_port));
}

/* connect(2) sends nothing here. It tells our own kernel whom we speak with: a
 * datagram from anybody else is no longer for us, and news that our peer's
 * port is closed is the next call's error (udp(7)). */
static int open_to(const struct sockaddr_in *server, const char *name) {
    const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
        err(1, "setsockopt SO_RCVTIMEO");
    if (connect(fd, (const struct sockaddr *)server, sizeof *server) < 0)
        err(1, "connect %s", name);
    return fd;
}

/* Returns the length of the answer. Question or answer may get lost, which
 * looks the same from here: then the question goes out again. */
static size_t ask(int fd, const char *name, const char *message, char *answer) {
    for (int try = 1; try <= TRIES; try++) {
        if (try > 1)
            warnx("no answer: try %d of %d", try, TRIES);
        if (send(fd, message, strlen(message), 0) < 0)
            err(1, "send to %s", name);
        ssize_t received = recv(fd, answer, LARGEST_DATAGRAM, 0);
        if (received >= 0)
            return (size_t)received;
        /* EAGAIN: the second is over. EINTR: a signal came, and one second
         * more after each of them might be a wait without an end. */
        if (errno != EAGAIN && errno != EINTR)
            err(1, "recv from %s", name);
    }
    errx(1, "no answer from %s in %d tries", name, TRIES);
}

static void send_message(struct sockaddr_in server, const char *message) {
    static char answer[LARGEST_DATAGRAM + 1];
    char name[NAME_BYTES];
    format_name(name, &server);
    int fd = open_to(&server, name);
    size_t length = ask(fd, name, message, answer);
    answer[length++] = '\n';
    if (fwrite(answer, 1, length, stdout) != length || fflush(stdout) == EOF)
        err(1, "standard output");
    if (close(fd) < 0)
        err(1, "close");
}

/* As in lesson 02: wakes the call that sleeps; rings again each second, for the
 * one that began to sleep a moment after the first signal. */
static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
}

/* No listen, no accept, and no SO_REUSEADDR: without connections there is no
 * TIME_WAIT, and here that option would let two servers share a port. */
static int bind_to(in_port_t port, char name[NAME_BYTES]) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "getsockname");
    format_name(name, &address);
    return fd;
}

/* Each datagram is its own conversation. An answer that can't be sent is one
 * more datagram lost: its client will ask again. */
static void serve(in_port_t port) {
    static char datagram[LARGEST_DATAGRAM];
    char name[NAME_BYTES];
    catch_signals();
    int fd = bind_to(port, name);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, also in a pipe */
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");

    while (!stopping) {
        struct sockaddr_in client = {0};
        socklen_t length = sizeof client;
        ssize_t received = recvfrom(fd, datagram, sizeof datagram, 0,
                                    (struct sockaddr *)&client, &length);
        if (received < 0 && errno != EINTR)
            warn("recvfrom");
        if (received < 0)
            continue;
        format_name(name, &client);
        if (printf("%s sent %zd bytes\n", name, received) < 0)
            warn("standard output");
        if (sendto(fd, datagram, (size_t)received, 0,
                   (struct sockaddr *)&client, length) < 0)
            warn("sendto %s", name);
    }
    if (close(fd) < 0)
        err(1, "close");
    if (ferror(stdout)) /* no reason to leave clients alone, but to say so */
        errx(1, "standard output: not every line could be written");
}

int main(int argc, char **argv) {
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(parse_port(argv[2], 0));
    else if (argc == 5 && strcmp(argv[1], "send") == 0)
        send_message(parse_address(argv[2], argv[3]), argv[4]);
    else
        usage(stderr, 2);
    return 0;
}
