#define _GNU_SOURCE

#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "endpoint.h"

/*
 * A letter for each argument, as a reader sees it. Capitals are filled in by
 * the kernel, and shown with the result:
 *   f descriptor       i number            x number, hexadecimal   - not shown
 *   b,B bytes, length  v,V iovec, count    m,M msghdr              s text
 *   a,A address, length (A: where that is) d domain   t type       y protocol
 *   l level, option, value, length (L: asked)         n flags of send and recv
 *   h how of shutdown  k flags of accept4  q fcntl's command, argument
 *   r ioctl's request, argument            w pollfd, count  g four of select
 *   c epoll's command  e its event         E events, how many      p two ints
 *   T milliseconds     S timespec          U timeval
 */
static const struct call {
    uint64_t number;
    const char *name;
    enum call_use use;
    const char *arguments;
} calls[] = {
    {SYS_socket, "socket", CALL_SOCKET, "dty"},
    {SYS_socketpair, "socketpair", CALL_SOCKET, "dtyp"},
    {SYS_bind, "bind", CALL_ON, "fa"},
    {SYS_listen, "listen", CALL_ON, "fi"},
#ifdef SYS_accept
    {SYS_accept, "accept", CALL_ON, "fA"},
#endif
    {SYS_accept4, "accept4", CALL_ON, "fAk"},
    {SYS_connect, "connect", CALL_ON, "fa"},
    {SYS_getsockname, "getsockname", CALL_ON, "fA"},
    {SYS_getpeername, "getpeername", CALL_ON, "fA"},
    {SYS_setsockopt, "setsockopt", CALL_ON, "fl"},
    {SYS_getsockopt, "getsockopt", CALL_ON, "fL"},
    {SYS_shutdown, "shutdown", CALL_ON, "fh"},
    {SYS_sendto, "sendto", CALL_ON, "fbna"},
    {SYS_recvfrom, "recvfrom", CALL_ON, "fBnA"},
    {SYS_sendmsg, "sendmsg", CALL_ON, "fmn"},
    {SYS_recvmsg, "recvmsg", CALL_ON, "fMn"},
    {SYS_sendmmsg, "sendmmsg", CALL_ON, "f-in"},
    {SYS_recvmmsg, "recvmmsg", CALL_ON, "f-in"},
    {SYS_read, "read", CALL_DATA, "fB"},
    {SYS_write, "write", CALL_DATA, "fb"},
    {SYS_readv, "readv", CALL_DATA, "fV"},
    {SYS_writev, "writev", CALL_DATA, "fv"},
    {SYS_sendfile, "sendfile", CALL_ON, "ff-i"},
    {SYS_splice, "splice", CALL_ON, "f-f-ix"},
    {SYS_close, "close", CALL_ON, "f"},
    {SYS_dup, "dup", CALL_ON, "f"},
#ifdef SYS_dup2
    {SYS_dup2, "dup2", CALL_ON, "fi"},
#endif
    {SYS_dup3, "dup3", CALL_ON, "fi"},
    {SYS_fcntl, "fcntl", CALL_ON, "fq"},
    {SYS_ioctl, "ioctl", CALL_ON, "fr"},
#ifdef SYS_poll
    {SYS_poll, "poll", CALL_SOCKET, "wT"},
#endif
    {SYS_ppoll, "ppoll", CALL_SOCKET, "wS"},
#ifdef SYS_select
    {SYS_select, "select", CALL_SOCKET, "gU"},
#endif
    {SYS_pselect6, "pselect6", CALL_SOCKET, "gS"},
#ifdef SYS_epoll_create
    {SYS_epoll_create, "epoll_create", CALL_SOCKET, "i"},
#endif
    {SYS_epoll_create1, "epoll_create1", CALL_SOCKET, "x"},
    {SYS_epoll_ctl, "epoll_ctl", CALL_SOCKET, "fcfe"},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", CALL_SOCKET, "fET"},
#endif
    {SYS_epoll_pwait, "epoll_pwait", CALL_SOCKET, "fET"},
    /* From here on: only with -a. */
    {SYS_execve, "execve", CALL_OTHER, "s"},
    {SYS_exit_group, "exit_group", CALL_OTHER, "i"},
    {SYS_exit, "exit", CALL_OTHER, "i"},
    {SYS_openat, "openat", CALL_OTHER, "-sx"},
    {SYS_lseek, "lseek", CALL_OTHER, "fii"},
    {SYS_mmap, "mmap", CALL_OTHER, "xixxf"},
    {SYS_munmap, "munmap", CALL_OTHER, "xi"},
    {SYS_mprotect, "mprotect", CALL_OTHER, "xix"},
    {SYS_brk, "brk", CALL_OTHER, "x"},
    {SYS_pread64, "pread64", CALL_OTHER, "fB"},
    {SYS_rt_sigaction, "rt_sigaction", CALL_OTHER, "i"},
    {SYS_rt_sigprocmask, "rt_sigprocmask", CALL_OTHER, "i"},
    {SYS_rt_sigreturn, "rt_sigreturn", CALL_OTHER, ""},
    {SYS_clone, "clone", CALL_OTHER, "x"},
#ifdef SYS_clone3
    {SYS_clone3, "clone3", CALL_OTHER, ""},
#endif
#ifdef SYS_fork
    {SYS_fork, "fork", CALL_OTHER, ""},
#endif
    {SYS_wait4, "wait4", CALL_OTHER, "i"},
    {SYS_kill, "kill", CALL_OTHER, "ii"},
    {SYS_getpid, "getpid", CALL_OTHER, ""},
    {SYS_gettid, "gettid", CALL_OTHER, ""},
    {SYS_getrandom, "getrandom", CALL_OTHER, "-ix"},
    {SYS_futex, "futex", CALL_OTHER, "xii"},
    {SYS_clock_nanosleep, "clock_nanosleep", CALL_OTHER, "--S"},
    {SYS_nanosleep, "nanosleep", CALL_OTHER, "S"},
    {SYS_prlimit64, "prlimit64", CALL_OTHER, "ii"},
    {SYS_set_tid_address, "set_tid_address", CALL_OTHER, ""},
    {SYS_set_robust_list, "set_robust_list", CALL_OTHER, ""},
    {SYS_pipe2, "pipe2", CALL_OTHER, "p"},
    {SYS_uname, "uname", CALL_OTHER, ""},
    {SYS_faccessat, "faccessat", CALL_OTHER, "-sx"},
#ifdef SYS_access
    {SYS_access, "access", CALL_OTHER, "sx"},
#endif
#ifdef SYS_newfstatat
    {SYS_newfstatat, "newfstatat", CALL_OTHER, "is"},
#endif
#ifdef SYS_fstat
    {SYS_fstat, "fstat", CALL_OTHER, "f"},
#endif
#ifdef SYS_arch_prctl
    {SYS_arch_prctl, "arch_prctl", CALL_OTHER, "x"},
#endif
#ifdef SYS_rseq
    {SYS_rseq, "rseq", CALL_OTHER, ""},
#endif
#ifdef SYS_alarm
    {SYS_alarm, "alarm", CALL_OTHER, "i"},
#endif
};

