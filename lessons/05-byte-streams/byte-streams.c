/*
 * 05-byte-streams: say three lines, cut into pieces; read lines, however cut.
 *
 * Shows that a stream has no messages: how often one side called send(2) says
 * nothing about how often the other has to call recv(2). What later lessons
 * need of it is a module, common/stream.c: read that one too.
 *
 * usage: 05-byte-streams [-s SEED] [-p PAUSE] serve PORT [SIZE]...
 *        05-byte-streams read HOST PORT
 *
 * The server cuts into pieces of SIZE bytes, another SIZE for each client; 0,
 * or none, means sizes drawn from SEED. Then it waits for PAUSE milliseconds.
 *
 * Left out: a client that speaks may lose lines (06); a deadline (07).
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
    LARGEST_DRAWN = 6,        /* piece, when the size is drawn */
    PAUSE_MILLISECONDS = 100, /* unless -p says otherwise */
    LARGEST_NUMBER = 65535,   /* of a port, and enough for all others */
};

static const char lines[] = "one\ntwo\nten\n";

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 05-byte-streams [-s SEED] [-p PAUSE] serve PORT [SIZE]...\n"
          "       05-byte-streams read HOST PORT\n",
          out);
    exit(status);
}

static unsigned parse_number(const char *text) {
    unsigned long long number;
    if (number_parse(text, 0, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number: 0 to %d", text, LARGEST_NUMBER);
    return (unsigned)number;
}

/* Were 1 or 2 free, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            err(1, "descriptor %d", fd);
}

/* Tries the host's addresses, in their order, until one answers. */
static int connect_to(const char *host, const char *port) {
    char name[ADDR_TEXT_BYTES];
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s, port %s: %s", host, port, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("%s %s", fd < 0 ? "socket" : "connect",
             addr_format(at->ai_addr, at->ai_addrlen, name));
        if (fd >= 0)
            (void)close(fd);
    }
    exit(1);
}

/* Prints each line, and before it how many calls of recv it took. */
static void print_lines(int fd) {
    struct stream stream = {.fd = fd};
    enum stream_result result;
    char line[LINE_BYTES];
    size_t length;
    do {
        stream.receives = 0;
        result = stream_read_line(&stream, line, sizeof line, &length);
        if (result == STREAM_ERROR)
            err(1, "recv");
        if (result == STREAM_TOO_LONG)
            errx(1, "no newline within %d bytes", LINE_BYTES);
        if (result == STREAM_CUT)
            errx(1, "peer ended after %zu bytes of a line", length);
        (void)printf("%lu recv: %s", stream.receives,
                     result == STREAM_END ? "(end)\n" : "");
        (void)fwrite(line, 1, length, stdout);
        if (ferror(stdout) || fflush(stdout) == EOF)
            err(1, "standard output");
    } while (result == STREAM_LINE);
    if (close(fd) < 0)
        err(1, "close");
}

/* As in lesson 02; TCP_NODELAY: no small piece waits here for an ACK. tcp(7) */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    return listener;
}

/* Says the lines, size bytes at a time; 0 stands for a size drawn each time. */
static void say_lines(int fd, size_t size, const struct timespec *pause) {
    size_t sent = 0;
    (void)printf("pieces:");
    for (const char *piece = lines; *piece != '\0'; piece += sent) {
        size_t drawn = 1 + (size_t)lrand48() % LARGEST_DRAWN;
        size_t length = strnlen(piece, size > 0 ? size : drawn);
        if (stream_write_all(fd, piece, length, &sent) < 0) {
            warn("send");
            break;
        }
        (void)printf(" %zu", length);
        (void)nanosleep(pause, NULL); /* so that each piece travels alone */
    }
    if (printf("\n") < 0)
        warn("standard output"); /* no reason not to serve who comes next */
}

/* There is nothing to undo: what we hold, the kernel closes. */
static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}

/* One client at a time. After the last SIZE comes the first again. */
static _Noreturn void serve(const char *port, char **sizes,
                            const struct timespec *pause) {
    for (char **size = sizes; *size != NULL; size++)
        (void)parse_number(*size); /* wrong ones are refused now, not later */
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, also in a pipe */
    int listener = listen_on((in_port_t)parse_number(port));
    for (char **next = sizes;; next = *next == NULL ? sizes : next) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept");
            (void)nanosleep(pause, NULL);
            continue;
        }
        say_lines(fd, *next != NULL ? parse_number(*next++) : 0, pause);
        (void)close(fd); /* whatever it says: this client's turn is over */
    }
}

int main(int argc, char **argv) {
    unsigned milliseconds = PAUSE_MILLISECONDS;
    int option;
    require_output();
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    while ((option = getopt(argc, argv, "+hs:p:")) != -1) {
        if (option == 's')
            srand48(parse_number(optarg));
        else if (option == 'p')
            milliseconds = parse_number(optarg);
        else
            usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
    }
    argc -= optind;
    argv += optind;
    struct timespec pause = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = milliseconds % 1000 * 1000000L};
    if (argc >= 2 && strcmp(argv[0], "serve") == 0)
        serve(argv[1], argv + 2, &pause);
    if (argc != 3 || strcmp(argv[0], "read") != 0)
        usage(stderr, 2);
    print_lines(connect_to(argv[1], argv[2]));
    return 0;
}
