/*
 * 06-closing: end a connection in one of five ways, and look at both sides.
 *
 * The program is client and server at the same time, over a real connection on
 * 127.0.0.1. After each call it prints what the call returned, and in which TCP
 * state each side is then.
 *
 * usage: 06-closing in-turn|half-close|reset|unread|killed PORT
 *        (PORT 0: any free port)
 *
 * Left out: the segments. A socket does not show them; a sniffer does (lesson
 * 35).
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

enum role { CLIENT, SERVER, SIDES };

/* What a side can do. */
enum action {
    CLOSE,
    FORK,     /* let another process have the server's descriptor */
    KILL,     /* end that process with SIGKILL */
    LINGER,   /* set SO_LINGER, so that close sends a reset */
    RECV,     /* receive what is there */
    SEND,     /* send five bytes */
    SHUTDOWN, /* end only the sending half */
};

/* One line of the table that we print. */
struct step {
    enum role role;
    enum action action;
};

enum {
    MOST_STEPS = 9,     /* of an ending */
    RECEIVE_BYTES = 64, /* room for what one recv returns */
    MOST_CHECKS = 5000, /* a millisecond apart, until both sides are at rest */
    NS_PER_MS = 1000 * 1000,
    ROLE_WIDTH = 7, /* "client" or "server", and a blank */
    RESULT_WIDTH = 27,
    STATE_WIDTH = 15,  /* of the client's state; the server's comes last */
    RESULT_BYTES = 64, /* room for the text of a result */
    LARGEST_PORT = 65535,
};

struct ending {
    const char *name;
    size_t count; /* of steps */
    struct step steps[MOST_STEPS];
};

static const struct ending endings[] = {
    {.name = "in-turn",
     .count = 5,
     .steps = {{CLIENT, SEND},
               {SERVER, RECV},
               {SERVER, CLOSE},
               {CLIENT, RECV},
               {CLIENT, CLOSE}}},
    {.name = "half-close",
     .count = 9,
     .steps = {{CLIENT, SEND},
               {CLIENT, SHUTDOWN},
               {SERVER, RECV},
               {SERVER, RECV},
               {SERVER, SEND},
               {CLIENT, RECV},
               {SERVER, CLOSE},
               {CLIENT, RECV},
               {CLIENT, CLOSE}}},
    {.name = "reset",
     .count = 5,
     .steps = {{SERVER, LINGER},
               {SERVER, CLOSE},
               {CLIENT, RECV},
               {CLIENT, SEND},
               {CLIENT, RECV}}},
    {.name = "unread",
     .count = 6,
     .steps = {{CLIENT, SEND},
               {SERVER, SEND},
               {SERVER, CLOSE},
               {CLIENT, RECV},
               {CLIENT, SEND},
               {CLIENT, RECV}}},
    {.name = "killed",
     .count = 7,
     .steps = {{CLIENT, SEND},
               {SERVER, RECV},
               {SERVER, FORK},
               {SERVER, KILL},
               {CLIENT, RECV},
               {CLIENT, SEND},
               {CLIENT, SEND}}},
};
enum { ENDINGS = sizeof endings / sizeof endings[0] };

/* The states, by their numbers in <netinet/tcp.h>. Number 0 is ours: the kernel
 * knows no such connection any more. */
enum { STATE_NONE = 0 };
static const char *const state_names[] = {
    "none",       "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
    "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING",
};

/* One side of the connection. */
struct side {
    in_port_t port; /* in the machine's own byte order */
    int fd;         /* -1: this program has no descriptor for this side */
    pid_t child;    /* the process that has the descriptor instead, or 0 */
    int state;      /* an index of state_names */
    int unacked;    /* segments that the peer has not acknowledged */
};

/* Set by the handler of SIGPIPE. */
static volatile sig_atomic_t got_sigpipe;

static void record_sigpipe(int signal_number) {
    (void)signal_number;
    got_sigpipe = 1;
}

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 06-closing in-turn|half-close|reset|unread|killed PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the ending of that name, or NULL. */
static const struct ending *find_ending(const char *name) {
    for (size_t i = 0; i < ENDINGS; i++) {
        if (strcmp(endings[i].name, name) == 0)
            return &endings[i];
    }
    return NULL;
}

/* Returns a listener at 127.0.0.1, and writes its address into *address. */
static int listen_on(in_port_t port, struct sockaddr_in *address) {
    socklen_t length = sizeof *address;
    const int on = 1;
    address->sin_family = AF_INET;
    address->sin_port = htons(port);
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)address, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, 1) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)address, &length) < 0)
        err(1, "getsockname");
    return listener;
}