struct constant {
    unsigned value;
    const char *name;
};

static const struct constant domains[] = {
    {AF_INET, "AF_INET"},       {AF_INET6, "AF_INET6"},   {AF_UNIX, "AF_UNIX"},
    {AF_NETLINK, "AF_NETLINK"}, {AF_PACKET, "AF_PACKET"}, {0, NULL}};

static const struct constant types[] = {{SOCK_STREAM, "SOCK_STREAM"},
                                        {SOCK_DGRAM, "SOCK_DGRAM"},
                                        {SOCK_RAW, "SOCK_RAW"},
                                        {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
                                        {0, NULL}};

static const struct constant type_flags[] = {{SOCK_CLOEXEC, "SOCK_CLOEXEC"},
                                             {SOCK_NONBLOCK, "SOCK_NONBLOCK"},
                                             {0, NULL}};

static const struct constant message_flags[] = {
    {MSG_NOSIGNAL, "MSG_NOSIGNAL"}, {MSG_PEEK, "MSG_PEEK"},
    {MSG_DONTWAIT, "MSG_DONTWAIT"}, {MSG_WAITALL, "MSG_WAITALL"},
    {MSG_TRUNC, "MSG_TRUNC"},       {MSG_MORE, "MSG_MORE"},
    {MSG_OOB, "MSG_OOB"},           {0, NULL}};

static const struct constant hows[] = {{SHUT_RD, "SHUT_RD"},
                                       {SHUT_WR, "SHUT_WR"},
                                       {SHUT_RDWR, "SHUT_RDWR"},
                                       {0, NULL}};

static const struct constant socket_options[] = {
    {SO_REUSEADDR, "SO_REUSEADDR"},
    {SO_REUSEPORT, "SO_REUSEPORT"},
    {SO_ERROR, "SO_ERROR"},
    {SO_LINGER, "SO_LINGER"},
    {SO_RCVTIMEO, "SO_RCVTIMEO"},
    {SO_SNDTIMEO, "SO_SNDTIMEO"},
    {SO_RCVBUF, "SO_RCVBUF"},
    {SO_SNDBUF, "SO_SNDBUF"},
    {SO_KEEPALIVE, "SO_KEEPALIVE"},
    {SO_BROADCAST, "SO_BROADCAST"},
    {SO_TYPE, "SO_TYPE"},
    {SO_DOMAIN, "SO_DOMAIN"},
    {SO_PROTOCOL, "SO_PROTOCOL"},
    {SO_ACCEPTCONN, "SO_ACCEPTCONN"},
    {SO_PEERCRED, "SO_PEERCRED"},
    {SO_ATTACH_FILTER, "SO_ATTACH_FILTER"},
    {SO_TIMESTAMPNS, "SO_TIMESTAMPNS"},
    {0, NULL}};

static const struct constant tcp_options[] = {
    {TCP_NODELAY, "TCP_NODELAY"},
    {TCP_INFO, "TCP_INFO"},
    {TCP_CORK, "TCP_CORK"},
    {TCP_KEEPIDLE, "TCP_KEEPIDLE"},
    {TCP_QUICKACK, "TCP_QUICKACK"},
    {TCP_CONGESTION, "TCP_CONGESTION"},
    {TCP_ULP, "TCP_ULP"},
    {TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
    {0, NULL}};

static const struct constant packet_options[] = {
    {PACKET_STATISTICS, "PACKET_STATISTICS"},
    {PACKET_ADD_MEMBERSHIP, "PACKET_ADD_MEMBERSHIP"},
    {0, NULL}};

static const struct constant ipv6_options[] = {{IPV6_V6ONLY, "IPV6_V6ONLY"},
                                               {0, NULL}};

static const struct constant ip_options[] = {
    {IP_TTL, "IP_TTL"},
    {IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP"},
    {IP_MULTICAST_IF, "IP_MULTICAST_IF"},
    {IP_MULTICAST_TTL, "IP_MULTICAST_TTL"},
    {IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"},
    {IP_RECVERR, "IP_RECVERR"},
    {IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT"},
    {0, NULL}};

static const struct level {
    int value;
    const char *name;
    const struct constant *options;
} levels[] = {{SOL_SOCKET, "SOL_SOCKET", socket_options},
              {IPPROTO_TCP, "IPPROTO_TCP", tcp_options},
              {IPPROTO_IPV6, "IPPROTO_IPV6", ipv6_options},
              {IPPROTO_IP, "IPPROTO_IP", ip_options},
              {SOL_PACKET, "SOL_PACKET", packet_options}};

static const struct constant poll_events[] = {
    {POLLIN, "POLLIN"},       {POLLOUT, "POLLOUT"},
    {POLLERR, "POLLERR"},     {POLLHUP, "POLLHUP"},
    {POLLNVAL, "POLLNVAL"},   {POLLPRI, "POLLPRI"},
    {POLLRDHUP, "POLLRDHUP"}, {0, NULL}};

static const struct constant epoll_events[] = {
    {EPOLLIN, "EPOLLIN"},           {EPOLLOUT, "EPOLLOUT"},
    {EPOLLERR, "EPOLLERR"},         {EPOLLHUP, "EPOLLHUP"},
    {EPOLLRDHUP, "EPOLLRDHUP"},     {EPOLLET, "EPOLLET"},
    {EPOLLONESHOT, "EPOLLONESHOT"}, {0, NULL}};

static const struct constant epoll_commands[] = {
    {EPOLL_CTL_ADD, "EPOLL_CTL_ADD"},
    {EPOLL_CTL_MOD, "EPOLL_CTL_MOD"},
    {EPOLL_CTL_DEL, "EPOLL_CTL_DEL"},
    {0, NULL}};

static const struct constant commands[] = {{F_GETFL, "F_GETFL"},
                                           {F_SETFL, "F_SETFL"},
                                           {F_GETFD, "F_GETFD"},
                                           {F_SETFD, "F_SETFD"},
                                           {F_DUPFD, "F_DUPFD"},
                                           {F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"},
                                           {0, NULL}};

static const struct constant file_flags[] = {
    {O_RDWR, "O_RDWR"}, {O_NONBLOCK, "O_NONBLOCK"}, {0, NULL}};

static const struct constant requests[] = {{FIONBIO, "FIONBIO"},
                                           {FIONREAD, "FIONREAD"},
                                           {TIOCOUTQ, "SIOCOUTQ"},
                                           {SIOCGIFINDEX, "SIOCGIFINDEX"},
                                           {0, NULL}};

static const struct constant no_names[] = {{0, NULL}};

static const struct constant errors[] = {{EPERM, "EPERM"},
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
                                         {0, NULL}};

static const struct call *find_call(uint64_t number) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i].number == number)
            return &calls[i];
    return NULL;
}

enum call_use call_use(uint64_t number) {
    const struct call *call = find_call(number);
    return call == NULL ? CALL_OTHER : call->use;
}

size_t call_numbers(uint32_t *numbers, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i].use != CALL_OTHER || calls[i].number == SYS_exit_group) {
            if (count < size)
                numbers[count] = (uint32_t)calls[i].number;
            count++;
        }
    return count;
}

/* send and recv are sendto and recvfrom without an address: who wrote the one
 * shall read it. */
const char *call_name(const struct trace_call *call) {
    const struct call *found = find_call(call->number);
    if (found == NULL) {
        static char unknown[32];
        (void)snprintf(unknown, sizeof unknown, "call %" PRIu64, call->number);
        return unknown;
    }
    if (call->arguments[4] == 0 && call->number == SYS_sendto)
        return "send";
    if (call->arguments[4] == 0 && call->number == SYS_recvfrom)
        return "recv";
    return found->name;
}

bool call_is(const struct trace_call *call, const char *name) {
    return strcmp(call_name(call), name) == 0;
}

/* ---- values ---------------------------------------------------------------*/

static void write_constant(FILE *out, const struct constant *names,
                           unsigned value) {
    while (names->name != NULL && names->value != value)
        names++;
    if (names->name != NULL)
        (void)fputs(names->name, out);
    else
        (void)fprintf(out, "%u", value);
}

/* Flags that are set, each after separator, or the first after first. */
static void write_flags(FILE *out, const struct constant *names, unsigned value,
                        const char *first) {
    for (; names->name != NULL; names++)
        if (names->value != 0 && (value & names->value) == names->value) {
            (void)fprintf(out, "%s%s", first, names->name);
            first = "|";
            value &= ~names->value;
        }
    if (value != 0)
        (void)fprintf(out, "%s0x%x", first, value);
}

static const char special[] = "\n\r\t\\\"";
static const char letters[] = "nrt\\\"";

/* Whether a reader sees more in letters than in numbers. */
static bool is_text(const uint8_t *bytes, size_t count) {
    size_t odd = 0;
    for (size_t i = 0; i < count; i++)
        odd += (bytes[i] < 32 || bytes[i] > 126) &&
               (bytes[i] == 0 || strchr(special, bytes[i]) == NULL);
    return odd * 4 <= count;
}

static void write_letters(FILE *out, const uint8_t *bytes, size_t count) {
    (void)fputc('"', out);
    for (size_t i = 0; i < count; i++) {
        const char *found = bytes[i] == 0 ? NULL : strchr(special, bytes[i]);
        if (found != NULL)
            (void)fprintf(out, "\\%c", letters[found - special]);
        else if (bytes[i] < 32 || bytes[i] > 126)
            (void)fprintf(out, "\\x%02x", bytes[i]);
        else
            (void)fputc(bytes[i], out);
    }
    (void)fputc('"', out);
}

void call_write_data(FILE *out, const uint8_t *bytes, size_t at_hand,
                     size_t length) {
    size_t shown = length;
    if (shown > CALL_DATA_BYTES)
        shown = CALL_DATA_BYTES;
    if (shown > at_hand)
        shown = at_hand;
    if (is_text(bytes, shown)) {
        write_letters(out, bytes, shown);
    } else {
        if (shown > CALL_HEX_BYTES)
            shown = CALL_HEX_BYTES;
        (void)fputc('<', out);
        for (size_t i = 0; i < shown; i++)
            (void)fprintf(out, "%02x", bytes[i]);
        (void)fputc('>', out);
    }
    if (length > shown)
        (void)fputs("...", out);
}

/* So many bytes of its memory, as data. */
static void write_memory(FILE *out, pid_t task, uint64_t address,
                         size_t length) {
    uint8_t bytes[CALL_DATA_BYTES];
    size_t wanted = length < sizeof bytes ? length : sizeof bytes;
    call_write_data(out, bytes, trace_read(task, address, bytes, wanted),
                    length);
}

static void write_text(FILE *out, pid_t task, uint64_t address) {
    char text[96] = "";
    /* Not beyond its page: what follows may not be there. */
    size_t page = 4096 - address % 4096;
    size_t got = trace_read(task, address, text,
                            page < sizeof text ? page : sizeof text);
    (void)fprintf(out, "\"%.*s\"", (int)strnlen(text, got), text);
}

static void write_address(FILE *out, pid_t task, uint64_t address,
                          uint64_t length) {
    struct sockaddr_storage storage = {0};
    struct packet_end end = {{0}, 0};
    char text[ENDPOINT_TEXT_BYTES];
    if (length > sizeof storage)
        length = sizeof storage;
    if (address == 0 || trace_read(task, address, &storage, length) < 2)
        return;
    if (storage.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &storage, sizeof in);
        memcpy(end.address, &in.sin_addr, sizeof in.sin_addr);
        end.port = ntohs(in.sin_port);
        (void)fputs(endpoint_format(AF_INET, &end, false, text), out);
    } else if (storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &storage, sizeof in);
        memcpy(end.address, &in.sin6_addr, sizeof in.sin6_addr);
        end.port = ntohs(in.sin6_port);
        (void)fputs(endpoint_format(AF_INET6, &end, false, text), out);
    } else if (storage.ss_family == AF_UNIX) {
        const char *path =
            (const char *)&storage + offsetof(struct sockaddr_un, sun_path);
        size_t room = length - offsetof(struct sockaddr_un, sun_path);
        if (length > offsetof(struct sockaddr_un, sun_path) && path[0] == '\0')
            (void)fprintf(out, "@%.*s", (int)(room - 1), path + 1);
        else
            (void)fprintf(out, "%.*s", (int)strnlen(path, room), path);
    } else {
        write_constant(out, domains, storage.ss_family);
    }
}

