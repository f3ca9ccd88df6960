/*
 * 15 exercise: a program of 1999, to be brought up to date.
 *
 * usage: 15-deprecated-api HOST PORT [HOST PORT]...
 *
 * Connects to each server, hears them all at once, and says how much each one
 * said before it ended. It works, and the compiler does not complain. Nor does
 * it know any IPv6. The README beside this file says what it is to become.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/* libc does not say that these are dead. So we do. Somebody who had no time has
 * silenced the compiler, and the linter, with the two lines below them: begin
 * there. (Of bzero and bcopy the compiler will know nothing even then.) */
#define DEAD __attribute__((deprecated))
DEAD struct hostent *gethostbyname(const char *name);
DEAD in_addr_t inet_addr(const char *text);
DEAD char *inet_ntoa(struct in_addr address);
DEAD int select(int count, fd_set *restrict readable, fd_set *restrict writable,
                fd_set *restrict exceptional, struct timeval *restrict timeout);
DEAD int usleep(useconds_t microseconds);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/* NOLINTBEGIN(clang-analyzer-security.insecureAPI*) */

enum {
    SERVERS = 8,
    TRIES = 3,
    PAUSE = 100000, /* microseconds, between two tries */
};

struct server {
    int fd; /* -1 when it has ended */
    char name[32];
    unsigned long bytes;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 15-deprecated-api HOST PORT [HOST PORT]...\n", out);
    exit(status);
}

static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || port == 0 ||
        port > 65535)
        errx(1, "%s is not a port: 1 to 65535", text);
    return (in_port_t)port;
}

/* A number, or else a name. */
static struct in_addr look_up(const char *host) {
    struct in_addr found;
    found.s_addr = inet_addr(host);
    if (found.s_addr != INADDR_NONE)
        return found;
    struct hostent *entry = gethostbyname(host);
    if (entry != NULL)
        bcopy(entry->h_addr_list[0], &found, sizeof found);
    else
        errx(1, "%s: %s", host, hstrerror(h_errno));
    return found;
}

static void connect_to(struct server *server, const char *host,
                       const char *port) {
    struct sockaddr_in at;
    bzero(&at, sizeof at);
    at.sin_family = AF_INET;
    at.sin_port = htons(parse_port(port));
    at.sin_addr = look_up(host);
    /* What inet_ntoa returns, its next call overwrites: so it is copied. */
    (void)sprintf(server->name, "%s:%d", inet_ntoa(at.sin_addr),
                  ntohs(at.sin_port));
    for (int try = 1;; try++) {
        server->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (server->fd < 0)
            err(1, "socket");
        if (connect(server->fd, (struct sockaddr *)&at, sizeof at) == 0)
            break;
        if (try == TRIES)
            err(1, "connect %s", server->name);
        (void)close(server->fd);
        (void)usleep(PAUSE);
    }
    printf("connected to %s\n", server->name);
    (void)fflush(stdout);
}

/* Takes what has come; at the end says how much it was. */
static void hear(struct server *server) {
    char piece[4096];
    ssize_t received = recv(server->fd, piece, sizeof piece, 0);
    if (received < 0)
        err(1, "recv from %s", server->name);
    server->bytes += (unsigned long)received;
    if (received > 0)
        return;
    printf("%s said %lu bytes\n", server->name, server->bytes);
    (void)fflush(stdout);
    (void)close(server->fd);
    server->fd = -1;
}

int main(int argc, char **argv) {
    struct server servers[SERVERS];
    int count = (argc - 1) / 2;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 3 || argc % 2 == 0 || count > SERVERS)
        usage(stderr, 2);
    bzero(servers, sizeof servers);
    for (int i = 0; i < count; i++)
        connect_to(&servers[i], argv[1 + 2 * i], argv[2 + 2 * i]);
    for (int left = count; left > 0;) {
        fd_set readable;
        int highest = -1;
        FD_ZERO(&readable);
        for (int i = 0; i < count; i++) {
            if (servers[i].fd < 0)
                continue;
            FD_SET((unsigned)servers[i].fd, &readable);
            if (servers[i].fd > highest)
                highest = servers[i].fd;
        }
        if (select(highest + 1, &readable, NULL, NULL, NULL) < 0)
            err(1, "select");
        for (int i = 0; i < count; i++) {
            if (servers[i].fd < 0 ||
                !FD_ISSET((unsigned)servers[i].fd, &readable))
                continue;
            hear(&servers[i]);
            left -= servers[i].fd < 0;
        }
    }
    return 0;
}
/* NOLINTEND(clang-analyzer-security.insecureAPI*) */
