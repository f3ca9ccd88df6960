/*
 * 16 solution: the fastest mirror, one good answer of many.
 *
 * usage: 16-create-connection -d MILLISECONDS -t SECONDS HOST PORT [HOST
 * PORT]...
 */
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
#include <unistd.h>

enum {
    MOST_SERVERS = 16,
    LINE_BYTES = 4096, /* the longest first line, with its newline */
    LEAST_DELAY_MS = 10,
    MOST_DELAY_MS = 2000,
};

/* Why a server has failed, when no system call says so. */
static const char deadline_passed[] = "deadline passed";
static const char closed_early[] = "closed before the end of the line";
static const char line_too_long[] = "line too long";

enum state {
    UNTRIED,
    CONNECTING,
    RECEIVING, /* it is connected, and its first line is not whole yet */
    FAILED,
    READY, /* its first line is whole */
};

struct server {
    const char *host;
    const char *port;
    enum state state;
    char name[ADDR_TEXT_BYTES];
    int fd;                 /* -1 if it has no open socket */
    size_t length;          /* how many bytes have been received */
    char bytes[LINE_BYTES]; /* these bytes: the first line, and perhaps more */
};

struct race {
    int delay_ms;
    struct deadline deadline;
    struct deadline next; /* when the next server is to be tried */
    size_t count;         /* how many servers there are */
    size_t begun;         /* how many of them have been tried */
    struct server servers[MOST_SERVERS];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 16-create-connection -d MILLISECONDS -t SECONDS HOST PORT "
          "[HOST PORT]...\n",
          out);
    exit(status);
}

static int parse_delay(const char *text) {
    unsigned long long delay;
    if (number_parse(text, LEAST_DELAY_MS, MOST_DELAY_MS, &delay) < 0)
        errx(1, "%s is not a number of milliseconds: %d to %d", text,
             LEAST_DELAY_MS, MOST_DELAY_MS);
    return (int)delay;
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds", text);
    return milliseconds;
}

static void close_server(struct server *server) {
    if (server->fd < 0)
        return;
    if (close(server->fd) < 0)
        err(1, "close");
    server->fd = -1;
}

/* Says why this server is of no use, and closes its socket. If it was the last
 * one that we tried, the next one is tried at once. */
static void fail_server(struct race *race, struct server *server,
                        const char *call, const char *reason) {
    warnx("%s %s: %s", call, server->name, reason);
    close_server(server);
    server->state = FAILED;
    const struct server *latest = &race->servers[race->begun - 1];
    if (server == latest)
        race->next = deadline_after(0);
}

/* Begins to connect to this address. connect does not wait: it returns at once,
 * with EINPROGRESS. */
static void begin_connect(struct race *race, struct server *server,
                          const struct addrinfo *address) {
    addr_format(address->ai_addr, address->ai_addrlen, server->name);
    server->state = CONNECTING;
    server->fd = socket(address->ai_family,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0) {
        fail_server(race, server, "socket", strerror(errno));
        return;
    }
    int result = connect(server->fd, address->ai_addr, address->ai_addrlen);
    if (result < 0 && errno != EINPROGRESS)
        fail_server(race, server, "connect", strerror(errno));
}

/* Tries the next server, at the first address of its host. */
static void begin_server(struct race *race) {
    struct server *server = &race->servers[race->begun];
    race->begun++;
    race->next = deadline_after(race->delay_ms);

    struct addrinfo *list;
    int error =
        addr_resolve(server->host, server->port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0) {
        (void)snprintf(server->name, sizeof server->name, "%s", server->host);
        fail_server(race, server, "lookup", gai_strerror(error));
        return;
    }
    begin_connect(race, server, list);
    freeaddrinfo(list);
}

/* Call this when the attempt to connect has ended. SO_ERROR says whether it has
 * succeeded. */
