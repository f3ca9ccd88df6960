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

/* Returns a connected socket, or -1 if no address answers. */
static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s", gai_strerror(error));
    for (const struct addrinfo *address = list; address != NULL;
         address = address->ai_next) {
        int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect");
        (void)close(fd);
    }
    freeaddrinfo(list);
    return -1;
}

/* Copies all bytes from one descriptor to another. The names are for the error
 * messages. */
static void copy(int from, const char *from_name, int to, const char *to_name) {
    char piece[4096];
    for (;;) {
        ssize_t received = read(from, piece, sizeof piece);
        if (received < 0)
            err(1, "%s", from_name);
        if (received == 0)
            return;
        size_t length = (size_t)received;
        size_t done = 0;
        while (done < length) {
            ssize_t written = write(to, piece + done, length - done);
            if (written < 0)
                err(1, "%s", to_name);
            done += (size_t)written;
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
    /* If the child has failed, it has sent no FIN. Then the peer would wait for
     * the end of the input, and not answer. */
    int status;
    if (waitpid(child, &status, 0) < 0)
        err(1, "waitpid");
    if (status != 0)
        return 1;
    copy(fd, "socket", STDOUT_FILENO, "standard output");
    return 0;
}
