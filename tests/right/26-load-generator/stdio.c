/*
 * A right answer in the style of stdio: the connection is two FILEs, every call
 * waits as long as it likes, and one alarm ends the program at the deadline. It
 * sorts nothing: it only counts the latencies that are within the limit.
 */
#define _GNU_SOURCE

#include <err.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    LEAST = 100, /* rates */
    MOST = 10000,
    WARM_UP = 100000, /* times, in microseconds */
    END = 1100000,
    US_PER_SECOND = 1000000,
    BUSY = -1, /* in place of a latency */
};

/* The signal handler for the alarm. */
static void report_timeout(int number) {
    static const char why[] = "stdio: the time has run out\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, why, sizeof why - 1);
    (void)written; /* if it fails, the status still says it */
    _exit(1);
}

static _Noreturn void usage(void) {
    fputs("usage: stdio -l MICROSECONDS -t MILLISECONDS HOST PORT\n", stderr);
    exit(2);
}

static long whole_number(const char *text, long most) {
    size_t digits = strspn(text, "0123456789");
    long number = 0;
    if (digits > 0 && digits <= 18 && text[digits] == '\0')
        number = strtol(text, NULL, 10);
    if (number < 1 || number > most)
        errx(1, "%s: from 1 to %ld, please", text, most);
    return number;
}

/* The timer is one of the monotonic clock, whatever its name says. */
static void set_alarm(long milliseconds) {
    struct itimerval time = {{0, 0}, {0, 0}};
    time.it_value.tv_sec = milliseconds / 1000;
    time.it_value.tv_usec = milliseconds % 1000 * 1000;
    (void)signal(SIGALRM, report_timeout);
    if (setitimer(ITIMER_REAL, &time, NULL) != 0)
        err(1, "setitimer");
}

static int open_socket(const struct addrinfo *list) {
    for (const struct addrinfo *to = list; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
            return fd;
        close(fd);
    }
    err(1, "no connection");
}

/* Returns when the request with this number is due. */
static long due_at(int rate, long number) {
    return number * US_PER_SECOND / rate;
}

static void send_requests(FILE *server, int rate) {
    for (long i = 0; due_at(rate, i) < END; i++)
        fprintf(server, "%ld\n", due_at(rate, i));
    if (fflush(server) == EOF)
        err(1, "sending");
    if (shutdown(fileno(server), SHUT_WR) < 0)
        err(1, "shutdown");
}

/* Returns the latency of one reply, or BUSY. */
static long read_latency(FILE *server, long due) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length = getline(&line, &room, server);
    if (length <= 0 || line[length - 1] != '\n')
        errx(1, "the server has ended too early");
    size_t digits = strspn(line, "0123456789");
    if (digits == 0 || digits > 18)
        errx(1, "a reply without a sensible time: %s", line);
    long time = strtol(line, NULL, 10);
    if (time < due)
        errx(1, "a reply to %ld came at %ld, too early", due, time);
    if ((size_t)length != strlen(line))
        errx(1, "a NUL in a reply");
    long latency = BUSY;
    if (strcmp(line + digits, " ok\n") == 0)
        latency = time - due;
    else if (strcmp(line + digits, " busy\n") != 0)
        errx(1, "what is this reply: %s", line);
    free(line);
    return latency;
}

static int is_good(const struct addrinfo *list, int rate, long limit) {
    long requests = 0; /* after the warm-up */
    long within = 0;   /* how many of them got their reply within the limit */
    int fd = open_socket(list);
    FILE *out = fdopen(fd, "w");
    FILE *in = fdopen(dup(fd), "r");
    if (in == NULL || out == NULL)
        err(1, "fdopen");
    send_requests(out, rate);
    for (long i = 0; due_at(rate, i) < END; i++) {
        long latency = read_latency(in, due_at(rate, i));
        if (due_at(rate, i) < WARM_UP)
            continue;
        requests++;
        if (latency != BUSY && latency <= limit)
            within++;
    }
    if (getc(in) != EOF)
        errx(1, "the server sends more than it was asked for");
    if (ferror(in))
        err(1, "receiving");
    fclose(in);
    fclose(out);
    return within * 100 >= requests * 99; /* 99 of 100 */
}

static int find_rate(const struct addrinfo *list, long limit) {
    if (!is_good(list, LEAST, limit))
        errx(1, "even %d a second are too much", LEAST);
    int good = LEAST;   /* the highest rate so far that was good */
    int bad = MOST + 1; /* the lowest rate so far that was not */
    while (good < MOST && bad > MOST) {
        int rate = good * 2;
        if (rate > MOST)
            rate = MOST;
        if (is_good(list, rate, limit))
            good = rate;
        else
            bad = rate;
    }
    while (bad - good > 1) {
        int middle = good + (bad - good) / 2;
        if (is_good(list, middle, limit))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

int main(int argc, char **argv) {
    long limit = 0;
    long milliseconds = 0;
    for (;;) {
        int option = getopt(argc, argv, "l:t:");
        if (option == -1)
            break;
        if (option == 'l')
            limit = whole_number(optarg, 1000000000);
        else if (option == 't')
            milliseconds = whole_number(optarg, 1000000000);
        else
            usage();
    }
    if (limit == 0 || milliseconds == 0)
        usage();
    if (optind != argc - 2)
        usage();
    (void)whole_number(argv[optind + 1], 65535);
    (void)signal(SIGPIPE, SIG_IGN);
    set_alarm(milliseconds);

    struct addrinfo *list;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(argv[optind], argv[optind + 1], &hints, &list);
    if (error != 0)
        errx(1, "%s: %s", argv[optind], gai_strerror(error));
    int good = find_rate(list, limit);
    freeaddrinfo(list);
    printf("%d\n", good);
    if (fclose(stdout) == EOF)
        err(1, "output");
    return 0;
}