/* The bytes of an iovec, as one; at most length of them. */
static void write_vector(FILE *out, pid_t task, uint64_t address,
                         uint64_t count, size_t length) {
    struct iovec parts[8] = {0};
    uint8_t bytes[CALL_DATA_BYTES];
    size_t got = 0, total = 0;
    if (count > sizeof parts / sizeof parts[0])
        count = sizeof parts / sizeof parts[0];
    count = trace_read(task, address, parts, count * sizeof parts[0]) /
            sizeof parts[0];
    for (size_t i = 0; i < count && total < length; i++) {
        size_t wanted = sizeof bytes - got;
        if (wanted > parts[i].iov_len)
            wanted = parts[i].iov_len;
        got +=
            trace_read(task, (uintptr_t)parts[i].iov_base, bytes + got, wanted);
        total += parts[i].iov_len;
    }
    if (total > length)
        total = length;
    call_write_data(out, bytes, got < total ? got : total, total);
}

/* Of a message, the address and the bytes. */
static void write_message(FILE *out, pid_t task, uint64_t address,
                          size_t length) {
    struct msghdr message = {0};
    if (trace_read(task, address, &message, sizeof message) != sizeof message)
        return;
    write_vector(out, task, (uintptr_t)message.msg_iov,
                 (uint64_t)message.msg_iovlen, length);
    if (message.msg_name != NULL && message.msg_namelen > 0) {
        (void)fputc(' ', out);
        write_address(out, task, (uintptr_t)message.msg_name,
                      message.msg_namelen);
    }
    if (message.msg_controllen > 0)
        (void)fprintf(out, " and %zu bytes of control",
                      (size_t)message.msg_controllen);
}

