/*
 * 28-io-uring-server: send back what clients send, with few system calls.
 *
 * Shows io_uring(7): the program puts requests into one queue, and the kernel
 * puts its answers, the completions, into another. Both queues are in memory
 * that the two share. One request may have many completions: we ask for clients
 * once, and for what a client sends once. This file starts and ends the server,
 * and gives each completion to the module that handles it. The rest is in the
 * modules of this lesson; read them in this order:
 *
 *   ring      the two queues that we share with the kernel
 *   accept    takes in clients, and refuses those for which there is no place
 *   client    the life of a client: what it sends is stored, and sent back
 *   buffers   the stock of buffers that the kernel fills
 *
 * server.h has what all of them share.
 *
 * usage: 28-io-uring-server [-m MAXCLIENTS] PORT
 *
 * At most MAXCLIENTS are connected at once. Port 0 is any free port. At its end
 * the server prints how many requests and completions there were, and how many
 * system calls. It needs Linux 6.1.
 *
 * Left out: a limit for clients that send nothing (this lesson's exercise), and
 * TLS.
 */
#define _GNU_SOURCE

#include "accept.h"
#include "buffers.h"
#include "client.h"
#include "deadline.h"
#include "number.h"
#include "ring.h"
#include "server.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    LARGEST_NUMBER = 65535, /* on the command line */
    MOST_FOR_ONE = 2, /* requests that we make because of one completion */
    KEPT_BYTES = 8 * 1024 * 1024, /* free memory that malloc may keep */
    QUIET_MS = 20, /* without a completion for so long, we may end */
    STOP_MS = 1000 /* but after this we end in any case */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 28-io-uring-server [-m MAXCLIENTS] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless it is one from
 * smallest to LARGEST_NUMBER, in digits alone. */
static int parse_number(const char *text, unsigned smallest) {
    unsigned long long number;
    if (number_parse(text, smallest, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number from %u to %d", text, smallest,
             LARGEST_NUMBER);
    return (int)number;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Takes as many descriptors as we may have without special rights, but not more
 * than our array has places. If that fails, fewer must do. */
static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    if (files.rlim_cur > DESCRIPTORS)
        files.rlim_cur = DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* glibc gives memory back to the kernel as soon as much of it is free. But we
 * need it again at once, for the next messages. */
static void keep_free_memory(void) {
#ifdef M_TRIM_THRESHOLD
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

/* From now on these two signals do not interrupt anything. They wait until we
 * read them from a descriptor: lesson 25. */
static int open_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        err(1, "sigprocmask");
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        err(1, "signalfd");
    return fd;
}

/* For a completion when a signal has come. */
static void ask_for_signals(struct server *server) {
    struct io_uring_sqe *request =
        ring_new_request(&server->ring, SIGNALS, server->signals);
    request->opcode = IORING_OP_POLL_ADD;
    request->poll32_events = POLLIN;
}

/* Opens all that the server needs to listen. */
static void start(struct server *server, in_port_t port) {
    accept_open_spare(server);
    server->signals = open_signals();
    ring_open(&server->ring);
    buffers_open(&server->buffers, server->ring.fd);
    accept_open_listener(server, &port);
    ask_for_signals(server);
    accept_ask_for_clients(server);
    if (printf("listening on 127.0.0.1:%d\n", port) < 0)
        err(1, "standard output");
}

static void handle_signals(struct server *server, int result) {
    if (result > 0) {
        server->is_stop_requested = 1;
        return;
    }
    errno = -result;
    ring_warn_and_pause("poll");
    ask_for_signals(server);
}

static void handle_completion(struct server *server,
                              const struct io_uring_cqe *completion) {
    enum kind kind = ring_kind(completion);
    int fd = ring_descriptor(completion);
    switch (kind) {
    case ACCEPT:
        accept_handle(server, completion->res, completion->flags);
        break;
    case RECV:
        client_handle_input(server, fd, completion->res, completion->flags);
        break;
    case SEND:
        client_handle_sent(server, fd, completion->res);
        break;
    case SIGNALS:
        handle_signals(server, completion->res);
        break;
    default:
        break; /* what was cancelled has a completion of its own */
    }
}

/* Submits our requests and waits, with milliseconds as ring_submit_and_wait has
 * them. Then handles completions, as long as there are some, and places for the
 * requests that we make because of them. Returns how many it has handled. */
static int handle_completions(struct server *server, int milliseconds) {
    int count = 0;
    ring_submit_and_wait(&server->ring, milliseconds);
    struct io_uring_cqe completion;
    while (ring_has_places(&server->ring, MOST_FOR_ONE)) {
        if (!ring_take_completion(&server->ring, &completion))
            break; /* there are no more */
        handle_completion(server, &completion);
        count++;
    }
    return count;
}

/* Accepts no more clients. Goes on with those that are there, until nothing has
 * come for QUIET_MS and every send has its completion; or for STOP_MS. What is
 * still open then, the kernel closes. */
static void finish(struct server *server) {
    if (!ring_has_places(&server->ring, 1))
        ring_submit_and_wait(&server->ring, 0); /* the kernel takes them all */
    ring_cancel(&server->ring, ACCEPT, server->listener);
    (void)close(server->listener);
    (void)close(server->signals);
    struct deadline end = deadline_after(STOP_MS);
    while (deadline_left(end) > 0) {
        int count = handle_completions(server, QUIET_MS);
        const struct ring_counts *counts = &server->ring.counts;
        if (count == 0 && counts->requests[SEND] == counts->completions[SEND])
            return;
    }
}

static void print_row(const struct ring_counts *counts, const char *name,
                      enum kind kind) {
    if (printf("%-6s %8lu %11lu\n", name, counts->requests[kind],
               counts->completions[kind]) < 0)
        err(1, "standard output");
}

static void report_numbers(const struct ring_counts *counts) {
    if (printf("       requests completions\n") < 0)
        err(1, "standard output");
    print_row(counts, "accept", ACCEPT);
    print_row(counts, "recv", RECV);
    print_row(counts, "send", SEND);
    if (printf("calls of io_uring_enter: %lu\n", counts->calls) < 0)
        err(1, "standard output");
    if (counts->overflows == 0)
        return;
    if (printf("completion queue too small: %lu times\n", counts->overflows) <
        0)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    static struct server
        server; /* all zero, so its arrays take no memory yet */
    server.most_clients = LARGEST_NUMBER;
    for (;;) {
        int option = getopt(argc, argv, "+hm:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'm')
            server.most_clients = parse_number(optarg, 1);
        else
            usage(stderr, 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    in_port_t port = (in_port_t)parse_number(argv[optind], 0);

    require_output();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed output is an error of printf */
    raise_descriptor_limit();
    keep_free_memory();
    start(&server, port);
    while (!server.is_stop_requested)
        (void)handle_completions(&server, -1);
    finish(&server);
    report_numbers(&server.ring.counts);
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
