/*
 * callers: clients that keep coming, for a server that must not lose one.
 *
 *     callers [-n COUNT] [-e EVERY] PORT
 *
 * Eight clients connect at once to 127.0.0.1. Each reads a line, sends one of
 * its own, and wants exactly this line back. Then they leave, and the next
 * eight come, until SIGINT or SIGTERM says stop, or COUNT of them have come.
 * Says so when the first eight were served, and in the end how many were; or
 * what happened to the first that was not, with status 1. With -e it also says
 * so each time that EVERY more were served.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    AT_ONCE = 8,
    LINE_BYTES = 100,
    PATIENCE_SECONDS = 3,
    LARGEST_PORT = 65535
};

static volatile sig_atomic_t stopping;

static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

static _Noreturn void usage(void) {
    fputs("usage: callers [-n COUNT] [-e EVERY] PORT\n", stderr);
    exit(2);
}

static long parse_number(const char *text, long most) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        number > most)
        errx(1, "%s is not a number from 0 to %ld", text, most);
    return number;
}

static int call(in_port_t port, long number) {
    const struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        err(1, "setsockopt");
    if (connect(fd, (const struct sockaddr *)&server, sizeof server) < 0)
        err(1, "client %ld: connect", number);
    return fd;
}

/* Reads one line, as a string without its newline. */
static void read_line(int fd, long number, char line[LINE_BYTES]) {
    size_t length = 0;
    for (;;) {
        ssize_t received = recv(fd, line + length, 1, 0);
        if (received < 0 && errno == EINTR)
            continue; /* with SO_RCVTIMEO, no recv is restarted: signal(7) */
        if (received < 0 && errno == EAGAIN)
            errx(1, "client %ld: no line comes", number);
        if (received < 0)
            err(1, "client %ld: recv", number);
        if (received == 0)
            errx(1, "client %ld: the connection ends too early", number);
        if (line[length] == '\n')
            break;
        length++;
        if (length == LINE_BYTES)
            errx(1, "client %ld: too long a line", number);
    }
    line[length] = '\0';
}

static void send_line(int fd, long number) {
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "client %ld\n", number);
    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
        err(1, "client %ld: send", number);
}

static void check_line(int fd, long number) {
    char wanted[LINE_BYTES];
    char line[LINE_BYTES];
    (void)snprintf(wanted, sizeof wanted, "client %ld", number);
    read_line(fd, number, line);
    if (strcmp(line, wanted) != 0)
        errx(1, "client %ld: its line does not come back", number);
}

/* Eight clients: all of them connect, before the first reads its greeting. */
static void call_together(in_port_t port, long done) {
    char line[LINE_BYTES];
    int fds[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        fds[i] = call(port, done + i);
    for (int i = 0; i < AT_ONCE; i++)
        read_line(fds[i], done + i, line);
    for (int i = 0; i < AT_ONCE; i++)
        send_line(fds[i], done + i);
    for (int i = 0; i < AT_ONCE; i++)
        check_line(fds[i], done + i);
    for (int i = 0; i < AT_ONCE; i++)
        (void)close(fds[i]);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = request_stop,
                               .sa_flags = SA_RESTART};
    long count = LONG_MAX;
    long every = LONG_MAX;
    long done = 0;
    for (;;) {
        int option = getopt(argc, argv, "+n:e:");
        if (option == -1)
            break;
        if (option == 'n')
            count = parse_number(optarg, LONG_MAX);
        else if (option == 'e')
            every = parse_number(optarg, LONG_MAX);
        else
            usage();
    }
    if (optind != argc - 1)
        usage();
    in_port_t port = (in_port_t)parse_number(argv[optind], LARGEST_PORT);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    long next_report = every;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    while (!stopping && done < count) {
        call_together(port, done);
        if (done == 0)
            puts("the first clients were served");
        done += AT_ONCE;
        if (done >= next_report) {
            printf("%ld clients so far\n", next_report);
            next_report += every;
        }
    }
    printf("%ld clients, and all were served\n", done);
    return 0;
}