static void write_polled(FILE *out, pid_t task, const uint64_t *arguments,
                         bool returned) {
    struct pollfd all[16] = {0};
    uint64_t count = arguments[1];
    const char *separator = "";
    if (count > sizeof all / sizeof all[0])
        count = sizeof all / sizeof all[0];
    count = trace_read(task, arguments[0], all, count * sizeof all[0]) /
            sizeof all[0];
    (void)fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        unsigned short events =
            (unsigned short)(returned ? all[i].revents : all[i].events);
        if (returned && events == 0)
            continue;
        (void)fprintf(out, "%s%d", separator, all[i].fd);
        write_flags(out, poll_events, events, " ");
        separator = ", ";
    }
    (void)fputc(']', out);
}

static void write_epoll(FILE *out, pid_t task, uint64_t address, size_t count) {
    struct epoll_event all[16] = {0};
    const char *separator = "";
    if (count > sizeof all / sizeof all[0])
        count = sizeof all / sizeof all[0];
    count =
        trace_read(task, address, all, count * sizeof all[0]) / sizeof all[0];
    (void)fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        write_flags(out, epoll_events, all[i].events, separator);
        separator = ", ";
    }
    (void)fputc(']', out);
}

static void write_selected(FILE *out, pid_t task, const uint64_t *arguments) {
    static const char *const names[] = {"read", "write", "except"};
    const char *separator = "";
    for (int which = 0; which < 3; which++) {
        enum { WORD_BITS = 8 * sizeof(unsigned long) };
        unsigned long set[FD_SETSIZE / WORD_BITS] = {0};
        if (arguments[1 + which] == 0 ||
            trace_read(task, arguments[1 + which], set, sizeof set) == 0)
            continue;
        (void)fprintf(out, "%s%s", separator, names[which]);
        separator = ", ";
        for (unsigned fd = 0; fd < arguments[0] && fd < FD_SETSIZE; fd++)
            if (set[fd / WORD_BITS] >> fd % WORD_BITS & 1)
                (void)fprintf(out, " %u", fd);
    }
}

