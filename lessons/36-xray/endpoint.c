#define _GNU_SOURCE

#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"
#include "proc.h"

/* A C library older than the kernel doesn't know its number. */
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static const char *const state_names[] = {
    [0] = "",
    [TCP_ESTABLISHED] = "ESTABLISHED",
    [TCP_SYN_SENT] = "SYN_SENT",
    [TCP_SYN_RECV] = "SYN_RECV",
    [TCP_FIN_WAIT1] = "FIN_WAIT1",
    [TCP_FIN_WAIT2] = "FIN_WAIT2",
    [TCP_TIME_WAIT] = "TIME_WAIT",
    [TCP_CLOSE] = "CLOSE",
    [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
    [TCP_LAST_ACK] = "LAST_ACK",
    [TCP_LISTEN] = "LISTEN",
    [TCP_CLOSING] = "CLOSING",
};

void endpoint_copy(const struct sockaddr_storage *from,
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

void endpoint_copy_name(const struct sockaddr_storage *from, size_t length,
                        char *name) {
    const size_t path_at = offsetof(struct sockaddr_un, sun_path);
    const char *path = (const char *)from + path_at;
    if (from->ss_family != AF_UNIX || length <= path_at)
        return;
    size_t count = length - path_at;
    /* A path ends with a NUL. An abstract name begins with one. */
    if (path[0] != '\0')
        count = strnlen(path, count);
    if (count >= ENDPOINT_NAME_BYTES)
        count = ENDPOINT_NAME_BYTES - 1;
    for (size_t i = 0; i < count; i++) {
        name[i] = path[i];
        if (path[i] == '\0')
            name[i] = '@';
    }
    name[count] = '\0';
}

/* The value of an option of the socket itself, or 0 if there is none. */
static int read_option(int fd, int option) {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0)
        return 0;
    return value;
}

static void read_tcp(int fd, struct endpoint *endpoint) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    int unsent = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return;
    endpoint->state = info.tcpi_state;
    endpoint->window = info.tcpi_snd_cwnd;
    endpoint->round_trip = info.tcpi_rtt;
    /* A listener has no bytes of its own, and says EINVAL. */
    if (!endpoint->listening && ioctl(fd, TIOCOUTQ, &unsent) == 0)
        endpoint->unacknowledged = (unsigned)unsent;
}

/* Whether IP_MULTICAST_ALL, which is on by default, is off for a socket. */
static bool read_hears_own_groups(int fd, int family) {
    int level = IPPROTO_IP;
    int option = IP_MULTICAST_ALL;
    int is_on = 1;
    socklen_t length = sizeof is_on;
    if (family == AF_INET6) {
        level = IPPROTO_IPV6;
        option = IPV6_MULTICAST_ALL;
    }
    if (getsockopt(fd, level, option, &is_on, &length) < 0)
        return false;
    return is_on == 0;
}

/* Reads all that a socket of our own tells. Returns 0, or -1 for none. */
static int read_socket(int fd, struct endpoint *endpoint) {
    struct sockaddr_storage local = {0};
    struct sockaddr_storage peer = {0};
    socklen_t local_length = sizeof local;
    socklen_t peer_length = sizeof peer;
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode))
        return -1;
    if (getsockname(fd, (struct sockaddr *)&local, &local_length) < 0)
        return -1;
    endpoint->inode = status.st_ino;
    endpoint->family = local.ss_family;
    endpoint->type = read_option(fd, SO_TYPE);
    bool may_join = endpoint->family != AF_UNIX && endpoint->type == SOCK_DGRAM;
    if (may_join)
        endpoint->hears_own_groups =
            read_hears_own_groups(fd, endpoint->family);
    endpoint->listening = read_option(fd, SO_ACCEPTCONN) != 0;
    endpoint_copy(&local, &endpoint->local);
    endpoint_copy_name(&local, local_length, endpoint->name);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0) {
        endpoint->connected = true;
        endpoint_copy(&peer, &endpoint->peer);
        endpoint_copy_name(&peer, peer_length, endpoint->peer_name);
    }
    if (read_option(fd, SO_PROTOCOL) == IPPROTO_TCP)
        read_tcp(fd, endpoint);
    return 0;
}

/* Returns a descriptor of our own for what descriptor fd of a process is, or -1
 * and errno. */
static int borrow_descriptor(pid_t process, int fd) {
    int handle = (int)syscall(SYS_pidfd_open, process, 0);
    if (handle < 0)
        return -1;
    int copy = (int)syscall(SYS_pidfd_getfd, handle, fd, 0);
    int reason = errno;
    (void)close(handle);
    errno = reason;
    return copy;
}

