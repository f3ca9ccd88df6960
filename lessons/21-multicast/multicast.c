/*
 * 21-multicast: sends a datagram to a group, or prints what a group is sent.
 *
 * Shows one datagram that has many receivers.
 *
 * usage: 21-multicast listen [-i INTERFACE] GROUP PORT      (0: any free port)
 *        21-multicast say [-n] [-i INTERFACE] [-t TTL] GROUP PORT MESSAGE
 *
 * GROUP is a multicast address of IPv4 or IPv6. Without -i, the interface is
 * the loopback, "lo". With -t, the datagram may pass through TTL - 1 routers,
 * and with 0 it stays on this machine; without -t, it passes through none. With
 * -n, the kernel sends it out without a copy for this machine; on the loopback
 * this changes nothing, because what goes out there comes in again.
 *
 * Left out: the interface of a datagram, which for IPv6 may be another one than
 * ours; a list of the senders that we want to hear (source-specific multicast,
 * RFC 4607); sending a lost datagram again.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_DATAGRAM = 65527, /* lesson 03 */
    LARGEST_TTL = 255,
    DELETE = 0x7f, /* the one control character above the blank in ASCII */
};

/* A group at one of our interfaces. */
struct group {
    int family; /* AF_INET or AF_INET6 */
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address;
    socklen_t length;   /* of the address */
    unsigned interface; /* the kernel's number for it */
};

/* Set by the signal handler: the listener is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fprintf(out,
            "usage: 21-multicast listen [-i INTERFACE] GROUP PORT\n"
            "       21-multicast say [-n] [-i INTERFACE] [-t TTL] GROUP PORT "
            "MESSAGE\n");
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* If 1 or 2 were closed, our socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

static int is_multicast(const struct group *group) {
    if (group->family == AF_INET)
        return IN_MULTICAST(ntohl(group->address.ipv4.sin_addr.s_addr));
    return IN6_IS_ADDR_MULTICAST(&group->address.ipv6.sin6_addr);
}

/* The same link-local or node-local group exists at each interface. So its
 * address is not complete without the number of the interface: ipv6(7). */
static void complete_address(struct group *group) {
    if (group->family != AF_INET6)
        return;
    const struct in6_addr *address = &group->address.ipv6.sin6_addr;
    if (IN6_IS_ADDR_MC_LINKLOCAL(address) || IN6_IS_ADDR_MC_NODELOCAL(address))
        group->address.ipv6.sin6_scope_id = group->interface;
}

/* Fills in *group. Ends the program if one of the texts is not what it should
 * be. smallest_port is 0 or 1. */
static void parse_group(struct group *group, const char *interface,
                        const char *address, const char *port,
                        unsigned smallest_port) {
    /* addr_resolve takes the port as a text, so here we only check it. */
    in_port_t number;
    if (addr_parse_port(port, strlen(port), smallest_port, &number) < 0)
        errx(1, "%s is not a port: %u to 65535", port, smallest_port);

    struct addrinfo *list;
    int error = addr_resolve(address, port, AF_UNSPEC, SOCK_DGRAM, &list);
    if (error != 0)
        errx(1, "%s: %s", address, gai_strerror(error));
    *group = (struct group){
        .family = list->ai_family,
        .length = list->ai_addrlen,
    };
    memcpy(&group->address, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    if (!is_multicast(group))
        errx(1,
             "%s is not a group: 224.0.0.0 to 239.255.255.255, or IPv6 from "
             "ff00:: on",
             address);

    group->interface = if_nametoindex(interface);
    if (group->interface == 0)
        err(1, "interface %s", interface);
    uint32_t zone = 0; /* what stands behind the % of an address */
    if (group->family == AF_INET6)
        zone = group->address.ipv6.sin6_scope_id;
    if (zone != 0 && zone != group->interface)
        errx(1, "%s is at another interface than %s: use -i", address,
             interface);
    complete_address(group);
}

static int make_socket(const struct group *group) {
    int fd = socket(group->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

/* Sets an option whose value is a number. `name` is for the error message. */
static void set_option(int fd, int level, int option, int value,
                       const char *name) {
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        err(1, "setsockopt %s", name);
}

/* The listener. */

/* The signal handler, as in lesson 02: it also asks for a signal each second,
 * in case the first one came just before a call that sleeps. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* These calls fail only for a signal number that does not exist. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
}

/* Binds the socket to the group, so that it gets only datagrams that were sent
 * to this address and this port. Then writes the address into *group: with port
 * 0, the kernel has chosen a port. */
static void bind_to(int fd, struct group *group) {
    char name[ADDR_TEXT_BYTES];
    addr_format(&group->address.any, group->length, name);
    /* Without this option, only one program on this machine could listen. */
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (bind(fd, &group->address.any, group->length) < 0)
        err(1, "bind %s", name);
    if (getsockname(fd, &group->address.any, &group->length) < 0)
        err(1, "getsockname");
}

/* Makes the interface a member of the group, until the socket is closed. */
static void join_ipv4(int fd, const struct group *group) {
    const struct ip_mreqn membership = {
        .imr_multiaddr = group->address.ipv4.sin_addr,
        .imr_ifindex = (int)group->interface,
    };
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
                   sizeof membership) < 0)
        err(1, "setsockopt IP_ADD_MEMBERSHIP");
    /* Otherwise we would also hear this group at other interfaces, where other
     * programs on this machine have joined it. */
    set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL");
}

/* Makes the interface a member, as join_ipv4 does.
 *
 * IPV6_MULTICAST_ALL compares only the group, and not the interface. So if
 * another program has joined the same group at another interface, we also hear
 * what is sent to it there. */
static void join_ipv6(int fd, const struct group *group) {
    const struct ipv6_mreq membership = {
        .ipv6mr_multiaddr = group->address.ipv6.sin6_addr,
        .ipv6mr_interface = group->interface,
    };
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &membership,
                   sizeof membership) < 0)
        err(1, "setsockopt IPV6_JOIN_GROUP");
    set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL");
}