/* seconds, and nano- or microseconds, divisor of them a millisecond */
static void write_time(FILE *out, pid_t task, uint64_t address, long divisor) {
    long value[2] = {0};
    if (address == 0)
        (void)fputs("for ever", out);
    else if (trace_read(task, address, value, sizeof value) == sizeof value)
        (void)fprintf(out, "%ld ms", value[0] * 1000 + value[1] / divisor);
}

static void write_option(FILE *out, pid_t task, const uint64_t *arguments,
                         bool asked) {
    size_t count = sizeof levels / sizeof levels[0];
    size_t i = 0;
    while (i < count && levels[i].value != (int)arguments[0])
        i++;
    if (i == count) {
        (void)fprintf(out, "%d, %d", (int)arguments[0], (int)arguments[1]);
        return;
    }
    if (i > 0) /* that of the socket itself goes without saying */
        (void)fprintf(out, "%s, ", levels[i].name);
    write_constant(out, levels[i].options, (unsigned)arguments[1]);
    int value[2] = {0};
    if (asked || trace_read(task, arguments[2], value, sizeof value) < 4)
        return;
    if (i == 0 && arguments[1] == SO_LINGER)
        (void)fprintf(out, ", {%d, %d}", value[0], value[1]);
    else if (i == 0 &&
             (arguments[1] == SO_RCVTIMEO || arguments[1] == SO_SNDTIMEO)) {
        (void)fputs(", ", out);
        write_time(out, task, arguments[2], 1000);
    } else if (arguments[3] == sizeof value[0])
        (void)fprintf(out, ", %d", value[0]);
}

