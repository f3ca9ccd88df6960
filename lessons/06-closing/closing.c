/*
 * 06-closing: end a connection in one of five ways, and look at both sides.
 *
 * Plays client and server itself, over a real connection on 127.0.0.1 (port 0:
 * any). After each call it prints what that returned, and each side's state.
 *
 * usage: 06-closing in-turn|half-close|reset|unread|killed PORT
 *
 * Left out: the segments, which no socket shows; a sniffer does (35).
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* An ending's name, and what is done in it: a side, and its call. */
static const char *const endings[6][12] = {
    {"in-turn", "client send", "server recv", "server close", "client recv",
     "client close"},
    {"half-close", "client send", "client shutdown", "server recv",
     "server recv", "server send", "client recv", "server close", "client recv",
     "client close"},
    {"reset", "server setsockopt", "server close", "client recv", "client send",
     "client recv"},
    {"unread", "client send", "server send", "server close", "client recv",
     "client send", "client recv"},
    {"killed", "client send", "server recv", "server fork", "server kill",
     "client recv", "client send", "client send"},
};

/* By their numbers in netinet/tcp.h; 0 is ours. */
static const char *const states[] = {
    "none",       "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
    "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING",
};

enum { LOOKS = 5000 }; /* a millisecond apart, until both sides rest */

struct side {
    in_port_t port;
    int fd;    /* -1: we have none */
    pid_t pid; /* that has one, when we haven't */
    char heard[64];
    char state[sizeof "(ESTABLISHED)"];
};

static volatile sig_atomic_t pipe_signal;
static void note_signal(int signal_number) {
    pipe_signal = signal_number;
}

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 06-closing in-turn|half-close|reset|unread|killed PORT\n",
          out);
    exit(status);
}

static int must(const char *call, int result) {
    if (result < 0)
        err(1, "%s", call);
    return result;
}

/* Both ends of a connection, with a descriptor each. */
static void open_connection(struct side *client, struct side *server) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(server->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct sockaddr *at = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    const int type = SOCK_STREAM | SOCK_CLOEXEC, on = 1;
    int listener = must("socket", socket(AF_INET, type, 0));
    must("setsockopt SO_REUSEADDR",
         setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    if (bind(listener, at, length) < 0)
        err(1, "bind 127.0.0.1:%d", server->port);
    must("listen", listen(listener, 1));
    must("getsockname", getsockname(listener, at, &length));
    server->port = ntohs(address.sin_port);
    client->fd = must("socket", socket(AF_INET, type, 0));
    must("connect", connect(client->fd, at, length));
    server->fd = must("accept", accept4(listener, at, &length, SOCK_CLOEXEC));
    client->port = ntohs(address.sin_port);
    must("close", close(listener));
}

/* A connection's line there: this end, the other end, the state, all in hex. */
static int state_in_table(in_port_t own, in_port_t other) {
    char line[256], ends[sizeof "1F90 0100007F:1F90 "];
    const char *found = NULL;
    (void)snprintf(ends, sizeof ends, "%04X %08X:%04X ", own,
                   htonl(INADDR_LOOPBACK), other);
    FILE *table = fopen("/proc/net/tcp", "re");
    if (table == NULL)
        err(1, "/proc/net/tcp");
    while (found == NULL && fgets(line, sizeof line, table) != NULL)
        found = strstr(line, ends);
    if (ferror(table))
        err(1, "/proc/net/tcp");
    (void)fclose(table); /* nothing was written */
    return found != NULL ? (int)strtol(found + strlen(ends), NULL, 16) : 0;
}

/* True when nobody waits for an acknowledgement, and both sides agree whether
 * it is over: then nothing more happens by itself. */
static int are_at_rest(struct side sides[2]) {
    int waiting = 0, over = 0;
    for (int i = 0; i < 2; i++) {
        struct side *side = &sides[i];
        struct tcp_info info = {0};
        socklen_t length = sizeof info;
        if (side->fd >= 0)
            must("getsockopt TCP_INFO",
                 getsockopt(side->fd, IPPROTO_TCP, TCP_INFO, &info, &length));
        int state = side->fd >= 0 ? info.tcpi_state
                                  : state_in_table(side->port, sides[!i].port);
        (void)snprintf(side->state, sizeof side->state,
                       side->fd >= 0 ? " %s" : "(%s)", states[state]);
        waiting |= info.tcpi_unacked > 0 || state == TCP_FIN_WAIT1 ||
                   state == TCP_LAST_ACK;
        over += state == 0 || state == TCP_CLOSE || state == TCP_TIME_WAIT;
    }
    return !waiting && over != 1;
}

static ssize_t perform(const char *step, struct side sides[2]) {
    struct side *side = &sides[*step == 's'];
    const char *call = step + sizeof "client"; /* and a blank */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = side->fd;
    if (strcmp(call, "send") == 0)
        return send(fd, "hello", strlen("hello"), 0);
    if (strcmp(call, "recv") == 0)
        return recv(fd, side->heard, sizeof side->heard, 0);
    if (strcmp(call, "shutdown") == 0)
        return shutdown(fd, SHUT_WR);
    if (strcmp(call, "setsockopt") == 0)
        return setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (strcmp(call, "kill") == 0)
        return -(side->pid < 1 || kill(side->pid, SIGKILL) < 0 ||
                 wait(NULL) < 0);
    if (strcmp(call, "fork") == 0 && (side->pid = must(step, fork())) == 0) {
        (void)close(sides[0].fd); /* or we would be the client, too */
        _exit((int)recv(fd, side->heard, sizeof side->heard, 0));
    }
    side->fd = -1;
    return close(fd);
}

/* One row, once the kernel has come to rest. */
static void show(const char *step, ssize_t result, struct side sides[2]) {
    const char *error = errno == EPIPE ? " EPIPE" : " ECONNRESET";
    if (result >= 0)
        error = "";
    else if (errno != EPIPE && errno != ECONNRESET)
        err(1, "%s", step);
    for (int looks = 0; !are_at_rest(sides); looks++) {
        if (looks == LOOKS)
            errx(1, "%s: no rest after it", step);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    int width = printf("%s = %zd%s%s", step, result, error,
                       pipe_signal != 0 ? ", SIGPIPE" : "");
    printf("%*s%-15s%s\n", 34 - width, "", sides[0].state, sides[1].state);
    pipe_signal = 0;
}

int main(int argc, char **argv) {
    struct side sides[2] = {0}; /* the client and the server */
    int i = 0;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    while (strcmp(argv[1], endings[i][0]) != 0)
        if (endings[++i][0] == NULL)
            usage(stderr, 2);
    if (addr_parse_port(argv[2], strlen(argv[2]), 0, &sides[1].port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[2]);
    (void)signal(SIGPIPE, note_signal); /* it would end us otherwise */
    open_connection(&sides[0], &sides[1]);
    printf("%34s client %-7d server %d\n", "", sides[0].port, sides[1].port);
    show("client connect", 0, sides);
    for (const char *const *step = endings[i] + 1; *step != NULL; step++)
        show(*step, perform(*step, sides), sides);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return 0;
}
