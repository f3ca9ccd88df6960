/* select, a byte at a time, stdio for the output, and no module of ours but
 * those that read arguments. */
#define _GNU_SOURCE

#include "number.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_SERVERS = 16,
    LINE_BYTES = 4096, /* the longest line, with its newline */
    NONE = -1,         /* the number of no server */
};

enum state {
    NEW,
    CONNECTING,
    READING,
    FAILED,
};

struct server {
    const char *host;
    const char *port;
    int fd; /* -1: not open */
    enum state state;
    int length;
    char line[LINE_BYTES];
};

/* All times are in seconds, by a clock that nobody can set. */
static struct server servers[MOST_SERVERS];
static int count;
static int begun;
static double deadline;
static double next_start;
static double delay;
static double seconds;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail_server(int number, const char *call, const char *reason) {
    struct server *server = &servers[number];
    fprintf(stderr, "%s %s:%s: %s\n", call, server->host, server->port, reason);
    if (server->fd >= 0)
        close(server->fd);
    server->fd = -1;
    server->state = FAILED;
    if (number == begun - 1)
        next_start = now();
}

static void begin_connect(int number, const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    servers[number].fd = fd;
    if (fd < 0) {
        fail_server(number, "socket", strerror(errno));
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    servers[number].state = CONNECTING;
    int result = connect(fd, address->ai_addr, address->ai_addrlen);
    if (result < 0 && errno != EINPROGRESS)
        fail_server(number, "connect", strerror(errno));
}

static void begin_next(void) {
    int number = begun;
    begun++;
    next_start = now() + delay;
    servers[number].fd = -1;

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int error =
        getaddrinfo(servers[number].host, servers[number].port, &hints, &list);
    if (error != 0) {
        fail_server(number, "getaddrinfo", gai_strerror(error));
        return;
    }
    begin_connect(number, list);
    freeaddrinfo(list);
}

static void finish_connect(int number) {
    int error;
    socklen_t size = sizeof error;
    getsockopt(servers[number].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        fail_server(number, "connect", strerror(error));
    else
        servers[number].state = READING;
}

/* Receives one byte. */
static void read_byte(int number) {
    struct server *server = &servers[number];
    char byte;
    ssize_t received = recv(server->fd, &byte, 1, 0);
    if (received < 0 && errno == EAGAIN)
        return;
    if (received < 0) {
        fail_server(number, "recv", strerror(errno));
        return;
    }
    if (received == 0) {
        fail_server(number, "recv", "closed before the end of the line");
        return;
    }
    server->line[server->length] = byte;
    server->length++;
    if (server->length == LINE_BYTES && byte != '\n')
        fail_server(number, "recv", "the line is too long");
}

static int has_line(const struct server *server) {
    return server->length > 0 && server->line[server->length - 1] == '\n';
}

/* Calls select, until the time is there or a descriptor is ready. Removes from
 * the sets what is not ready. */
static void wait_until(double time, fd_set *readable, fd_set *writable) {
    double left = time - now();
    if (left < 0)
        left = 0;
    struct timeval timeout;
    timeout.tv_sec = (time_t)left;
    double fraction = left - (double)timeout.tv_sec;
    /* One more, because a fraction of a microsecond is cut off. */
    timeout.tv_usec = (suseconds_t)(fraction * 1e6) + 1;
    int ready = select(FD_SETSIZE, readable, writable, NULL, &timeout);
    if (ready <= 0) {
        FD_ZERO(readable);
        FD_ZERO(writable);
    }
}

static void end_if_late(void) {
    if (now() < deadline)
        return;
    fprintf(stderr, "deadline passed\n");
    exit(1);
}

/* Fills both sets. Returns how many descriptors are in them. */
static int fill_sets(fd_set *readable, fd_set *writable) {
    int open_count = 0;
    FD_ZERO(readable);
    FD_ZERO(writable);
    for (int i = 0; i < begun; i++) {
        if (servers[i].state == CONNECTING) {
            FD_SET(servers[i].fd, writable);
            open_count++;
        } else if (servers[i].state == READING) {
            FD_SET(servers[i].fd, readable);
            open_count++;
        }
    }
    return open_count;
}

/* Goes on with all servers that are ready. Returns the number of the one whose
 * line is whole, or NONE. */
static int handle_ready(const fd_set *readable, const fd_set *writable) {
    for (int i = 0; i < begun; i++) {
        enum state state = servers[i].state;
        int fd = servers[i].fd;
        if (state == CONNECTING && FD_ISSET(fd, writable))
            finish_connect(i);
        else if (state == READING && FD_ISSET(fd, readable))
            read_byte(i);
        if (servers[i].state == READING && has_line(&servers[i]))
            return i;
    }
    return NONE;
}

static int find_winner(void) {
    fd_set readable;
    fd_set writable;
    for (;;) {
        if (begun < count && now() >= next_start) {
            begin_next();
            continue;
        }
        int open_count = fill_sets(&readable, &writable);
        if (open_count == 0 && begun == count)
            exit(1);
        double time = deadline;
        if (begun < count && next_start < time)
            time = next_start;
        wait_until(time, &readable, &writable);
        end_if_late();
        int winner = handle_ready(&readable, &writable);
        if (winner != NONE)
            return winner;
    }
}

static void print(const char *bytes, size_t length) {
    fwrite(bytes, 1, length, stdout);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("stdout");
        exit(1);
    }
}

static void copy_all(int fd) {
    char piece[1000];
    fd_set readable;
    fd_set writable;
    for (;;) {
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        FD_SET(fd, &readable);
        wait_until(deadline, &readable, &writable);
        end_if_late();
        ssize_t received = recv(fd, piece, sizeof piece, 0);
        if (received < 0 && errno == EAGAIN)
            continue;
        if (received < 0) {
            perror("recv");
            exit(1);
        }
        if (received == 0)
            return;
        print(piece, (size_t)received);
    }
}

static _Noreturn void refuse(const char *what) {
    fprintf(stderr, "bad %s\n", what);
    exit(1);
}

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: -d MS -t SECONDS HOST PORT ...\n");
    exit(2);
}

