/*
 * broadcast: datagrams for everybody, and for those who never asked for them.
 *
 *     broadcast hear [-o] PORT
 *     broadcast send [-b] PORT MESSAGE
 *
 * `hear` binds a socket to the port at all addresses of this machine, and joins
 * no group. It prints each datagram that the kernel gives to this socket. With
 * -o it switches IP_MULTICAST_ALL off, so it hears only groups that it has
 * joined: none. Several may hear at one port. With port 0 the kernel chooses
 * one.
 *
 * `send` sends a datagram to 127.255.255.255, the address of everybody on the
 * loopback. With -b it first sets SO_BROADCAST.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM_BYTES = 65507 };

static _Noreturn void usage(void) {
    fputs("usage: broadcast hear [-o] PORT\n"
          "       broadcast send [-b] PORT MESSAGE\n",
          stderr);
    exit(2);
}

static int make_socket(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

static void set_option(int fd, int level, int option, int value,
                       const char *name) {
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        err(1, "setsockopt %s", name);
}

static _Noreturn void hear(in_port_t port, int only_own) {
    static char text[DATAGRAM_BYTES];
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_ANY),
    };
    socklen_t length = sizeof own;
    int fd = make_socket();
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (only_own)
        set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 0.0.0.0:%d", port);
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    printf("listening on 0.0.0.0:%d\n", ntohs(own.sin_port));
    for (;;) {
        ssize_t received = recv(fd, text, sizeof text, 0);
        if (received < 0)
            err(1, "recv");
        printf("heard %.*s\n", (int)received, text);
    }
}

static int send_to_all(in_port_t port, const char *message, int is_allowed) {
    const struct sockaddr_in everybody = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK | ~IN_CLASSA_NET),
    };
    int fd = make_socket();
    if (is_allowed)
        set_option(fd, SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST");
    if (sendto(fd, message, strlen(message), 0,
               (const struct sockaddr *)&everybody, sizeof everybody) < 0)
        err(1, "sendto 127.255.255.255:%d", port);
    return 0;
}

int main(int argc, char **argv) {
    int is_set = 0;
    if (argc < 2)
        usage();
    int hears = strcmp(argv[1], "hear") == 0;
    if (!hears && strcmp(argv[1], "send") != 0)
        usage();
    optind = 2;
    for (;;) {
        int option = getopt(argc, argv, hears ? "+o" : "+b");
        if (option == -1)
            break;
        if (option == '?')
            usage();
        is_set = 1;
    }
    if (argc - optind != (hears ? 1 : 2))
        usage();
    in_port_t port = (in_port_t)strtol(argv[optind], NULL, 10);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (hears)
        hear(port, is_set);
    return send_to_all(port, argv[optind + 1], is_set);
}
