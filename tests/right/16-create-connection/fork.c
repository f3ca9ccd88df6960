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

/* Copies what the server sends into the pipe. */
static _Noreturn void be_child(const char *host, const char *port, int out) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    int fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    char name[ADDR_TEXT_BYTES];
    addr_format(list->ai_addr, list->ai_addrlen, name);
    if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
        err(1, "connect %s", name);
    freeaddrinfo(list);

    char piece[512];
    size_t before_newline = 0;
    int has_line = 0;
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got < 0)
            err(1, "recv %s", name);
        if (got == 0 && !has_line)
            errx(1, "recv %s: closed before the end of the line", name);
        if (got == 0)
            exit(0);
        for (ssize_t i = 0; i < got && !has_line; i++) {
            before_newline++;
            if (before_newline > LINE_BYTES)
                errx(1, "recv %s: line too long", name);
            has_line = piece[i] == '\n';
        }
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(out, piece + done, (size_t)(got - done));
            if (put < 0)
                err(1, "write");
            done += put;
        }
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

static int race(char **words, int count, int delay, struct deadline deadline) {
    struct deadline next = deadline_after(0);
    int begun = 0;
    int open = 0;
    for (;;) {
        if (deadline_left(deadline) == 0)
            fail_late();
        if (begun < count && deadline_left(next) == 0) {
            start(begun, words[2 * begun], words[2 * begun + 1]);
            begun++;
            open++;
            next = deadline_after(delay);
        }
        if (begun == count && open == 0)
            exit(1);
        struct pollfd polled[SERVERS];
        for (int i = 0; i < begun; i++)
            polled[i] = (struct pollfd){.fd = pipes[i], .events = POLLIN};
        int wait = deadline_left(deadline);
        if (begun < count && deadline_left(next) < wait)
            wait = deadline_left(next);
        if (poll(polled, (nfds_t)begun, wait) <= 0)
            continue;
        for (int i = 0; i < begun; i++) {
            int result = polled[i].revents != 0 ? take(i) : 0;
            if (result == 1)
                return i;
            if (result == -1) {
                open--;
                if (i == begun - 1)
                    next = deadline_after(0);
            }
        }
    }
}

int main(int argc, char **argv) {
    unsigned long long delay = 0, port;
    int milliseconds = 0, option;
    while ((option = getopt(argc, argv, "+d:t:")) != -1) {
        if (option == 'd' && number_parse(optarg, 10, 2000, &delay) < 0)
            err(1, "%s", optarg);
        if (option == 't' &&
            deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            err(1, "%s", optarg);
        if (option == '?')
            usage();
    }
    int count = argc - optind;
    if (delay == 0 || milliseconds == 0 || count < 2 || count % 2 != 0 ||
        count > 2 * SERVERS)
        usage();
    for (int i = 1; i < count; i += 2)
        if (number_parse(argv[optind + i], 1, 65535, &port) < 0)
            err(1, "%s", argv[optind + i]);
    signal(SIGPIPE, SIG_IGN);

    struct deadline deadline = deadline_after(milliseconds);
    int winner = race(argv + optind, count / 2, (int)delay, deadline);
    end_children(winner);
    print(lines[winner], lengths[winner]);
    for (;;) {
        char piece[512];
        if (deadline_wait(deadline, pipes[winner], POLLIN) < 0)
            fail_late();
        ssize_t got = read(pipes[winner], piece, sizeof piece);
        if (got <= 0)
            break;
        print(piece, (size_t)got);
    }
    int status;
    waitpid(children[winner], &status, 0);
    return status != 0;
}
