#define _GNU_SOURCE

#include "endpoint.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const state_names[] = {
    "",           "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
    "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING",
};

void endpoint_keep(const struct sockaddr_storage *from,
                   struct packet_end *end) {
    if (from->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        memcpy(end->address, &in.sin_addr, sizeof in.sin_addr);
        end->port = ntohs(in.sin_port);
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, from, sizeof in);
        memcpy(end->address, &in.sin6_addr, sizeof in.sin6_addr);
        end->port = ntohs(in.sin6_port);
    }
}

static int number_option(int fd, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    (void)getsockopt(fd, SOL_SOCKET, name, &value, &length);
    return value;
}

static void read_tcp(int fd, struct endpoint *endpoint) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    int queued = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return;
    endpoint->state = info.tcpi_state;
    endpoint->window = info.tcpi_snd_cwnd;
    endpoint->round_trip = info.tcpi_rtt;
    if (!endpoint->listening && ioctl(fd, TIOCOUTQ, &queued) == 0)
        endpoint->unacknowledged = (unsigned)queued;
}

/* All that one of our own descriptors tells. */
static int read_socket(int fd, struct endpoint *endpoint) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode) ||
        getsockname(fd, (struct sockaddr *)&name, &length) < 0)
        return -1;
    endpoint->inode = status.st_ino;
    endpoint->family = name.ss_family;
    endpoint_keep(&name, &endpoint->local);
    endpoint->type = number_option(fd, SO_TYPE);
    endpoint->listening = number_option(fd, SO_ACCEPTCONN) != 0;
    name = (struct sockaddr_storage){0};
    length = sizeof name;
    endpoint->connected =
        getpeername(fd, (struct sockaddr *)&name, &length) == 0;
    endpoint_keep(&name, &endpoint->peer);
    if (number_option(fd, SO_PROTOCOL) == IPPROTO_TCP)
        read_tcp(fd, endpoint);
    return 0;
}

int endpoint_read(pid_t process, int fd, struct endpoint *endpoint) {
    char path[64];
    char target[16];
    *endpoint = (struct endpoint){0};
    /* Most are no sockets: that is seen without borrowing them. */
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    ssize_t length = readlink(path, target, sizeof target);
    if (length < 7 || memcmp(target, "socket:", 7) != 0)
        return -1;
    int handle = (int)syscall(SYS_pidfd_open, process, 0);
    if (handle < 0)
        return -1;
    int copy = (int)syscall(SYS_pidfd_getfd, handle, fd, 0);
    (void)close(handle);
    if (copy < 0)
        return -1;
    int result = read_socket(copy, endpoint);
    (void)close(copy);
    return result;
}

/* The address and port of one side, as the files of proc_net(5) have them: each
 * four bytes of the address as one number of this machine's. */
static void file_form(int family, const struct packet_end *end, char *text) {
    size_t length = 0;
    for (size_t i = 0; i < (family == AF_INET ? 1 : 4); i++) {
        uint32_t word;
        memcpy(&word, end->address + sizeof word * i, sizeof word);
        length += (size_t)sprintf(text + length, "%08" PRIX32, word);
    }
    (void)sprintf(text + length, ":%04X", end->port);
}

unsigned endpoint_state_after(const struct endpoint *endpoint) {
    char local[48], peer[48], line[512];
    unsigned state = 0;
    FILE *file = fopen(
        endpoint->family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
    if (file == NULL)
        return 0;
    file_form(endpoint->family, &endpoint->local, local);
    file_form(endpoint->family, &endpoint->peer, peer);
    while (state == 0 && fgets(line, sizeof line, file) != NULL) {
        char ours[48], theirs[48], number[4];
        if (sscanf(line, "%*s %47s %47s %3s", ours, theirs, number) == 3 &&
            strcmp(ours, local) == 0 && strcmp(theirs, peer) == 0)
            state = (unsigned)strtoul(number, NULL, 16);
    }
    (void)fclose(file);
    return state;
}

const char *endpoint_state_name(unsigned state) {
    return state < sizeof state_names / sizeof state_names[0]
               ? state_names[state]
               : "?";
}

bool endpoint_same(const struct packet_end *one,
                   const struct packet_end *other) {
    return one->port == other->port &&
           memcmp(one->address, other->address, sizeof one->address) == 0;
}

const char *endpoint_format(int family, const struct packet_end *end,
                            bool brief, char *text) {
    static const uint8_t loopback4[16] = {127, 0, 0, 1};
    static const uint8_t loopback6[16] = {[15] = 1};
    char address[INET6_ADDRSTRLEN] = "";
    if (!brief || (memcmp(end->address, loopback4, 16) != 0 &&
                   memcmp(end->address, loopback6, 16) != 0))
        (void)inet_ntop(family, end->address, address, sizeof address);
    (void)snprintf(text, ENDPOINT_TEXT_BYTES,
                   family == AF_INET6 && address[0] != '\0' ? "[%s]:%u"
                                                            : "%s:%u",
                   address, end->port);
    return text;
}

const char *endpoint_describe(const struct endpoint *endpoint, bool accepted,
                              char *text) {
    const char *kind = "socket";
    if (endpoint->family == AF_UNIX)
        kind = "unix";
    else if (endpoint->family == AF_NETLINK)
        kind = "netlink";
    else if (endpoint->family == AF_PACKET)
        kind = "packet";
    else if (endpoint->type == SOCK_DGRAM)
        kind = "udp";
    else if (endpoint->state != 0)
        kind = "tcp";
    if (endpoint->listening)
        kind = "listener";
    if (endpoint->connected && !endpoint->listening &&
        (endpoint->family == AF_INET || endpoint->family == AF_INET6)) {
        char peer[ENDPOINT_TEXT_BYTES];
        (void)snprintf(
            text, ENDPOINT_TEXT_BYTES, "%s%s %.40s",
            endpoint->type == SOCK_DGRAM ? "udp " : "",
            accepted ? "from" : "to",
            endpoint_format(endpoint->family, &endpoint->peer, true, peer));
    } else {
        (void)snprintf(text, ENDPOINT_TEXT_BYTES, "%s", kind);
    }
    return text;
}