/* ---- arguments ------------------------------------------------------------*/

/* A letter that stands for several arguments, or is left out when 0. */
static const char many[] = "bBvVaAlLqrwgE";

static size_t width(char letter) {
    if (letter == 'l' || letter == 'L' || letter == 'g')
        return 4;
    return strchr(many, letter) != NULL ? 2 : 1;
}

/* One argument that goes without saying. */
static bool is_silent(char letter, const uint64_t *argument) {
    switch (letter) {
    case '-':
    case 'p':
    case 'A':
        return true;
    case 'a':
    case 'n':
    case 'k':
    case 'y':
        return argument[0] == 0;
    default:
        return false;
    }
}

static void write_fcntl(FILE *out, const uint64_t *argument) {
    write_constant(out, commands, (unsigned)argument[0]);
    if (argument[0] == F_SETFL)
        write_flags(out, file_flags, (unsigned)argument[1], ", ");
    else if (argument[0] == F_SETFD)
        (void)fputs(argument[1] & FD_CLOEXEC ? ", FD_CLOEXEC" : ", 0", out);
}

static void write_request(FILE *out, pid_t task, const uint64_t *argument) {
    int value = 0;
    write_constant(out, requests, (unsigned)argument[0]);
    if (argument[0] == FIONBIO &&
        trace_read(task, argument[1], &value, sizeof value) == sizeof value)
        (void)fprintf(out, ", %d", value);
}

