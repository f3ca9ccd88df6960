/*
 * 05-byte-streams: send three lines, cut into pieces; read lines, whatever the
 * pieces are.
 *
 * Shows that a stream has no messages: how often one side calls send(2) says
 * nothing about how often the other side calls recv(2). The parts that later
 * lessons need are the modules stream and number in common/, which belong to
 * this lesson.
 *
 * usage: 05-byte-streams [-s SEED] [-p PAUSE] serve PORT [SIZE]...
 *        05-byte-streams read HOST PORT
 *
 * The server cuts the lines into pieces of SIZE bytes. The first SIZE is for
 * the first client, the second for the second, and so on; after the last one,
 * the first comes again. A SIZE of 0, or none at all, means that the size of
 * each piece is random; SEED makes the same random sizes again. After each
 * piece the server waits for PAUSE milliseconds.
 *
 * Left out: a client that sends something may lose lines (lesson 06); a
 * deadline (lesson 07).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "number.h"
#include "stream.h"
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 1024,        /* the longest line we read, with its newline */
    LARGEST_RANDOM_SIZE = 6,  /* of a piece, in bytes */
    LARGEST_NUMBER = 65535,   /* of a port, a seed, a pause, or a size */
    RANDOM_SIZE = 0,          /* the SIZE that means a random size */
    PAUSE_MILLISECONDS = 100, /* unless -p says otherwise */
    NS_PER_MS = 1000 * 1000,
};

static const char lines[] = "one\ntwo\nten\n";

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 05-byte-streams [-s SEED] [-p PAUSE] serve PORT [SIZE]...\n"
          "       05-byte-streams read HOST PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text names. Ends the program unless the text is a
 * number from 0 to LARGEST_NUMBER, in digits alone. */
static unsigned parse_number(const char *text) {
    unsigned long long number;
    if (number_parse(text, 0, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number from 0 to %d", text, LARGEST_NUMBER);
    return (unsigned)number;
}

/* Ends the program if its standard output or standard error is closed. Without
 * this check, a socket could get the number 1 or 2: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The reader. */

/* Returns a socket that is connected to this address. If that fails, the
 * function says why, and returns -1. */
static int try_address(const struct addrinfo *where) {
    char name[ADDR_TEXT_BYTES];
    addr_format(where->ai_addr, where->ai_addrlen, name);

    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("socket %s", name);
        return -1;
    }
    if (connect(fd, where->ai_addr, where->ai_addrlen) < 0) {
        warn("connect %s", name);
        (void)close(fd); /* it was never connected, so nothing can be lost */
        return -1;
    }
    return fd;
}

/* Tries the host's addresses in order. Returns a socket that is connected to
 * the first one that answers, or ends the program if none does. */
static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));

    int fd = -1;
    const struct addrinfo *where = list;
    while (where != NULL && fd < 0) {
        fd = try_address(where);
        where = where->ai_next;
    }
    freeaddrinfo(list);
    if (fd < 0)
        exit(1); /* try_address has said why */
    return fd;
}

/* Prints how many calls of recv a line took, and the line. */
static void print_line(unsigned long receives, const char *line,
                       size_t length) {
    (void)printf("%lu recv: ", receives);
    (void)fwrite(line, 1, length, stdout);
    (void)fflush(stdout);
    if (ferror(stdout)) /* one of the three calls has failed */
        err(1, "standard output");
}

/* Reads and prints lines until the peer closes the connection. */
static void read_lines(int fd) {
    struct stream stream = {.fd = fd};
    char line[LINE_BYTES];
    size_t length;

    for (;;) {
        stream.receives = 0;
        switch (stream_read_line(&stream, line, sizeof line, &length)) {
        case STREAM_LINE:
            print_line(stream.receives, line, length);
            break;
        case STREAM_END:
            print_line(stream.receives, "(end)\n", strlen("(end)\n"));
            return;
        case STREAM_CUT:
            errx(1, "peer ended after %zu bytes of a line", length);
        case STREAM_TOO_LONG:
            errx(1, "no newline within %d bytes", LINE_BYTES);
        default: /* STREAM_ERROR */
            err(1, "recv");
        }
    }
}

