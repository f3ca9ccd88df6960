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

enum {
    MOST_SERVERS = 16,
    LINE_BYTES = 4096, /* the longest line, with its newline */
    PIECE_BYTES = 512,
    NONE = -1, /* the number of no server */
};

struct server {
    const char *host;
    const char *port;
    pid_t child; /* 0: it has none */
    int pipe;    /* what the child writes; -1: it is closed */
    size_t length;
    char line[LINE_BYTES];
};

static struct server servers[MOST_SERVERS];
static int count;
static int begun;
static int open_pipes;
static int delay_ms;
static struct deadline next_start;
static struct deadline deadline;

static _Noreturn void usage(void) {
    fputs("usage: 16-create-connection -d MILLISECONDS -t SECONDS HOST PORT "
          "[HOST PORT]...\n",
          stderr);
    exit(2);
}

static void write_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(fd, bytes + done, length - done);
        if (written < 0)
            err(1, "write");
        done += (size_t)written;
    }
}

/* ---- what a child does ---- */

static int connect_to(const char *host, const char *port, char *name) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    addr_format(list->ai_addr, list->ai_addrlen, name);
    int fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket %s", name);
    if (connect(fd, list->ai_addr, list->ai_addrlen) < 0)
        err(1, "connect %s", name);
    freeaddrinfo(list);
    return fd;
}

/* Copies what the server sends into the pipe. */
static _Noreturn void be_child(const struct server *server, int pipe) {
    char name[ADDR_TEXT_BYTES];
    char piece[PIECE_BYTES];
    size_t line_length = 0; /* of the first line, as far as it has come */
    int has_line = 0;
    int fd = connect_to(server->host, server->port, name);
    for (;;) {
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0)
            err(1, "recv %s", name);
        if (received == 0 && has_line)
            exit(0);
        if (received == 0)
            errx(1, "recv %s: closed before the end of the line", name);

        size_t length = (size_t)received;
        if (!has_line) {
            const char *newline = memchr(piece, '\n', length);
            if (newline == NULL) {
                line_length += length;
            } else {
                line_length += (size_t)(newline - piece) + 1;
                has_line = 1;
            }
        }
        if (line_length > LINE_BYTES)
            errx(1, "recv %s: line too long", name);
        write_all(pipe, piece, length);
    }
}

/* ---- what the parent does ---- */

static void begin_server(struct server *server) {
    int ends[2];
    if (pipe(ends) < 0)
        err(1, "pipe");
    server->child = fork();
    if (server->child < 0)
        err(1, "fork");
    if (server->child == 0) {
        close(ends[0]);
        be_child(server, ends[1]);
    }
    close(ends[1]);
    server->pipe = ends[0];
    open_pipes++;
}

static void end_child(struct server *server) {
    if (server->child == 0)
        return;
    kill(server->child, SIGKILL);
    waitpid(server->child, NULL, 0);
    server->child = 0;
}

/* Ends all children but that of the winner, which may be NONE. */
static void end_children(int winner) {
    for (int i = 0; i < begun; i++) {
        if (i != winner)
            end_child(&servers[i]);
    }
}

static _Noreturn void fail_late(void) {
    end_children(NONE);
    errx(1, "deadline passed");
}

static void print(const char *bytes, size_t length) {
    fwrite(bytes, 1, length, stdout);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        int reason = errno;
        end_children(NONE);
        errx(1, "standard output: %s", strerror(reason));
    }
}

/* The child has ended before its line was whole. */
static void remove_child(struct server *server) {
    close(server->pipe);
    server->pipe = -1;
    open_pipes--;
    waitpid(server->child, NULL, 0);
    server->child = 0;
    const struct server *latest = &servers[begun - 1];
    if (server == latest)
        next_start = deadline_after(0);
}

/* Reads from the child's pipe. Returns whether the line is whole now. */
static int read_from_child(struct server *server) {
    ssize_t received = read(server->pipe, server->line + server->length,
                            LINE_BYTES - server->length);
    if (received <= 0) {
        remove_child(server);
        return 0;
    }
    server->length += (size_t)received;
    return memchr(server->line, '\n', server->length) != NULL;
}

/* Returns the number of the server whose line is whole, or NONE. */
static int wait_for_pipes(void) {
    struct pollfd polled[MOST_SERVERS];
    for (int i = 0; i < begun; i++)
        polled[i] = (struct pollfd){.fd = servers[i].pipe, .events = POLLIN};
    int milliseconds = deadline_left(deadline);
    if (begun < count && deadline_left(next_start) < milliseconds)
        milliseconds = deadline_left(next_start);
    if (poll(polled, (nfds_t)begun, milliseconds) <= 0)
        return NONE;
    for (int i = 0; i < begun; i++) {
        if (polled[i].revents == 0)
            continue;
        int has_line = read_from_child(&servers[i]);
        if (has_line)
            return i;
    }
    return NONE;
}

static int find_winner(void) {
    for (;;) {
        if (deadline_left(deadline) == 0)
            fail_late();
        if (begun < count && deadline_left(next_start) == 0) {
            begin_server(&servers[begun]);
            begun++;
            next_start = deadline_after(delay_ms);
        }
        if (begun == count && open_pipes == 0)
            exit(1);
        int winner = wait_for_pipes();
        if (winner != NONE)
            return winner;
    }
}

static void copy_all(int pipe) {
    char piece[PIECE_BYTES];
    for (;;) {
        if (deadline_wait(deadline, pipe, POLLIN) < 0)
            fail_late();
        ssize_t received = read(pipe, piece, sizeof piece);
        if (received <= 0)
            return;
        print(piece, (size_t)received);
    }
}

static int parse_delay(const char *text) {
    unsigned long long number;
    if (number_parse(text, 10, 2000, &number) < 0)
        err(1, "%s", text);
    return (int)number;
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        err(1, "%s", text);
    return milliseconds;
}

/* Returns the milliseconds until the deadline. */
static int read_options(int argc, char **argv) {
    int milliseconds = 0;
    for (;;) {
        int option = getopt(argc, argv, "+d:t:");
        if (option == -1)
            break;
        if (option == 'd')
            delay_ms = parse_delay(optarg);
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage();
    }
    if (delay_ms == 0 || milliseconds == 0)
        usage();
    return milliseconds;
}

static void read_servers(int words, char **word) {
    if (words < 2 || words % 2 != 0)
        usage();
    if (words > 2 * MOST_SERVERS)
        usage();
    for (int i = 0; i < words; i += 2) {
        unsigned long long port;
        if (number_parse(word[i + 1], 1, 65535, &port) < 0)
            err(1, "%s", word[i + 1]);
        servers[count].host = word[i];
        servers[count].port = word[i + 1];
        count++;
    }
}

int main(int argc, char **argv) {
    deadline = deadline_after(read_options(argc, argv));
    read_servers(argc - optind, argv + optind);
    signal(SIGPIPE, SIG_IGN);

    next_start = deadline_after(0);
    int winner = find_winner();
    end_children(winner);
    print(servers[winner].line, servers[winner].length);
    copy_all(servers[winner].pipe);
    int status;
    waitpid(servers[winner].child, &status, 0);
    if (status != 0)
        return 1;
    return 0;
}
