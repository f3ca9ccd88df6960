/* A child for each server, with plain calls that block, and a pipe from each
 * child. The parent takes the first whole line, and ends the other children. */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVERS = 16, LINE_BYTES = 4096 };

static pid_t children[SERVERS];
static int pipes[SERVERS];
static char lines[SERVERS][LINE_BYTES];
static size_t lengths[SERVERS];

static _Noreturn void usage(void) {
    fputs("usage: 16-create-connection -d MILLISECONDS -t SECONDS HOST PORT "
          "[HOST PORT]...\n",
          stderr);
    exit(2);
}

static void write_all(int out, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t put = write(out, bytes, length);
        if (put < 0)
            err(1, "write");
        bytes += put;
        length -= (size_t)put;
    }
}

static int connect_to(const char *host, const char *port, char *name) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    int fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    addr_format(list->ai_addr, list->ai_addrlen, name);
    if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
        err(1, "connect %s", name);
    freeaddrinfo(list);
    return fd;
}

/* Copies what the server sends into the pipe. */
static _Noreturn void be_child(const char *host, const char *port, int out) {
    char name[ADDR_TEXT_BYTES];
    char piece[512];
    size_t length = 0; /* of the line, until it is whole */
    int has_line = 0;
    int fd = connect_to(host, port, name);
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got < 0)
            err(1, "recv %s", name);
        if (got == 0 && has_line)
            exit(0);
        if (got == 0)
            errx(1, "recv %s: closed before the end of the line", name);
        for (ssize_t i = 0; i < got && !has_line; i++) {
            length++;
            has_line = piece[i] == '\n';
        }
        if (length > LINE_BYTES)
            errx(1, "recv %s: line too long", name);
        write_all(out, piece, (size_t)got);
    }
}

static void start(int i, const char *host, const char *port) {
    int ends[2];
    if (pipe(ends) < 0)
        err(1, "pipe");
    children[i] = fork();
    if (children[i] < 0)
        err(1, "fork");
    if (children[i] == 0) {
        close(ends[0]);
        be_child(host, port, ends[1]);
    }
    close(ends[1]);
    pipes[i] = ends[0];
}

static void end_children(int except) {
    for (int i = 0; i < SERVERS; i++) {
        if (i != except && children[i] > 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
            children[i] = 0;
        }
    }
}

static _Noreturn void fail_late(void) {
    end_children(-1);
    errx(1, "deadline passed");
}

static void print(const char *bytes, size_t length) {
    fwrite(bytes, 1, length, stdout);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        int reason = errno;
        end_children(-1);
        errx(1, "standard output: %s", strerror(reason));
    }
}

/* Returns 1 if this child's line is whole, 0 if not yet, -1 if it failed. */
static int take(int i) {
    ssize_t got =
        read(pipes[i], lines[i] + lengths[i], LINE_BYTES - lengths[i]);
    if (got <= 0) {
        close(pipes[i]);
        pipes[i] = -1;
        waitpid(children[i], NULL, 0);
        children[i] = 0;
        return -1;
    }
    lengths[i] += (size_t)got;
    return memchr(lines[i], '\n', lengths[i]) != NULL;
}

static char **words;
static int count;
static int begun;
static int open_pipes;
static int delay;
static struct deadline next;
static struct deadline deadline;

static int wait_for_pipes(void) {
    struct pollfd polled[SERVERS];
    for (int i = 0; i < begun; i++)
        polled[i] = (struct pollfd){.fd = pipes[i], .events = POLLIN};
    int wait = deadline_left(deadline);
    if (begun < count && deadline_left(next) < wait)
        wait = deadline_left(next);
    if (poll(polled, (nfds_t)begun, wait) <= 0)
        return -1;
    for (int i = 0; i < begun; i++) {
        if (polled[i].revents == 0)
            continue;
        int result = take(i);
        if (result == 1)
            return i;
        if (result == 0)
            continue;
        open_pipes--;
        if (i == begun - 1)
            next = deadline_after(0);
    }
    return -1;
}

static int race(void) {
    for (;;) {
        if (deadline_left(deadline) == 0)
            fail_late();
        if (begun < count && deadline_left(next) == 0) {
            char **pair = words + (size_t)begun * 2;
            start(begun, pair[0], pair[1]);
            begun++;
            open_pipes++;
            next = deadline_after(delay);
        }
        if (begun == count && open_pipes == 0)
            exit(1);
        int winner = wait_for_pipes();
        if (winner >= 0)
            return winner;
    }
}

static int read_options(int argc, char **argv) {
    unsigned long long number;
    int milliseconds = 0;
    int option;
    while ((option = getopt(argc, argv, "+d:t:")) != -1) {
        if (option == '?')
            usage();
        if (option == 'd' && number_parse(optarg, 10, 2000, &number) < 0)
            err(1, "%s", optarg);
        if (option == 'd')
            delay = (int)number;
        if (option == 't' &&
            deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            err(1, "%s", optarg);
    }
    if (delay == 0 || milliseconds == 0)
        usage();
    return milliseconds;
}

static void copy_rest(int from) {
    char piece[512];
    for (;;) {
        if (deadline_wait(deadline, from, POLLIN) < 0)
            fail_late();
        ssize_t got = read(from, piece, sizeof piece);
        if (got <= 0)
            return;
        print(piece, (size_t)got);
    }
}

int main(int argc, char **argv) {
    unsigned long long port;
    deadline = deadline_after(read_options(argc, argv));
    words = argv + optind;
    count = (argc - optind) / 2;
    if (count < 1 || (argc - optind) % 2 != 0 || count > SERVERS)
        usage();
    for (int i = optind + 1; i < argc; i += 2)
        if (number_parse(argv[i], 1, 65535, &port) < 0)
            err(1, "%s", argv[i]);
    signal(SIGPIPE, SIG_IGN);

    next = deadline_after(0);
    int winner = race();
    end_children(winner);
    print(lines[winner], lengths[winner]);
    copy_rest(pipes[winner]);
    int status;
    waitpid(children[winner], &status, 0);
    return status != 0;
}