static int read_main(const char *host, const char *port) {
    int fd = connect_to(host, port);
    read_lines(fd);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

/* The server. */

/* What the command line says about the pieces. */
struct pieces {
    char **sizes;          /* a text for each size */
    size_t count;          /* how many sizes there are */
    struct timespec pause; /* after each piece */
};

/* The signal handler. It may end the program at once, because the kernel closes
 * all our descriptors. Only the report about a client that we serve is lost. */
static void end_now(int signal_number) {
    (void)signal_number;
    _exit(0);
}

/* Returns a listener at 127.0.0.1, as in lesson 02, and prints its name.
 * Without TCP_NODELAY, a small piece would wait in the kernel until the piece
 * before it has been acknowledged: tcp(7). */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen");
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return listener;
}

/* Returns a number from 1 to LARGEST_RANDOM_SIZE. */
static size_t random_size(void) {
    return 1 + (size_t)lrand48() % LARGEST_RANDOM_SIZE;
}

/* Returns the SIZE for this client, where 0 is the first client. After the last
 * SIZE, the first comes again. Without any, it is RANDOM_SIZE. */
static size_t size_for_client(const struct pieces *pieces, size_t client) {
    if (pieces->count == 0)
        return RANDOM_SIZE;
    size_t index = client % pieces->count;
    return parse_number(pieces->sizes[index]);
}

/* Sends the three lines in pieces of `size` bytes. With RANDOM_SIZE, each piece
 * gets a random size. Prints the sizes of all pieces that were sent. */
static void send_lines(int fd, size_t size, const struct timespec *pause) {
    size_t total = strlen(lines);
    size_t done = 0;

    (void)printf("pieces:");
    while (done < total) {
        size_t length = size;
        if (size == RANDOM_SIZE)
            length = random_size();
        size_t unsent = total - done;
        if (length > unsent)
            length = unsent;
        size_t sent;
        if (stream_write_all(fd, lines + done, length, &sent) < 0) {
            warn("send");
            break;
        }
        done += length;
        (void)printf(" %zu", length);
        (void)nanosleep(pause, NULL); /* so that each piece travels alone */
    }
    /* The newline makes stdio(3) write the whole line, so an error shows here.
     * The next client is served all the same. */
    if (printf("\n") < 0)
        warn("standard output");
}

/* Serves one client after another, for ever. */
static _Noreturn void serve_clients(int listener, const struct pieces *pieces) {
    size_t client = 0;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept");
            (void)nanosleep(&pieces->pause, NULL);
            continue;
        }
        size_t size = size_for_client(pieces, client);
        client++;
        send_lines(fd, size, &pieces->pause);
        (void)close(fd); /* an error here changes nothing for other clients */
    }
}

/* Ends the program if one of the sizes is wrong. size_for_client would notice
 * that too, but only when the client comes. */
static void check_sizes(const struct pieces *pieces) {
    for (size_t i = 0; i < pieces->count; i++)
        (void)parse_number(pieces->sizes[i]);
}

static int serve_main(const char *port_text, const struct pieces *pieces) {
    in_port_t port = (in_port_t)parse_number(port_text);
    check_sizes(pieces);

    (void)signal(SIGINT, end_now);
    (void)signal(SIGTERM, end_now);
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    serve_clients(listen_on(port), pieces);
}

static struct timespec to_timespec(unsigned milliseconds) {
    struct timespec time = {
        .tv_sec = milliseconds / 1000,
        .tv_nsec = (long)(milliseconds % 1000) * NS_PER_MS,
    };
    return time;
}

int main(int argc, char **argv) {
    unsigned milliseconds = PAUSE_MILLISECONDS;

    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int option = getopt(argc, argv, "+hs:p:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 's')
            srand48((long)parse_number(optarg));
        else if (option == 'p')
            milliseconds = parse_number(optarg);
        else
            usage(stderr, 2);
    }
    /* The operands are the arguments after the options. */
    int operand_count = argc - optind;
    char **operands = argv + optind;

    if (operand_count == 3 && strcmp(operands[0], "read") == 0)
        return read_main(operands[1], operands[2]);
    if (operand_count < 2 || strcmp(operands[0], "serve") != 0)
        usage(stderr, 2);
    struct pieces pieces = {
        .sizes = operands + 2, /* the operands after "serve" and PORT */
        .count = (size_t)(operand_count - 2),
        .pause = to_timespec(milliseconds),
    };
    return serve_main(operands[1], &pieces);
}