/* Memory that the call reads, or lengths of what it shall fill. */
static void write_argument(FILE *out, pid_t task, char letter,
                           const uint64_t *argument) {
    switch (letter) {
    case 'b':
        write_memory(out, task, argument[0], argument[1]);
        break;
    case 'B':
    case 'E':
        (void)fprintf(out, "%" PRIu64, argument[1]);
        break;
    case 'v':
        write_vector(out, task, argument[0], argument[1], SIZE_MAX);
        break;
    case 'm':
        write_message(out, task, argument[0], SIZE_MAX);
        break;
    case 'V':
    case 'M':
        (void)fputs("...", out);
        break;
    case 's':
        write_text(out, task, argument[0]);
        break;
    case 'a':
        write_address(out, task, argument[0], argument[1]);
        break;
    case 'l':
    case 'L':
        write_option(out, task, argument, letter == 'L');
        break;
    case 'r':
        write_request(out, task, argument);
        break;
    case 'w':
        write_polled(out, task, argument, false);
        break;
    case 'g':
        write_selected(out, task, argument);
        break;
    case 'e':
        write_epoll(out, task, argument[0], 1);
        break;
    case 'S':
        write_time(out, task, argument[0], 1000000);
        break;
    case 'U':
        write_time(out, task, argument[0], 1000);
        break;
    default:
        break;
    }
}

/* Arguments that are no pointers. */
static void write_number(FILE *out, char letter, const uint64_t *argument) {
    unsigned value = (unsigned)argument[0];
    switch (letter) {
    case 'i':
        (void)fprintf(out, "%" PRId64, (int64_t)argument[0]);
        break;
    case 'x':
        (void)fprintf(out, "0x%" PRIx64, argument[0]);
        break;
    case 'd':
        write_constant(out, domains, value);
        break;
    case 't':
        write_constant(out, types,
                       value & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK));
        write_flags(out, type_flags,
                    value & (unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK), "|");
        break;
    case 'y':
        (void)fprintf(out, "%u", value);
        break;
    case 'n':
        write_flags(out, message_flags, value, "");
        break;
    case 'k':
        write_flags(out, type_flags, value, "");
        break;
    case 'h':
        write_constant(out, hows, value);
        break;
    case 'q':
        write_fcntl(out, argument);
        break;
    case 'c':
        write_constant(out, epoll_commands, value);
        break;
    case 'T':
        if ((int)value < 0)
            (void)fputs("for ever", out);
        else
            (void)fprintf(out, "%d ms", (int)value);
        break;
    default:
        break;
    }
}