/* Anybody may send to the group. A control character, such as a newline, could
 * make one message look like two, so we print a question mark in its place. */
static void hide_control_characters(char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < ' ' || byte == DELETE)
            text[i] = '?';
    }
}

/* Receives one datagram, and prints a line about it. */
static void print_datagram(int fd) {
    static char message[LARGEST_DATAGRAM];
    char name[ADDR_TEXT_BYTES];
    struct sockaddr_storage sender = {0};
    socklen_t length = sizeof sender;

    ssize_t received = recvfrom(fd, message, sizeof message, 0,
                                (struct sockaddr *)&sender, &length);
    if (received < 0) {
        if (errno != EINTR)
            warn("recvfrom");
        return;
    }
    hide_control_characters(message, (size_t)received);
    addr_format((const struct sockaddr *)&sender, length, name);
    if (printf("%s said %.*s\n", name, (int)received, message) < 0)
        warn("standard output");
}

static int listen_to(struct group *group) {
    char name[ADDR_TEXT_BYTES];
    catch_signals();
    int fd = make_socket(group);
    bind_to(fd, group);
    if (group->family == AF_INET)
        join_ipv4(fd, group);
    else
        join_ipv6(fd, group);

    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    addr_format(&group->address.any, group->length, name);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");

    while (!stopping)
        print_datagram(fd);

    if (close(fd) < 0)
        err(1, "close");
    /* A line that could not be printed did not stop us, but is an error. */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}

static int listen_main(int argc, char **argv) {
    const char *interface = "lo";
    optind = 2; /* the options begin behind the word "listen" */
    for (;;) {
        int option = getopt(argc, argv, "+i:");
        if (option == -1)
            break;
        if (option == 'i')
            interface = optarg;
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    struct group group;
    parse_group(&group, interface, argv[optind], argv[optind + 1], 0);
    return listen_to(&group);
}

/* The sender. */

/* Says where a datagram to an IPv4 group goes: out of which interface, through
 * how many routers, and whether this machine gets a copy of it. */
static void choose_path_ipv4(int fd, const struct group *group, int ttl,
                             int copy) {
    const struct ip_mreqn out = {.imr_ifindex = (int)group->interface};
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) < 0)
        err(1, "setsockopt IP_MULTICAST_IF");
    set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl, "IP_MULTICAST_TTL");
    set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, copy, "IP_MULTICAST_LOOP");
}

static void choose_path_ipv6(int fd, const struct group *group, int ttl,
                             int copy) {
    set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)group->interface,
               "IPV6_MULTICAST_IF");
    set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl,
               "IPV6_MULTICAST_HOPS");
    set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, copy,
               "IPV6_MULTICAST_LOOP");
}

static int say(const struct group *group, int ttl, int copy,
               const char *message) {
    char name[ADDR_TEXT_BYTES];
    int fd = make_socket(group);
    if (group->family == AF_INET)
        choose_path_ipv4(fd, group, ttl, copy);
    else
        choose_path_ipv6(fd, group, ttl, copy);

    addr_format(&group->address.any, group->length, name);
    if (sendto(fd, message, strlen(message), 0, &group->address.any,
               group->length) < 0)
        err(1, "sendto %s", name);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

static int parse_ttl(const char *text) {
    unsigned long long ttl;
    if (number_parse(text, 0, LARGEST_TTL, &ttl) < 0)
        errx(1, "%s is not a TTL: 0 to %d", text, LARGEST_TTL);
    return (int)ttl;
}

static int say_main(int argc, char **argv) {
    const char *interface = "lo";
    int ttl = 1;  /* through no router */
    int copy = 1; /* this machine gets a copy, too */
    optind = 2;   /* the options begin behind the word "say" */
    for (;;) {
        int option = getopt(argc, argv, "+i:nt:");
        if (option == -1)
            break;
        if (option == 'i')
            interface = optarg;
        else if (option == 'n')
            copy = 0;
        else if (option == 't')
            ttl = parse_ttl(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 3)
        usage(stderr, 2);
    struct group group;
    parse_group(&group, interface, argv[optind], argv[optind + 1], 1);
    return say(&group, ttl, copy, argv[optind + 2]);
}

int main(int argc, char **argv) {
    require_output();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 2)
        usage(stderr, 2);
    if (strcmp(argv[1], "listen") == 0)
        return listen_main(argc, argv);
    if (strcmp(argv[1], "say") == 0)
        return say_main(argc, argv);
    usage(stderr, 2);
}
