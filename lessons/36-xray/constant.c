#define _GNU_SOURCE

#include "constant.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Every table ends with a name that is NULL. */
struct constant {
    unsigned value;
    const char *name;
};

static const struct constant domains[] = {
    {AF_INET, "AF_INET"},       {AF_INET6, "AF_INET6"},   {AF_UNIX, "AF_UNIX"},
    {AF_NETLINK, "AF_NETLINK"}, {AF_PACKET, "AF_PACKET"}, {0, NULL},
};

static const struct constant types[] = {
    {SOCK_STREAM, "SOCK_STREAM"},
    {SOCK_DGRAM, "SOCK_DGRAM"},
    {SOCK_RAW, "SOCK_RAW"},
    {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
    {0, NULL},
};

static const struct constant type_flags[] = {
    {SOCK_CLOEXEC, "SOCK_CLOEXEC"},
    {SOCK_NONBLOCK, "SOCK_NONBLOCK"},
    {0, NULL},
};

static const struct constant message_flags[] = {
    {MSG_NOSIGNAL, "MSG_NOSIGNAL"},
    {MSG_PEEK, "MSG_PEEK"},
    {MSG_DONTWAIT, "MSG_DONTWAIT"},
    {MSG_WAITALL, "MSG_WAITALL"},
    {MSG_TRUNC, "MSG_TRUNC"},
    {MSG_MORE, "MSG_MORE"},
    {MSG_OOB, "MSG_OOB"},
    {MSG_CTRUNC, "MSG_CTRUNC"},
    {MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"},
    {MSG_ERRQUEUE, "MSG_ERRQUEUE"},
    {MSG_FASTOPEN, "MSG_FASTOPEN"},
    {MSG_ZEROCOPY, "MSG_ZEROCOPY"},
    {0, NULL},
};

static const struct constant splice_flags[] = {
    {SPLICE_F_MOVE, "SPLICE_F_MOVE"},
    {SPLICE_F_NONBLOCK, "SPLICE_F_NONBLOCK"},
    {SPLICE_F_MORE, "SPLICE_F_MORE"},
    {0, NULL},
};

static const struct constant shutdowns[] = {
    {SHUT_RD, "SHUT_RD"},
    {SHUT_WR, "SHUT_WR"},
    {SHUT_RDWR, "SHUT_RDWR"},
    {0, NULL},
};

static const struct constant levels[] = {
    {SOL_SOCKET, "SOL_SOCKET"},     {IPPROTO_TCP, "IPPROTO_TCP"},
    {IPPROTO_IPV6, "IPPROTO_IPV6"}, {IPPROTO_IP, "IPPROTO_IP"},
    {SOL_PACKET, "SOL_PACKET"},     {0, NULL},
};

static const struct constant socket_options[] = {
    {SO_REUSEADDR, "SO_REUSEADDR"},
    {SO_REUSEPORT, "SO_REUSEPORT"},
    {SO_ERROR, "SO_ERROR"},
    {SO_LINGER, "SO_LINGER"},
    {SO_RCVTIMEO, "SO_RCVTIMEO"},
    {SO_SNDTIMEO, "SO_SNDTIMEO"},
    {SO_RCVLOWAT, "SO_RCVLOWAT"},
    {SO_RCVBUF, "SO_RCVBUF"},
    {SO_SNDBUF, "SO_SNDBUF"},
    {SO_KEEPALIVE, "SO_KEEPALIVE"},
    {SO_BROADCAST, "SO_BROADCAST"},
    {SO_TYPE, "SO_TYPE"},
    {SO_DOMAIN, "SO_DOMAIN"},
    {SO_PROTOCOL, "SO_PROTOCOL"},
    {SO_ACCEPTCONN, "SO_ACCEPTCONN"},
    {SO_PEERCRED, "SO_PEERCRED"},
    {SO_PASSCRED, "SO_PASSCRED"},
    {SO_ATTACH_FILTER, "SO_ATTACH_FILTER"},
    {SO_TIMESTAMPNS, "SO_TIMESTAMPNS"},
    {0, NULL},
};

static const struct constant tcp_options[] = {
    {TCP_NODELAY, "TCP_NODELAY"},
    {TCP_INFO, "TCP_INFO"},
    {TCP_CORK, "TCP_CORK"},
    {TCP_KEEPIDLE, "TCP_KEEPIDLE"},
    {TCP_QUICKACK, "TCP_QUICKACK"},
    {TCP_CONGESTION, "TCP_CONGESTION"},
    {TCP_ULP, "TCP_ULP"},
    {TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
    {0, NULL},
};

static const struct constant ip_options[] = {
    {IP_TTL, "IP_TTL"},
    {IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP"},
    {IP_DROP_MEMBERSHIP, "IP_DROP_MEMBERSHIP"},
    {IP_ADD_SOURCE_MEMBERSHIP, "IP_ADD_SOURCE_MEMBERSHIP"},
    {IP_DROP_SOURCE_MEMBERSHIP, "IP_DROP_SOURCE_MEMBERSHIP"},
    {MCAST_JOIN_GROUP, "MCAST_JOIN_GROUP"},
    {MCAST_LEAVE_GROUP, "MCAST_LEAVE_GROUP"},
    {IP_MULTICAST_ALL, "IP_MULTICAST_ALL"},
    {IP_PKTINFO, "IP_PKTINFO"},
    {IP_MULTICAST_IF, "IP_MULTICAST_IF"},
    {IP_MULTICAST_TTL, "IP_MULTICAST_TTL"},
    {IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"},
    {IP_RECVERR, "IP_RECVERR"},
    {IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT"},
    {0, NULL},
};

static const struct constant ipv6_options[] = {
    {IPV6_V6ONLY, "IPV6_V6ONLY"},
    {IPV6_JOIN_GROUP, "IPV6_JOIN_GROUP"},
    {IPV6_LEAVE_GROUP, "IPV6_LEAVE_GROUP"},
    {MCAST_JOIN_GROUP, "MCAST_JOIN_GROUP"},
    {MCAST_LEAVE_GROUP, "MCAST_LEAVE_GROUP"},
    {IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF"},
    {IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"},
    {IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP"},
    {IPV6_MULTICAST_ALL, "IPV6_MULTICAST_ALL"},
    {IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"},
    {IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"},
    {0, NULL},
};

static const struct constant packet_options[] = {
    {PACKET_STATISTICS, "PACKET_STATISTICS"},
    {PACKET_ADD_MEMBERSHIP, "PACKET_ADD_MEMBERSHIP"},
    {PACKET_AUXDATA, "PACKET_AUXDATA"},
    {0, NULL},
};

static const struct constant poll_events[] = {
    {POLLIN, "POLLIN"},       {POLLOUT, "POLLOUT"},
    {POLLERR, "POLLERR"},     {POLLHUP, "POLLHUP"},
    {POLLNVAL, "POLLNVAL"},   {POLLPRI, "POLLPRI"},
    {POLLRDHUP, "POLLRDHUP"}, {0, NULL},
};

static const struct constant epoll_events[] = {
    {EPOLLIN, "EPOLLIN"},           {EPOLLOUT, "EPOLLOUT"},
    {EPOLLERR, "EPOLLERR"},         {EPOLLHUP, "EPOLLHUP"},
    {EPOLLRDHUP, "EPOLLRDHUP"},     {EPOLLET, "EPOLLET"},
    {EPOLLONESHOT, "EPOLLONESHOT"}, {0, NULL},
};

static const struct constant epoll_flags[] = {
    {EPOLL_CLOEXEC, "EPOLL_CLOEXEC"},
    {0, NULL},
};

static const struct constant epoll_commands[] = {
    {EPOLL_CTL_ADD, "EPOLL_CTL_ADD"},
    {EPOLL_CTL_MOD, "EPOLL_CTL_MOD"},
    {EPOLL_CTL_DEL, "EPOLL_CTL_DEL"},
    {0, NULL},
};

static const struct constant fcntl_commands[] = {
    {F_GETFL, "F_GETFL"},
    {F_SETFL, "F_SETFL"},
    {F_GETFD, "F_GETFD"},
    {F_SETFD, "F_SETFD"},
    {F_DUPFD, "F_DUPFD"},
    {F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"},
    {0, NULL},
};

static const struct constant file_flags[] = {
    {O_RDWR, "O_RDWR"},
    {O_NONBLOCK, "O_NONBLOCK"},
    {0, NULL},
};

static const struct constant ioctl_requests[] = {
    {FIONBIO, "FIONBIO"},
    {FIONREAD, "FIONREAD"},
    {TIOCOUTQ, "SIOCOUTQ"},
    {SIOCGIFINDEX, "SIOCGIFINDEX"},
    {0, NULL},
};

static const struct constant errors[] = {
    {EPERM, "EPERM"},
    {ENOENT, "ENOENT"},
    {EINTR, "EINTR"},
    {EIO, "EIO"},
    {EBADF, "EBADF"},
    {ECHILD, "ECHILD"},
    {EAGAIN, "EAGAIN"},
    {ENOMEM, "ENOMEM"},
    {EACCES, "EACCES"},
    {EFAULT, "EFAULT"},
    {EEXIST, "EEXIST"},
    {ENOTDIR, "ENOTDIR"},
    {EISDIR, "EISDIR"},
    {EINVAL, "EINVAL"},
    {EMFILE, "EMFILE"},
    {ENOTTY, "ENOTTY"},
    {ENOSPC, "ENOSPC"},
    {ESPIPE, "ESPIPE"},
    {EPIPE, "EPIPE"},
    {ERANGE, "ERANGE"},
    {ENOSYS, "ENOSYS"},
    {EPROTO, "EPROTO"},
    {ENOTSOCK, "ENOTSOCK"},
    {EDESTADDRREQ, "EDESTADDRREQ"},
    {EMSGSIZE, "EMSGSIZE"},
    {ENOPROTOOPT, "ENOPROTOOPT"},
    {EOPNOTSUPP, "EOPNOTSUPP"},
    {EAFNOSUPPORT, "EAFNOSUPPORT"},
    {EADDRINUSE, "EADDRINUSE"},
    {EADDRNOTAVAIL, "EADDRNOTAVAIL"},
    {ENETUNREACH, "ENETUNREACH"},
    {ECONNABORTED, "ECONNABORTED"},
    {ECONNRESET, "ECONNRESET"},
    {ENOBUFS, "ENOBUFS"},
    {EISCONN, "EISCONN"},
    {ENOTCONN, "ENOTCONN"},
    {ETIMEDOUT, "ETIMEDOUT"},
    {ECONNREFUSED, "ECONNREFUSED"},
    {EHOSTUNREACH, "EHOSTUNREACH"},
    {EALREADY, "EALREADY"},
    {EINPROGRESS, "EINPROGRESS"},
    {ENXIO, "ENXIO"},
    {EBUSY, "EBUSY"},
    {EXDEV, "EXDEV"},
    {ENODEV, "ENODEV"},
    {ENFILE, "ENFILE"},
    {EFBIG, "EFBIG"},
    {EROFS, "EROFS"},
    {EDOM, "EDOM"},
    {ENAMETOOLONG, "ENAMETOOLONG"},
    {ELOOP, "ELOOP"},
    {EOVERFLOW, "EOVERFLOW"},
    {EPROTOTYPE, "EPROTOTYPE"},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT"},
    {ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"},
    {EPFNOSUPPORT, "EPFNOSUPPORT"},
    {ENETDOWN, "ENETDOWN"},
    {ENETRESET, "ENETRESET"},
    {ESHUTDOWN, "ESHUTDOWN"},
    {ETOOMANYREFS, "ETOOMANYREFS"},
    {EHOSTDOWN, "EHOSTDOWN"},
    {ECANCELED, "ECANCELED"},
    {EDQUOT, "EDQUOT"},
    {0, NULL},
};

static const struct constant *const groups[] = {
    [CONSTANT_DOMAIN] = domains,
    [CONSTANT_TYPE] = types,
    [CONSTANT_TYPE_FLAG] = type_flags,
    [CONSTANT_MESSAGE_FLAG] = message_flags,
    [CONSTANT_SPLICE_FLAG] = splice_flags,
    [CONSTANT_SHUTDOWN] = shutdowns,
    [CONSTANT_LEVEL] = levels,
    [CONSTANT_SOCKET_OPTION] = socket_options,
    [CONSTANT_TCP_OPTION] = tcp_options,
    [CONSTANT_IP_OPTION] = ip_options,
    [CONSTANT_IPV6_OPTION] = ipv6_options,
    [CONSTANT_PACKET_OPTION] = packet_options,
    [CONSTANT_POLL_EVENT] = poll_events,
    [CONSTANT_EPOLL_EVENT] = epoll_events,
    [CONSTANT_EPOLL_FLAG] = epoll_flags,
    [CONSTANT_EPOLL_COMMAND] = epoll_commands,
    [CONSTANT_FCNTL_COMMAND] = fcntl_commands,
    [CONSTANT_FILE_FLAG] = file_flags,
    [CONSTANT_IOCTL_REQUEST] = ioctl_requests,
    [CONSTANT_ERROR] = errors,
};

void constant_write(FILE *out, enum constant_group group, unsigned value) {
    const struct constant *names = groups[group];
    for (size_t i = 0; names[i].name != NULL; i++) {
        if (names[i].value == value) {
            (void)fputs(names[i].name, out);
            return;
        }
    }
    (void)fprintf(out, "%u", value);
}

/* Whether all bits of a flag are set in a value. */
static bool has_flag(unsigned value, unsigned flag) {
    return flag != 0 && (value & flag) == flag;
}

void constant_write_flags(FILE *out, enum constant_group group, unsigned value,
                          const char *first) {
    const struct constant *names = groups[group];
    const char *separator = first;
    unsigned unnamed = value; /* the flags that are not written yet */
    for (size_t i = 0; names[i].name != NULL; i++) {
        if (!has_flag(unnamed, names[i].value))
            continue;
        (void)fprintf(out, "%s%s", separator, names[i].name);
        separator = "|";
        unnamed &= ~names[i].value;
    }
    if (unnamed != 0)
        (void)fprintf(out, "%s0x%x", separator, unnamed);
}
