/*
 * A right answer in the style of stdio: each client is a FILE that is written
 * with fprintf and closed with fclose.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Tells the client its address, and closes the connection. */
static void greet(int fd, struct sockaddr_in peer) {
    FILE *client = fdopen(fd, "w");
    if (client == NULL) {
        warn("fdopen");
        (void)close(fd);
        return;
    }
    int written = fprintf(client, "you are %s:%u\n", inet_ntoa(peer.sin_addr),
                          ntohs(peer.sin_port));
    if (written < 0)
        warn("fprintf");
    if (fclose(client) == EOF)
        warn("fclose"); /* fclose has closed the descriptor all the same */
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    size_t digits = strspn(argv[1], "0123456789");
    int is_number = digits > 0 && argv[1][digits] == '\0';
    long port = strtol(argv[1], NULL, 10);
    if (!is_number || port > 65535)
        errx(1, "%s: not a port", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once */

    int on = 1;
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t size = sizeof own;
    own.sin_port = htons((in_port_t)port);
    own.sin_addr.s_addr = inet_addr("127.0.0.1");
    int listener = socket(PF_INET, SOCK_STREAM, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "cannot have port %ld", port);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%u\n", ntohs(own.sin_port));

    for (;;) {
        struct sockaddr_in peer;
        size = sizeof peer;
        int fd = accept(listener, (struct sockaddr *)&peer, &size);
        if (fd >= 0) {
            greet(fd, peer);
        } else {
            perror("accept");
            (void)usleep(20 * 1000); /* microseconds */
        }
    }
}