void call_write_begin(FILE *out, pid_t task, const struct trace_call *call,
                      const char *what) {
    const struct call *found = find_call(call->number);
    const char *letter = found == NULL ? "" : found->arguments;
    const uint64_t *argument = call->arguments;
    const char *separator = "";
    (void)fprintf(out, "%s(", call_name(call));
    for (; *letter != '\0'; argument += width(*letter++)) {
        if (is_silent(*letter, argument))
            continue;
        (void)fputs(separator, out);
        separator = ", ";
        if (*letter == 'f') {
            (void)fprintf(out, "%d", (int)argument[0]);
            if (what != NULL)
                (void)fprintf(out, " %s", what);
            what = NULL;
        } else if (strchr("ixdtynkhqcT", *letter) != NULL) {
            write_number(out, *letter, argument);
        } else {
            write_argument(out, task, *letter, argument);
        }
    }
}

/* ---- results --------------------------------------------------------------*/

/* The errnos of Linux end at 4095; what is above is no error (an address of
 * mmap). Those from 512 on are the kernel's own, for a call that is about to be
 * made again: signal(7). */
static bool is_error(int64_t result) {
    return result < 0 && result > -4096;
}

static void write_error(FILE *out, int number) {
    (void)fputs(" = -1 ", out);
    write_constant(out, errors, (unsigned)(number < 512 ? number : EINTR));
}

static void write_outcome(FILE *out, pid_t task, char letter,
                          const uint64_t *argument, int64_t result) {
    unsigned length = 0;
    int two[2] = {0};
    (void)fputc(' ', out);
    switch (letter) {
    case 'B':
        write_memory(out, task, argument[0], (size_t)result);
        break;
    case 'V':
        write_vector(out, task, argument[0], argument[1], (size_t)result);
        break;
    case 'M':
        write_message(out, task, argument[0], (size_t)result);
        break;
    case 'A':
        if (trace_read(task, argument[1], &length, sizeof length) ==
            sizeof length)
            write_address(out, task, argument[0], length);
        break;
    case 'L':
        if (trace_read(task, argument[2], two, sizeof two[0]) ==
                sizeof two[0] &&
            trace_read(task, argument[3], &length, sizeof length) > 0 &&
            length == sizeof two[0]) {
            (void)fputc('[', out);
            write_constant(out, argument[1] == SO_ERROR ? errors : no_names,
                           (unsigned)two[0]);
            (void)fputc(']', out);
        }
        break;
    case 'w':
        write_polled(out, task, argument, true);
        break;
    case 'g':
        write_selected(out, task, argument);
        break;
    case 'E':
        write_epoll(out, task, argument[0], (size_t)result);
        break;
    case 'p':
        if (trace_read(task, argument[0], two, sizeof two) == sizeof two)
            (void)fprintf(out, "[%d, %d]", two[0], two[1]);
        break;
    default:
        break;
    }
}

/* What it has to tell beside the number. */
static bool has_outcome(char letter, const uint64_t *argument, int64_t result) {
    switch (letter) {
    case 'B':
    case 'V':
    case 'M':
    case 'w':
    case 'g':
    case 'E':
        return result > 0;
    case 'A':
        return argument[0] != 0 && argument[1] != 0;
    case 'L':
    case 'p':
        return true;
    default:
        return false;
    }
}

void call_write_result(FILE *out, pid_t task, const struct trace_call *call) {
    const struct call *found = find_call(call->number);
    if (is_error(call->result)) {
        write_error(out, (int)-call->result);
        return;
    }
    (void)fprintf(out, " = %" PRId64, call->result);
    if (found == NULL)
        return;
    const uint64_t *argument = call->arguments;
    for (const char *letter = found->arguments; *letter != '\0';
         argument += width(*letter++))
        if (has_outcome(*letter, argument, call->result))
            write_outcome(out, task, *letter, argument, call->result);
}

size_t call_sent(pid_t task, const struct trace_call *call, char *bytes,
                 size_t size) {
    uint64_t address = call->arguments[1];
    uint64_t length = call->arguments[2];
    if (call->number == SYS_writev) {
        struct iovec parts[2] = {0};
        size_t got = trace_read(task, address, parts, sizeof parts);
        size_t first = got >= sizeof parts[0] && parts[0].iov_len == 0 &&
                       got == sizeof parts;
        if (got < sizeof parts[0])
            return 0;
        address = (uintptr_t)parts[first].iov_base;
        length = parts[first].iov_len;
    } else if (call->number != SYS_write && call->number != SYS_sendto) {
        return 0;
    }
    return trace_read(task, address, bytes, length < size ? length : size);
}