static double parse_delay(const char *text) {
    unsigned long long milliseconds;
    if (number_parse(text, 10, 2000, &milliseconds) < 0)
        refuse("number of milliseconds");
    return (double)milliseconds / 1000;
}

static double parse_seconds(const char *text) {
    char *end;
    double number = strtod(text, &end);
    if (*end != '\0' || end == text)
        refuse("number of seconds");
    if (!(number > 0)) /* also true for nan */
        refuse("number of seconds");
    return number;
}

static void read_options(int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "d:t:");
        if (option == -1)
            break;
        if (option == 'd')
            delay = parse_delay(optarg);
        else if (option == 't')
            seconds = parse_seconds(optarg);
        else
            usage();
    }
    if (delay == 0 || seconds == 0)
        usage();
}

static void read_servers(int words, char **word) {
    if (words < 2 || words % 2 != 0)
        usage();
    if (words > 2 * MOST_SERVERS)
        usage();
    for (int i = 0; i < words; i += 2) {
        unsigned long long port;
        if (number_parse(word[i + 1], 1, 65535, &port) < 0)
            refuse("port");
        servers[count].host = word[i];
        servers[count].port = word[i + 1];
        count++;
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    read_servers(argc - optind, argv + optind);
    signal(SIGPIPE, SIG_IGN);
    deadline = now() + seconds;

    int winner = find_winner();
    for (int i = 0; i < begun; i++) {
        if (i != winner && servers[i].fd >= 0)
            close(servers[i].fd);
    }
    print(servers[winner].line, (size_t)servers[winner].length);
    copy_all(servers[winner].fd);
    return 0;
}
