/*
 * 03-udp: send a datagram and print the answer; or be the server that answers.
 *
 * Shows that a datagram arrives whole, or cut, or not at all.
 *
 * usage: 03-udp serve [-b BYTES] PORT       (0: any free port)
 *        03-udp send ADDRESS PORT MESSAGE
 *
 * With -b, the server receives at most BYTES bytes of each datagram. The
 * message is sent without a newline and without a NUL. A newline is printed
 * after the answer.
 *
 * Left out: a clock, so a signal makes one wait shorter (lesson 07); a number
 * in each question, so a late answer is taken for the answer to the next try;
 * names and IPv6 (lesson 04).
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
    LARGEST_DATAGRAM = 65507, /* 65535 - 20 (header of IP) - 8 (of UDP) */
    LARGEST_PORT = 65535,
    TRIES = 3,
    WAIT_SECONDS = 1, /* how long each try waits for an answer */
    NAME_BYTES = sizeof "255.255.255.255:65535",
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fprintf(out, "usage: 03-udp serve [-b BYTES] PORT\n"
                 "       03-udp send ADDRESS PORT MESSAGE\n");
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text names. Ends the program unless the text is a
 * number from least to most, in digits alone. The error message says what the
 * number should have been: `noun` is for example "port". */
static unsigned long parse_number(const char *text, const char *noun,
                                  unsigned long least, unsigned long most) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    /* strtoul(3) alone would also take blanks and a sign in front. */
    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = number >= least && number <= most;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a %s: %lu to %lu", text, noun, least, most);
    return number;
}

/* Ends the program if its standard output or standard error is closed. Without
 * this check, our socket could get the number 1 or 2: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Writes ADDRESS:PORT, as people read it, into name. */
static void format_name(char name[NAME_BYTES],
                        const struct sockaddr_in *address) {
    char number[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &address->sin_addr, number, sizeof number);
    (void)snprintf(name, NAME_BYTES, "%s:%d", number, ntohs(address->sin_port));
}

/* The client. */

static struct sockaddr_in parse_address(const char *address, const char *port) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port =
            htons((in_port_t)parse_number(port, "port", 1, LARGEST_PORT)),
    };
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
        errx(1,
             "%s is not an IPv4 address such as 127.0.0.1: names come in "
             "lesson 04",
             address);
    return server;
}

/* Returns a socket that is connected to the server, and waits for at most
 * WAIT_SECONDS in recv. On a UDP socket, connect(2) sends nothing. It tells our
 * own kernel who our peer is: see udp(7). */
static int connect_to(const struct sockaddr_in *server, const char *name) {
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

/* Sends the message until an answer comes, at most TRIES times. Returns how
 * many bytes of `answer` the answer fills. When none comes, the message may
 * have been lost, or the answer, or it is late: we can't tell which, so we send
 * the message again. */
static size_t ask(int fd, const char *name, const char *message,
                  char answer[LARGEST_DATAGRAM]) {
    for (int try = 1; try <= TRIES; try++) {
        if (try > 1)
            warnx("no answer: try %d of %d", try, TRIES);
        if (send(fd, message, strlen(message), 0) < 0)
            err(1, "send to %s", name);

        ssize_t received = recv(fd, answer, LARGEST_DATAGRAM, 0);
        if (received >= 0)
            return (size_t)received;
        /* EAGAIN: the second is over. EINTR: a signal came. A signal ends this
         * try too. If recv waited a whole second again after each signal,
         * signals that keep coming would make it wait for ever. */
        if (errno != EAGAIN && errno != EINTR)
            err(1, "recv from %s", name);
    }
    errx(1, "no answer from %s in %d tries", name, TRIES);
}

static int send_main(const char *address, const char *port,
                     const char *message) {
    static char answer[LARGEST_DATAGRAM + 1]; /* one byte for a newline */
    char name[NAME_BYTES];
    struct sockaddr_in server = parse_address(address, port);
    format_name(name, &server);

    int fd = connect_to(&server, name);
    size_t length = ask(fd, name, message, answer);
    answer[length] = '\n';
    length++;
    if (fwrite(answer, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

/* The server. */

/* The signal handler, as in lesson 02: it also asks for a signal each second,
 * in case the first one came just before a call that sleeps. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* These calls fail only for a signal number that does not exist. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
}

/* Returns a socket with this port at 127.0.0.1, and writes its name. It does
 * not set SO_REUSEADDR. UDP has no connections, so it has no TIME_WAIT, and the
 * option would allow a second server on the same port. */
static int bind_to(in_port_t port, char name[NAME_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    format_name(name, &own);
    return fd;
}

/* Receives one datagram, at most `limit` bytes of it, and sends these bytes
 * back. If that fails, the client gets no answer. The same happens when an
 * answer is lost on its way, so the client will ask again. */
static void answer_one(int fd, size_t limit) {
    static char datagram[LARGEST_DATAGRAM];
    char name[NAME_BYTES];
    struct sockaddr_in client = {0};
    socklen_t length = sizeof client;

    ssize_t received =
        recvfrom(fd, datagram, limit, 0, (struct sockaddr *)&client, &length);
    if (received < 0) {
        if (errno != EINTR)
            warn("recvfrom");
        return;
    }
    format_name(name, &client);
    if (printf("%zd bytes from %s\n", received, name) < 0)
        warn("standard output");
    ssize_t sent = sendto(fd, datagram, (size_t)received, 0,
                          (struct sockaddr *)&client, length);
    if (sent < 0)
        warn("sendto %s", name);
}

static int serve_main(const char *port, size_t limit) {
    unsigned long number = parse_number(port, "port", 0, LARGEST_PORT);
    char name[NAME_BYTES];
    catch_signals();
    int fd = bind_to((in_port_t)number, name);
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");

    while (!stopping)
        answer_one(fd, limit);

    if (close(fd) < 0)
        err(1, "close");
    /* A report that could not be printed did not stop us, but it is an error.
     */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}

int main(int argc, char **argv) {
    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    if (argc < 2)
        usage(stderr, 2);
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);

    int is_send = strcmp(argv[1], "send") == 0;
    int is_serve = strcmp(argv[1], "serve") == 0;
    int has_limit = argc == 5 && strcmp(argv[2], "-b") == 0;
    if (is_send && argc == 5)
        return send_main(argv[2], argv[3], argv[4]);
    if (is_serve && argc == 3)
        return serve_main(argv[2], LARGEST_DATAGRAM);
    if (is_serve && has_limit) {
        size_t limit =
            parse_number(argv[3], "number of bytes", 1, LARGEST_DATAGRAM);
        return serve_main(argv[4], limit);
    }
    usage(stderr, 2);
}