/* Reads what descriptor fd of a process is, by a descriptor of our own or by
 * /proc. Returns 0, or -1 if it is not a socket. */
static int read_descriptor(pid_t process, int fd, struct endpoint *endpoint) {
    int copy = borrow_descriptor(process, fd);
    if (copy < 0)
        return proc_read(process, fd, endpoint);
    int result = read_socket(copy, endpoint);
    (void)close(copy);
    return result;
}

int endpoint_read(pid_t process, int fd, struct endpoint *endpoint) {
    *endpoint = (struct endpoint){0};
    /* Most descriptors are not of sockets. /proc says so, and then we need not
     * borrow them. */
    if (proc_inode(process, fd) == 0)
        return -1;
    if (read_descriptor(process, fd, endpoint) < 0)
        return -1;
    if (endpoint->family == AF_UNIX) {
        int result = peer_find(endpoint->inode, &endpoint->peer_inode);
        endpoint->hides_peer = result < 0;
    }
    return 0;
}

int endpoint_try(pid_t process) {
    int copy = borrow_descriptor(process, STDERR_FILENO);
    if (copy >= 0) {
        (void)close(copy);
        return 0;
    }
    /* EBADF means that the process has closed it, but we were allowed to try.
     */
    if (errno == EBADF)
        return 0;
    return -1;
}

/* ---- words ----------------------------------------------------------------*/

const char *endpoint_state_name(unsigned state) {
    if (state >= sizeof state_names / sizeof state_names[0])
        return "?";
    return state_names[state];
}

bool endpoint_same(const struct packet_end *one,
                   const struct packet_end *other) {
    return one->port == other->port &&
           memcmp(one->address, other->address, sizeof one->address) == 0;
}

static bool is_loopback(const struct packet_end *end) {
    static const uint8_t loopback4[16] = {127, 0, 0, 1};
    static const uint8_t loopback6[16] = {[15] = 1};
    return memcmp(end->address, loopback4, sizeof loopback4) == 0 ||
           memcmp(end->address, loopback6, sizeof loopback6) == 0;
}

const char *endpoint_format(int family, const struct packet_end *end,
                            enum endpoint_form form, char *text) {
    char address[INET6_ADDRSTRLEN] = "";
    if (form == ENDPOINT_BRIEF && is_loopback(end)) {
        (void)snprintf(text, ENDPOINT_TEXT_BYTES, ":%u", end->port);
        return text;
    }
    (void)inet_ntop(family, end->address, address, sizeof address);
    if (family == AF_INET6)
        (void)snprintf(text, ENDPOINT_TEXT_BYTES, "[%s]:%u", address,
                       end->port);
    else
        (void)snprintf(text, ENDPOINT_TEXT_BYTES, "%s:%u", address, end->port);
    return text;
}

static const char *kind_of(const struct endpoint *endpoint) {
    if (endpoint->listening)
        return "listener";
    switch (endpoint->family) {
    case AF_UNIX:
        return "unix";
    case AF_NETLINK:
        return "netlink";
    case AF_PACKET:
        return "packet";
    default:
        break;
    }
    if (endpoint->type == SOCK_DGRAM)
        return "udp";
    if (endpoint->state != 0)
        return "tcp";
    return "socket";
}

/* Whether a socket is one end of a connection of TCP or UDP. */
static bool has_shown_peer(const struct endpoint *endpoint) {
    bool is_internet =
        endpoint->family == AF_INET || endpoint->family == AF_INET6;
    return is_internet && endpoint->connected && !endpoint->listening;
}

const char *endpoint_describe(const struct endpoint *endpoint, bool accepted,
                              char *text) {
    char peer[ENDPOINT_TEXT_BYTES];
    const char *protocol = "";
    const char *direction = "to";
    if (!has_shown_peer(endpoint)) {
        (void)snprintf(text, ENDPOINT_TEXT_BYTES, "%s", kind_of(endpoint));
        return text;
    }
    if (endpoint->type == SOCK_DGRAM)
        protocol = "udp ";
    if (accepted)
        direction = "from";
    (void)endpoint_format(endpoint->family, &endpoint->peer, ENDPOINT_BRIEF,
                          peer);
    /* A longer address is cut, so that the text always has room for it. */
    (void)snprintf(text, ENDPOINT_TEXT_BYTES, "%s%s %.40s", protocol, direction,
                   peer);
    return text;
}