static void finish_connect(struct race *race, struct server *server) {
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(server->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        err(1, "getsockopt SO_ERROR");
    if (error != 0)
        fail_server(race, server, "connect", strerror(error));
    else
        server->state = RECEIVING;
}

/* Receives what has come, and looks whether the line is whole now. */
static void receive(struct race *race, struct server *server) {
    char *end = server->bytes + server->length;
    ssize_t received = recv(server->fd, end, LINE_BYTES - server->length, 0);
    if (received < 0 && errno == EAGAIN)
        return;
    if (received < 0) {
        fail_server(race, server, "recv", strerror(errno));
        return;
    }
    if (received == 0) {
        fail_server(race, server, "recv", closed_early);
        return;
    }
    server->length += (size_t)received;
    if (memchr(end, '\n', (size_t)received) != NULL)
        server->state = READY;
    else if (server->length == LINE_BYTES)
        fail_server(race, server, "recv", line_too_long);
}

/* Returns how many milliseconds poll may wait: until the deadline, or until the
 * next server is tried. */
static int milliseconds_to_wait(const struct race *race) {
    int left = deadline_left(race->deadline);
    if (race->begun == race->count)
        return left;
    int next = deadline_left(race->next);
    if (next < left)
        return next;
    return left;
}

/* Waits until a server has something for us, or until it is time to try the
 * next one. Returns the server whose first line is whole, or NULL. */
static struct server *wait_for_servers(struct race *race) {
    struct pollfd polled[MOST_SERVERS];
    size_t count = race->begun;
    for (size_t i = 0; i < count; i++) {
        const struct server *server = &race->servers[i];
        polled[i] = (struct pollfd){.fd = server->fd, .events = POLLIN};
        if (server->state == CONNECTING)
            polled[i].events = POLLOUT;
    }

    int ready = poll(polled, count, milliseconds_to_wait(race));
    if (ready < 0 && errno != EINTR)
        err(1, "poll");
    if (ready <= 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct server *server = &race->servers[i];
        if (polled[i].revents == 0)
            continue;
        if (server->state == CONNECTING)
            finish_connect(race, server);
        else
            receive(race, server);
        if (server->state == READY)
            return server;
    }
    return NULL;
}

static int is_any_open(const struct race *race) {
    for (size_t i = 0; i < race->begun; i++) {
        if (race->servers[i].fd >= 0)
            return 1;
    }
    return 0;
}

static void fail_late_servers(struct race *race) {
    for (size_t i = 0; i < race->begun; i++) {
        struct server *server = &race->servers[i];
        if (server->state == CONNECTING)
            fail_server(race, server, "connect", deadline_passed);
        else if (server->state == RECEIVING)
            fail_server(race, server, "recv", deadline_passed);
    }
}

/* Returns the server whose first line is whole first, or ends the program. */
static struct server *find_fastest(struct race *race) {
    for (;;) {
        if (deadline_left(race->deadline) == 0) {
            fail_late_servers(race);
            exit(1);
        }
        if (race->begun < race->count && deadline_left(race->next) == 0) {
            begin_server(race);
            continue;
        }
        if (race->begun == race->count && !is_any_open(race))
            exit(1); /* fail_server has said why */
        struct server *fastest = wait_for_servers(race);
        if (fastest != NULL)
            return fastest;
    }
}

static void print_bytes(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Copies the server's bytes to standard output, until it ends the stream. */
static void copy_all(struct server *server, struct deadline deadline) {
    print_bytes(server->bytes, server->length);
    for (;;) {
        ssize_t received =
            deadline_recv(deadline, server->fd, server->bytes, LINE_BYTES);
        if (received < 0 && errno == ETIMEDOUT)
            errx(1, "recv %s: %s", server->name, deadline_passed);
        if (received < 0)
            err(1, "recv %s", server->name);
        if (received == 0)
            return;
        print_bytes(server->bytes, (size_t)received);
    }
}

/* Puts the servers that the command line names into *race. */
static void add_servers(struct race *race, char **words, int count) {
    int has_pairs = count >= 2 && count % 2 == 0;
    if (!has_pairs || count > 2 * MOST_SERVERS)
        usage(stderr, 2);
    for (int i = 0; i < count; i += 2) {
        struct server *server = &race->servers[race->count];
        server->host = words[i];
        server->port = words[i + 1];
        server->fd = -1;
        race->count++;
        in_port_t port;
        if (addr_parse_port(server->port, strlen(server->port), 1, &port) < 0)
            errx(1, "%s is not a port: 1 to 65535", server->port);
    }
}

int main(int argc, char **argv) {
    static struct race race; /* all members are 0 */
    int milliseconds = 0;
    for (;;) {
        int option = getopt(argc, argv, "+hd:t:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'd')
            race.delay_ms = parse_delay(optarg);
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (race.delay_ms == 0 || milliseconds == 0)
        usage(stderr, 2);
    add_servers(&race, argv + optind, argc - optind);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    race.deadline = deadline_after(milliseconds);
    race.next = deadline_after(0);
    struct server *fastest = find_fastest(&race);
    for (size_t i = 0; i < race.count; i++) {
        if (&race.servers[i] != fastest)
            close_server(&race.servers[i]);
    }
    copy_all(fastest, race.deadline);
    close_server(fastest);
    return 0;
}