/* Makes a connection, and gives each side its descriptor and its port. */
static void open_connection(in_port_t port, struct side sides[SIDES]) {
    struct sockaddr_in server = {0};
    struct sockaddr_in client = {0};
    socklen_t length = sizeof client;

    int listener = listen_on(port, &server);
    sides[CLIENT].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sides[CLIENT].fd < 0)
        err(1, "socket");
    if (connect(sides[CLIENT].fd, (struct sockaddr *)&server, sizeof server) <
        0)
        err(1, "connect");
    sides[SERVER].fd =
        accept4(listener, (struct sockaddr *)&client, &length, SOCK_CLOEXEC);
    if (sides[SERVER].fd < 0)
        err(1, "accept");
    if (close(listener) < 0)
        err(1, "close");
    sides[CLIENT].port = ntohs(client.sin_port);
    sides[SERVER].port = ntohs(server.sin_port);
}

/* Returns the state that /proc/net/tcp shows for the connection from port `own`
 * to port `peer`, both at 127.0.0.1; STATE_NONE if the table has no such line.
 * A line has the two ends and the state, in hexadecimal: see proc(5). For
 * example, this line shows a connection from port 8080 to port 54321, in the
 * state ESTABLISHED, which has number 1:
 *
 *     3: 0100007F:1F90 0100007F:D431 01 ...
 *
 * We look for the text of the two ends. The state is the number behind it. The
 * table shows the four bytes of an address as they are in memory, read as one
 * number of this machine. So we print the result of htonl(3). */
static int find_state(in_port_t own, in_port_t peer) {
    const unsigned address = htonl(INADDR_LOOPBACK);
    char ends[sizeof "0100007F:1F90 0100007F:D431 "];
    char line[256];
    int state = STATE_NONE;

    (void)snprintf(ends, sizeof ends, "%08X:%04X %08X:%04X ", address, own,
                   address, peer);
    FILE *table = fopen("/proc/net/tcp", "re");
    if (table == NULL)
        err(1, "/proc/net/tcp");
    while (state == STATE_NONE && fgets(line, sizeof line, table) != NULL) {
        const char *found = strstr(line, ends);
        if (found != NULL)
            state = (int)strtol(found + strlen(ends), NULL, 16);
    }
    if (ferror(table))
        err(1, "/proc/net/tcp");
    (void)fclose(table); /* it was only read */
    return state;
}

/* Asks the kernel for the state of a side, and writes it into *side. If we have
 * no descriptor for the side, we look in the kernel's table. */
