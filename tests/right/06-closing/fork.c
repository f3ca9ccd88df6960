/*
 * A right answer with two processes: the child sends the input and shuts down,
 * the parent prints the answer.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect");
        (void)close(fd);
    }
    freeaddrinfo(list);
    return -1;
}

/* Copies all bytes from one descriptor to another. */
static void copy(int from, const char *from_name, int to, const char *to_name) {
    char piece[4096];
    for (;;) {
        ssize_t got = read(from, piece, sizeof piece);
        if (got < 0)
            err(1, "%s", from_name);
        if (got == 0)
            return;
        ssize_t done = 0;
        while (done < got) {
            ssize_t put = write(to, piece + done, (size_t)(got - done));
            if (put < 0)
                err(1, "%s", to_name);
            done += put;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: 06-closing HOST PORT\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = connect_to(argv[1], argv[2]);
    if (fd < 0)
        return 1;
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        copy(STDIN_FILENO, "standard input", fd, "socket");
        if (shutdown(fd, SHUT_WR) < 0)
            err(1, "shutdown");
        return 0;
    }
    /* If the child has failed, the peer will not answer, as it hears no end. */
    int status;
    if (waitpid(child, &status, 0) < 0)
        err(1, "waitpid");
    if (status != 0)
        return 1;
    copy(fd, "socket", STDOUT_FILENO, "standard output");
    return 0;
}
