/*
 * A right answer with a big buffer: it reads all of the input into memory,
 * sends it, and prints the answer byte by byte with stdio.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(int is_right, const char *what) {
    if (!is_right) {
        fprintf(stderr, "06-closing: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int fd = -1;
    int error = getaddrinfo(host, port, NULL, &list);
    if (error != 0) {
        fprintf(stderr, "06-closing: %s\n", gai_strerror(error));
        exit(1);
    }
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        if (at->ai_socktype != SOCK_STREAM)
            continue;
        fd = socket(at->ai_family, SOCK_STREAM, 0);
        check(fd >= 0, "socket");
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
            break;
        fprintf(stderr, "06-closing: connect: %s\n", strerror(errno));
        close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 06-closing HOST PORT\n");
        return 2;
    }
    int fd = connect_to(argv[1], argv[2]);
    if (fd < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);

    char *all = NULL;
    size_t length = 0;
    size_t room = 0;
    int byte;
    while ((byte = getchar()) != EOF) {
        if (length == room) {
            room = room * 2 + 1000;
            char *more = realloc(all, room);
            check(more != NULL, "realloc");
            all = more;
        }
        all[length] = (char)byte;
        length++;
    }
    check(!ferror(stdin), "standard input");

    size_t sent = 0;
    while (sent < length) {
        ssize_t now = send(fd, all + sent, length - sent, 0);
        check(now >= 0, "send");
        sent += (size_t)now;
    }
    free(all);
    check(shutdown(fd, SHUT_WR) == 0, "shutdown");

    FILE *answer = fdopen(fd, "r");
    check(answer != NULL, "fdopen");
    while ((byte = getc(answer)) != EOF)
        check(putchar(byte) != EOF, "standard output");
    int has_failed = ferror(answer);
    int reason = errno;
    check(fflush(stdout) == 0, "standard output");
    errno = reason;
    check(!has_failed, "recv");
    fclose(answer);
    return 0;
}