static void read_state(struct side *side, in_port_t peer) {
    side->unacked = 0;
    if (side->fd < 0) {
        side->state = find_state(side->port, peer);
        return;
    }
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    if (getsockopt(side->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        err(1, "getsockopt TCP_INFO");
    side->state = info.tcpi_state;
    side->unacked = (int)info.tcpi_unacked;
}

/* Is this side still waiting for an acknowledgement? */
static int is_waiting(const struct side *side) {
    return side->unacked > 0 || side->state == TCP_FIN_WAIT1 ||
           side->state == TCP_LAST_ACK;
}

/* Has this side finished with the connection? */
static int is_over(const struct side *side) {
    return side->state == STATE_NONE || side->state == TCP_CLOSE ||
           side->state == TCP_TIME_WAIT;
}

/* Are both sides at rest? Nothing more happens by itself when neither side
 * waits, and both sides have finished with the connection, or neither has. */
static int are_at_rest(const struct side *client, const struct side *server) {
    if (is_waiting(client) || is_waiting(server))
        return 0;
    if (is_over(client) && is_over(server))
        return 1;
    return !is_over(client) && !is_over(server);
}

/* Reads the states of both sides again and again, until both are at rest. */
static void wait_for_rest(struct side sides[SIDES]) {
    const struct timespec millisecond = {.tv_nsec = NS_PER_MS};
    for (int checks = 0; checks < MOST_CHECKS; checks++) {
        read_state(&sides[CLIENT], sides[SERVER].port);
        read_state(&sides[SERVER], sides[CLIENT].port);
        if (are_at_rest(&sides[CLIENT], &sides[SERVER]))
            return;
        (void)nanosleep(&millisecond, NULL);
    }
    errx(1, "the connection does not come to rest");
}

/* The actions. Each returns what its system call returned; FORK and KILL are
 * more than one call, and return 0. -1 means an error, and errno says which. */

static ssize_t receive(int fd) {
    char bytes[RECEIVE_BYTES];
    return recv(fd, bytes, sizeof bytes, 0);
}

/* Closes our descriptor for this side. */
static int close_side(struct side *side) {
    int result = close(side->fd);
    side->fd = -1;
    return result;
}

/* Starts a process that has the server's descriptor, and closes ours. fork(2)
 * copies this process. In the copy, fork returns 0. In this process, fork
 * returns the number of the copy. */
static int fork_server(struct side sides[SIDES]) {
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child == 0) {
        /* The copy has the client's descriptor too. Only the first process
         * should have that descriptor, so the copy closes its own. */
        (void)close(sides[CLIENT].fd);
        (void)receive(sides[SERVER].fd); /* waits until the copy is killed */
        _exit(0);
    }
    sides[SERVER].child = child;
    return close_side(&sides[SERVER]);
}

/* Kills the process of fork_server, and waits until it has ended. */
static int kill_server(const struct side *server) {
    if (kill(server->child, SIGKILL) < 0)
        return -1;
    if (waitpid(server->child, NULL, 0) < 0)
        return -1;
    return 0;
}

/* After this, close sends a reset: see SO_LINGER in socket(7). */
static int set_linger(int fd) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Does one step. Returns what the action returned. */
static ssize_t perform(struct step step, struct side sides[SIDES]) {
    struct side *side = &sides[step.role];
    switch (step.action) {
    case CLOSE:
        return close_side(side);
    case FORK:
        return fork_server(sides);
    case KILL:
        return kill_server(side);
    case LINGER:
        return set_linger(side->fd);
    case RECV:
        return receive(side->fd);
    case SEND:
        return send(side->fd, "hello", strlen("hello"), 0);
    case SHUTDOWN:
        return shutdown(side->fd, SHUT_WR);
    }
    errx(1, "no such action: %d", step.action);
}

static const char *action_name(enum action action) {
    static const char *const names[] = {
        [CLOSE] = "close",       [FORK] = "fork", [KILL] = "kill",
        [LINGER] = "setsockopt", [RECV] = "recv", [SEND] = "send",
        [SHUTDOWN] = "shutdown",
    };
    return names[action];
}

static const char *role_name(enum role role) {
    return role == CLIENT ? "client" : "server";
}

/* Writes how a step ended: `send = 5`, or `send = -1 EPIPE, SIGPIPE`. Ends the
 * program at an error that does not belong to this lesson. */
static void format_result(char text[RESULT_BYTES], struct step step,
                          ssize_t result) {
    const char *call = action_name(step.action);
    const char *error = "";
    const char *signal_name = "";
    if (result < 0) {
        if (errno == EPIPE)
            error = " EPIPE";
        else if (errno == ECONNRESET)
            error = " ECONNRESET";
        else
            err(1, "%s %s", role_name(step.role), call);
    }
    if (got_sigpipe)
        signal_name = ", SIGPIPE";
    (void)snprintf(text, RESULT_BYTES, "%s = %zd%s%s", call, result, error,
                   signal_name);
}

/* Prints a state, and blanks up to this width. The state is in parentheses if
 * we have no descriptor, and have read it in the kernel's table. */
static void print_state(const struct side *side, int width) {
    char text[sizeof "(ESTABLISHED)"];
    const char *name = state_names[side->state];
    if (side->fd >= 0)
        (void)snprintf(text, sizeof text, " %s", name);
    else
        (void)snprintf(text, sizeof text, "(%s)", name);
    printf("%-*s", width, text); /* width is the argument for the `*` */
}

/* Waits until both sides are at rest, and prints one line of the table. */
static void print_step(enum role role, const char *result,
                       struct side sides[SIDES]) {
    wait_for_rest(sides);
    printf("%-*s%-*s", ROLE_WIDTH, role_name(role), RESULT_WIDTH, result);
    print_state(&sides[CLIENT], STATE_WIDTH);
    print_state(&sides[SERVER], 0); /* the last column needs no blanks */
    putchar('\n');
}

/* Prints the first line of the table: the two ports, above the columns of the
 * states. Before them, `%*s` prints an empty text, with blanks up to the column
 * of the client. */
static void print_ports(const struct side sides[SIDES]) {
    char client[sizeof " client 65535"];
    (void)snprintf(client, sizeof client, " client %d", sides[CLIENT].port);
    printf("%*s%-*s server %d\n", ROLE_WIDTH + RESULT_WIDTH, "", STATE_WIDTH,
           client, sides[SERVER].port);
}

/* Makes a connection, ends it in this way, and prints the table. */
static void play(const struct ending *ending, in_port_t port) {
    struct side sides[SIDES] = {0};
    char result[RESULT_BYTES];

    open_connection(port, sides);
    print_ports(sides);
    print_step(CLIENT, "connect = 0", sides);
    for (size_t i = 0; i < ending->count; i++) {
        struct step step = ending->steps[i];
        got_sigpipe = 0;
        ssize_t returned = perform(step, sides);
        format_result(result, step, returned);
        print_step(step.role, result, sides);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    const struct ending *ending = find_ending(argv[1]);
    if (ending == NULL)
        usage(stderr, 2);
    in_port_t port;
    if (addr_parse_port(argv[2], strlen(argv[2]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", argv[2], LARGEST_PORT);

    /* Without a handler, SIGPIPE would end us. We want to report it. */
    (void)signal(SIGPIPE, record_sigpipe);
    /* The program that started us may have ignored SIGCHLD. Then we could not
     * wait for the child: wait(2). */
    (void)signal(SIGCHLD, SIG_DFL);
    play(ending, port);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
