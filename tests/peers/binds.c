/*
 * binds: can a second socket have the port of a first one?
 *
 *     binds FIRST SECOND
 *
 * Each argument is an IPv4 or IPv6 address, and options behind it, each after a
 * comma. The first socket gets its address and any free port, and listens. Then
 * the second socket is to listen at its address and the same port. We print
 * `yes` if it does, and otherwise the call that failed, and why:
 *
 *     $ binds 127.0.0.1,reuseaddr 0.0.0.0,reuseaddr
 *     bind: Address already in use
 *     $ binds 127.0.0.1,reuseaddr,time-wait 0.0.0.0,reuseaddr
 *     yes
 *
 * The options:
 *
 *     reuseaddr   SO_REUSEADDR is set
 *     reuseport   SO_REUSEPORT is set
 *     v6only      IPV6_V6ONLY is 1, and not 0 (IPv6 only)
 *     time-wait   it has had one client, has closed that connection first, and
 *                 has then closed the listener; so the connection is in the
 *                 state TIME_WAIT (the first socket only)
 *
 * Exits with status 0 for `yes`, 1 for anything else.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 8 };

/* What an argument asks for. */
struct wish {
    struct sockaddr_storage address;
    socklen_t length;
    int reuse_address;
    int reuse_port;
    int only_ipv6;
    int time_wait;
};

static _Noreturn void usage(void) {
    fputs("usage: binds ADDRESS[,OPTION]... ADDRESS[,OPTION]...\n"
          "options: reuseaddr reuseport v6only time-wait\n",
          stderr);
    exit(2);
}

static void parse_address(const char *text, struct wish *wish) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
        memcpy(&wish->address, &ipv4, sizeof ipv4);
        wish->length = sizeof ipv4;
    } else if (inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1) {
        memcpy(&wish->address, &ipv6, sizeof ipv6);
        wish->length = sizeof ipv6;
    } else {
        usage();
    }
}

static void parse_option(const char *text, struct wish *wish) {
    if (strcmp(text, "reuseaddr") == 0)
        wish->reuse_address = 1;
    else if (strcmp(text, "reuseport") == 0)
        wish->reuse_port = 1;
    else if (strcmp(text, "v6only") == 0)
        wish->only_ipv6 = 1;
    else if (strcmp(text, "time-wait") == 0)
        wish->time_wait = 1;
    else
        usage();
}

static struct wish parse_wish(char *text) {
    struct wish wish = {0};
    char *rest;
    const char *word = strtok_r(text, ",", &rest);
    if (word == NULL)
        usage();
    parse_address(word, &wish);
    for (;;) {
        word = strtok_r(NULL, ",", &rest);
        if (word == NULL)
            return wish;
        parse_option(word, &wish);
    }
}

static void set_option(int fd, int level, int option, int value) {
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        err(1, "setsockopt");
}

static int open_socket(const struct wish *wish) {
    int fd = socket(wish->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, wish->reuse_address);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, wish->reuse_port);
    if (wish->address.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, wish->only_ipv6);
    return fd;
}

/* Opens the first socket, and writes the port that it got into its address. */
static int open_first(struct wish *wish) {
    int fd = open_socket(wish);
    if (bind(fd, (struct sockaddr *)&wish->address, wish->length) < 0)
        err(1, "bind the first");
    if (listen(fd, BACKLOG) < 0)
        err(1, "listen with the first");
    socklen_t length = sizeof wish->address;
    if (getsockname(fd, (struct sockaddr *)&wish->address, &length) < 0)
        err(1, "getsockname");
    return fd;
}

/* Serves one client, which is our own, and closes everything. The kernel
 * completes the connection before accept, so one process is enough. */
static void leave_time_wait(int listener, struct wish *wish) {
    char byte;
    int client = socket(wish->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0)
        err(1, "socket");
    if (connect(client, (struct sockaddr *)&wish->address, wish->length) < 0)
        err(1, "connect");
    int server = accept(listener, NULL, NULL);
    if (server < 0)
        err(1, "accept");
    (void)close(server); /* first: so this end gets into TIME_WAIT */
    if (recv(client, &byte, 1, 0) != 0)
        err(1, "recv");
    (void)close(client);
    (void)close(listener);
}

/* The port is at the same place in both kinds of addresses. */
static void copy_port(struct wish *to, const struct wish *from) {
    in_port_t port = ((const struct sockaddr_in *)&from->address)->sin_port;
    ((struct sockaddr_in *)&to->address)->sin_port = port;
}

int main(int argc, char **argv) {
    if (argc != 3)
        usage();
    struct wish first = parse_wish(argv[1]);
    struct wish second = parse_wish(argv[2]);
    int listener = open_first(&first);
    if (first.time_wait)
        leave_time_wait(listener, &first);

    copy_port(&second, &first);
    int fd = open_socket(&second);
    if (bind(fd, (struct sockaddr *)&second.address, second.length) < 0) {
        printf("bind: %s\n", strerror(errno));
        return 1;
    }
    if (listen(fd, BACKLOG) < 0) {
        printf("listen: %s\n", strerror(errno));
        return 1;
    }
    puts("yes");
    return 0;
}
