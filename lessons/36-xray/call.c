#define _GNU_SOURCE

#include "call.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "argument.h"
#include "constant.h"
#include "memory.h"

enum {
    LAST_ERROR = 4095,   /* the largest errno of Linux */
    FIRST_RESTART = 512, /* from here on, errors that no program sees */
};

/* The calls that we know, and the kinds of their arguments in their order. */
static const struct call {
    uint64_t number;
    const char *name;
    enum call_use use;
    enum argument_kind arguments[ARGUMENTS];
} calls[] = {
    {SYS_socket, "socket", CALL_ALWAYS, {ARG_DOMAIN, ARG_TYPE, ARG_PROTOCOL}},
    {SYS_socketpair,
     "socketpair",
     CALL_ALWAYS,
     {ARG_DOMAIN, ARG_TYPE, ARG_PROTOCOL, ARG_PAIR_FILLED}},
    {SYS_bind, "bind", CALL_ON_SOCKET, {ARG_FD, ARG_ADDRESS}},
    {SYS_listen, "listen", CALL_ON_SOCKET, {ARG_FD, ARG_NUMBER}},
#ifdef SYS_accept
    {SYS_accept, "accept", CALL_ON_SOCKET, {ARG_FD, ARG_ADDRESS_FILLED}},
#endif
    {SYS_accept4,
     "accept4",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_ADDRESS_FILLED, ARG_ACCEPT_FLAGS}},
    {SYS_connect, "connect", CALL_ON_SOCKET, {ARG_FD, ARG_ADDRESS}},
    {SYS_getsockname,
     "getsockname",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_ADDRESS_FILLED}},
    {SYS_getpeername,
     "getpeername",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_ADDRESS_FILLED}},
    {SYS_setsockopt, "setsockopt", CALL_ON_SOCKET, {ARG_FD, ARG_OPTION}},
    {SYS_getsockopt, "getsockopt", CALL_ON_SOCKET, {ARG_FD, ARG_OPTION_FILLED}},
    {SYS_shutdown, "shutdown", CALL_ON_SOCKET, {ARG_FD, ARG_SHUTDOWN}},
    {SYS_sendto,
     "sendto",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_BYTES, ARG_MESSAGE_FLAGS, ARG_ADDRESS}},
    {SYS_recvfrom,
     "recvfrom",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_BYTES_FILLED, ARG_MESSAGE_FLAGS, ARG_ADDRESS_FILLED}},
    {SYS_sendmsg,
     "sendmsg",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_MESSAGE, ARG_MESSAGE_FLAGS}},
    {SYS_recvmsg,
     "recvmsg",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_MESSAGE_FILLED, ARG_MESSAGE_FLAGS}},
    {SYS_sendmmsg,
     "sendmmsg",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_HIDDEN, ARG_NUMBER, ARG_MESSAGE_FLAGS}},
    {SYS_recvmmsg,
     "recvmmsg",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_HIDDEN, ARG_NUMBER, ARG_MESSAGE_FLAGS}},
    {SYS_read, "read", CALL_ON_STREAM, {ARG_FD, ARG_BYTES_FILLED}},
    {SYS_write, "write", CALL_ON_STREAM, {ARG_FD, ARG_BYTES}},
    {SYS_readv, "readv", CALL_ON_STREAM, {ARG_FD, ARG_BUFFERS_FILLED}},
    {SYS_writev, "writev", CALL_ON_STREAM, {ARG_FD, ARG_BUFFERS}},
    {SYS_sendfile,
     "sendfile",
     CALL_ON_SOCKET,
     {ARG_FD, ARG_FD, ARG_OFFSET, ARG_NUMBER}},
    {SYS_splice,
     "splice",
     CALL_ON_PIPE,
     {ARG_FD, ARG_OFFSET, ARG_FD, ARG_OFFSET, ARG_NUMBER, ARG_SPLICE_FLAGS}},
    {SYS_close, "close", CALL_ON_SOCKET, {ARG_FD}},
    {SYS_dup, "dup", CALL_ON_SOCKET, {ARG_FD}},
#ifdef SYS_dup2
    {SYS_dup2, "dup2", CALL_ON_SOCKET, {ARG_FD, ARG_NUMBER}},
#endif
    {SYS_dup3, "dup3", CALL_ON_SOCKET, {ARG_FD, ARG_NUMBER}},
    {SYS_fcntl, "fcntl", CALL_ON_SOCKET, {ARG_FD, ARG_FCNTL}},
    {SYS_ioctl, "ioctl", CALL_ON_SOCKET, {ARG_FD, ARG_IOCTL}},
#ifdef SYS_poll
    {SYS_poll, "poll", CALL_ALWAYS, {ARG_POLLED, ARG_MILLISECONDS}},
#endif
    {SYS_ppoll, "ppoll", CALL_ALWAYS, {ARG_POLLED, ARG_TIMESPEC}},
#ifdef SYS_select
    {SYS_select, "select", CALL_ALWAYS, {ARG_SELECTED, ARG_TIMEVAL}},
#endif
    {SYS_pselect6, "pselect6", CALL_ALWAYS, {ARG_SELECTED, ARG_TIMESPEC}},
#ifdef SYS_epoll_create
    {SYS_epoll_create, "epoll_create", CALL_ALWAYS, {ARG_NUMBER}},
#endif
    {SYS_epoll_create1, "epoll_create1", CALL_ALWAYS, {ARG_EPOLL_FLAGS}},
    {SYS_epoll_ctl,
     "epoll_ctl",
     CALL_ALWAYS,
     {ARG_FD, ARG_EPOLL_COMMAND, ARG_FD, ARG_EPOLL_EVENT}},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait,
     "epoll_wait",
     CALL_ALWAYS,
     {ARG_FD, ARG_EPOLL_FILLED, ARG_MILLISECONDS}},
#endif
    {SYS_epoll_pwait,
     "epoll_pwait",
     CALL_ALWAYS,
     {ARG_FD, ARG_EPOLL_FILLED, ARG_MILLISECONDS}},
#ifdef SYS_io_uring_setup
    {SYS_io_uring_setup, "io_uring_setup", CALL_ALWAYS, {ARG_NUMBER}},
    {SYS_io_uring_register,
     "io_uring_register",
     CALL_ALWAYS,
     {ARG_FD, ARG_NUMBER, ARG_HIDDEN, ARG_NUMBER}},
    {SYS_io_uring_enter,
     "io_uring_enter",
     CALL_ALWAYS,
     {ARG_FD, ARG_NUMBER, ARG_NUMBER, ARG_HEX}},
#endif
    /* The others are shown only with the option -a. */
    {SYS_execve, "execve", CALL_OTHER, {ARG_TEXT}},
    {SYS_exit_group, "exit_group", CALL_OTHER, {ARG_NUMBER}},
    {SYS_exit, "exit", CALL_OTHER, {ARG_NUMBER}},
    {SYS_openat, "openat", CALL_OTHER, {ARG_HIDDEN, ARG_TEXT, ARG_HEX}},
    {SYS_lseek, "lseek", CALL_OTHER, {ARG_FD, ARG_NUMBER, ARG_NUMBER}},
    {SYS_mmap,
     "mmap",
     CALL_OTHER,
     {ARG_HEX, ARG_NUMBER, ARG_HEX, ARG_HEX, ARG_FD}},
    {SYS_munmap, "munmap", CALL_OTHER, {ARG_HEX, ARG_NUMBER}},
    {SYS_mprotect, "mprotect", CALL_OTHER, {ARG_HEX, ARG_NUMBER, ARG_HEX}},
    {SYS_brk, "brk", CALL_OTHER, {ARG_HEX}},
    {SYS_pread64, "pread64", CALL_OTHER, {ARG_FD, ARG_BYTES_FILLED}},
    {SYS_rt_sigaction, "rt_sigaction", CALL_OTHER, {ARG_NUMBER}},
    {SYS_rt_sigprocmask, "rt_sigprocmask", CALL_OTHER, {ARG_NUMBER}},
    {SYS_rt_sigreturn, "rt_sigreturn", CALL_OTHER, {ARG_NONE}},
    {SYS_clone, "clone", CALL_OTHER, {ARG_HEX}},
#ifdef SYS_clone3
    {SYS_clone3, "clone3", CALL_OTHER, {ARG_NONE}},
#endif
#ifdef SYS_fork
    {SYS_fork, "fork", CALL_OTHER, {ARG_NONE}},
#endif
    {SYS_wait4, "wait4", CALL_OTHER, {ARG_NUMBER}},
    {SYS_kill, "kill", CALL_OTHER, {ARG_NUMBER, ARG_NUMBER}},
    {SYS_getpid, "getpid", CALL_OTHER, {ARG_NONE}},
    {SYS_gettid, "gettid", CALL_OTHER, {ARG_NONE}},
    {SYS_getrandom, "getrandom", CALL_OTHER, {ARG_HIDDEN, ARG_NUMBER, ARG_HEX}},
    {SYS_futex, "futex", CALL_OTHER, {ARG_HEX, ARG_NUMBER, ARG_NUMBER}},
    {SYS_clock_nanosleep,
     "clock_nanosleep",
     CALL_OTHER,
     {ARG_HIDDEN, ARG_HIDDEN, ARG_TIMESPEC}},
    {SYS_nanosleep, "nanosleep", CALL_OTHER, {ARG_TIMESPEC}},
    {SYS_prlimit64, "prlimit64", CALL_OTHER, {ARG_NUMBER, ARG_NUMBER}},
    {SYS_set_tid_address, "set_tid_address", CALL_OTHER, {ARG_NONE}},
    {SYS_set_robust_list, "set_robust_list", CALL_OTHER, {ARG_NONE}},
    {SYS_pipe2, "pipe2", CALL_OTHER, {ARG_PAIR_FILLED}},
    {SYS_uname, "uname", CALL_OTHER, {ARG_NONE}},
    {SYS_faccessat, "faccessat", CALL_OTHER, {ARG_HIDDEN, ARG_TEXT, ARG_HEX}},
#ifdef SYS_access
    {SYS_access, "access", CALL_OTHER, {ARG_TEXT, ARG_HEX}},
#endif
#ifdef SYS_newfstatat
    {SYS_newfstatat, "newfstatat", CALL_OTHER, {ARG_NUMBER, ARG_TEXT}},
#endif
#ifdef SYS_fstat
    {SYS_fstat, "fstat", CALL_OTHER, {ARG_FD}},
#endif
#ifdef SYS_arch_prctl
    {SYS_arch_prctl, "arch_prctl", CALL_OTHER, {ARG_HEX}},
#endif
#ifdef SYS_rseq
    {SYS_rseq, "rseq", CALL_OTHER, {ARG_NONE}},
#endif
#ifdef SYS_alarm
    {SYS_alarm, "alarm", CALL_OTHER, {ARG_NUMBER}},
#endif
};

static const struct call *find_call(uint64_t number) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i].number == number)
            return &calls[i];
    return NULL;
}

enum call_use call_use(const struct trace_call *call) {
    const struct call *found = find_call(call->number);
    if (found == NULL)
        return CALL_OTHER;
    return found->use;
}

size_t call_numbers(uint32_t *numbers, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        bool is_wanted =
            calls[i].use != CALL_OTHER || calls[i].number == SYS_exit_group;
        if (!is_wanted)
            continue;
        if (count < size)
            numbers[count] = (uint32_t)calls[i].number;
        count++;
    }
    return count;
}

/* The kernel has no send(2) and no recv(2): the C library calls sendto(2) and
 * recvfrom(2) without an address. We write what the programmer wrote. */
const char *call_name(const struct trace_call *call) {
    const struct call *found = find_call(call->number);
    bool has_address = call->arguments[4] != 0;
    if (found == NULL) {
        static char unknown[32];
        (void)snprintf(unknown, sizeof unknown, "call %" PRIu64, call->number);
        return unknown;
    }
    if (call->number == SYS_sendto && !has_address)
        return "send";
    if (call->number == SYS_recvfrom && !has_address)
        return "recv";
    return found->name;
}

bool call_is(const struct trace_call *call, const char *name) {
    return strcmp(call_name(call), name) == 0;
}

bool call_is_accept(const struct trace_call *call) {
    return call_is(call, "accept") || call_is(call, "accept4");
}

bool call_is_inside(const struct trace_call *call, size_t *second) {
    switch (call->number) {
    case SYS_sendfile:
        *second = 1;
        return true;
    case SYS_splice:
        *second = 2;
        return true;
    default:
        return false;
    }
}

enum call_direction call_direction(const struct trace_call *call, int fd) {
    switch (call->number) {
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_write:
    case SYS_writev:
    case SYS_sendfile:
        return CALL_SENDS;
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_read:
    case SYS_readv:
        return CALL_RECEIVES;
    case SYS_splice: /* from its first descriptor to its second */
        if (fd == (int)call->arguments[0])
            return CALL_RECEIVES;
        return CALL_SENDS;
    default:
        return CALL_NEITHER;
    }
}

/* ---- messages -------------------------------------------------------------*/

void call_read_control(pid_t task, const struct trace_call *call,
                       struct control *control) {
    *control = (struct control){0};
    if (call->number == SYS_sendmsg || call->number == SYS_recvmsg)
        memory_read_control((struct memory){task, call->arguments[1]}, control);
}

/* Reads the struct msghdr of sendmsg(2) or recvmsg(2). If it cannot be read,
 * *message is all zero: it has no address and no bytes. */
static void read_message(pid_t task, const struct trace_call *call,
                         struct msghdr *message) {
    uint64_t address = call->arguments[1];
    size_t got = trace_read(task, address, message, sizeof *message);
    if (got != sizeof *message)
        *message = (struct msghdr){0};
}

size_t call_read_target(pid_t task, const struct trace_call *call,
                        struct sockaddr_storage *target) {
    struct msghdr message = {0};
    uint64_t address = 0;
    uint64_t length = 0;
    *target = (struct sockaddr_storage){0};
    if (call->number == SYS_sendto) {
        address = call->arguments[4];
        length = call->arguments[5];
    } else if (call->number == SYS_sendmsg) {
        read_message(task, call, &message);
        address = (uintptr_t)message.msg_name;
        length = message.msg_namelen;
    }
    if (address == 0)
        return 0;
    if (length > sizeof *target)
        length = sizeof *target;
    return trace_read(task, address, target, length);
}

bool call_read_group(pid_t task, const struct trace_call *call,
                     struct group_change *change) {
    uint8_t value[GROUP_OPTION_BYTES];
    size_t length = sizeof value;
    if (call->number != SYS_setsockopt)
        return false;
    if (call->arguments[4] < length)
        length = (size_t)call->arguments[4];
    length = trace_read(task, call->arguments[3], value, length);
    return group_parse(change, (int)call->arguments[1],
                       (unsigned)call->arguments[2], value, length);
}

/* ---- arguments and results ------------------------------------------------*/

/* Lists the arguments of a call, each with its kind. Some kinds take several of
 * the six values of the call. Returns how many arguments there are. */
static size_t list_arguments(pid_t task, const struct trace_call *call,
                             struct argument list[ARGUMENTS]) {
    const struct call *found = find_call(call->number);
    size_t count = 0;
    size_t values = 0;
    if (found == NULL)
        return 0;
    while (count < ARGUMENTS && found->arguments[count] != ARG_NONE) {
        list[count].task = task;
        list[count].kind = found->arguments[count];
        list[count].values = call->arguments + values;
        list[count].result = call->result;
        values += argument_width(found->arguments[count]);
        count++;
    }
    return count;
}

/* Writes what a descriptor is, if that is known. */
static void write_words(FILE *out, const char *words) {
    if (words[0] != '\0')
        (void)fprintf(out, " %s", words);
}

void call_write_begin(FILE *out, pid_t task, const struct trace_call *call,
                      const char *const words[CALL_DESCRIPTORS]) {
    struct argument list[ARGUMENTS];
    size_t count = list_arguments(task, call, list);
    const char *separator = "";
    size_t descriptors = 0; /* how many have been written */
    (void)fprintf(out, "%s(", call_name(call));
    for (size_t i = 0; i < count; i++) {
        if (!argument_is_shown(&list[i]))
            continue;
        (void)fputs(separator, out);
        separator = ", ";
        argument_write(out, &list[i]);
        if (list[i].kind == ARG_FD && descriptors < CALL_DESCRIPTORS) {
            write_words(out, words[descriptors]);
            descriptors++;
        }
    }
}

/* A call that fails returns an errno as a negative number, not below -4095. A
 * number below that is no failure, but an address near the end of memory, from
 * mmap(2). */
static bool has_failed(const struct trace_call *call) {
    return call->result < 0 && call->result >= -LAST_ERROR;
}

/* From 512 on an errno is the kernel's own: a signal has interrupted the call,
 * and the kernel may make it again after the handler (signal(7)). */
static void write_error(FILE *out, const struct trace_call *call) {
    unsigned error = (unsigned)-call->result;
    if (error >= FIRST_RESTART)
        error = EINTR;
    (void)fputs(" = -1 ", out);
    constant_write(out, CONSTANT_ERROR, error);
}

void call_write_result(FILE *out, pid_t task, const struct trace_call *call) {
    struct argument list[ARGUMENTS];
    size_t count = list_arguments(task, call, list);
    size_t second;
    if (has_failed(call)) {
        write_error(out, call);
        return;
    }
    (void)fprintf(out, " = %" PRId64, call->result);
    if (call_is_inside(call, &second))
        (void)fputs(CALL_INSIDE, out);
    for (size_t i = 0; i < count; i++)
        argument_write_filled(out, &list[i]);
}

/* A piece of a program's memory. */
struct piece {
    uint64_t address;
    uint64_t length;
};

/* Finds the buffer of an array of iovec that has the first bytes: the first
 * buffer; or if that is empty, as some C libraries have it, the second. Returns
 * an empty piece if there is none. */
static struct piece find_first_buffer(pid_t task, uint64_t address) {
    struct iovec buffers[2] = {0};
    size_t got = trace_read(task, address, buffers, sizeof buffers);
    bool has_second = got == sizeof buffers;
    if (got < sizeof buffers[0])
        return (struct piece){0, 0};
    const struct iovec *first = &buffers[0];
    if (buffers[0].iov_len == 0 && has_second)
        first = &buffers[1];
    return (struct piece){(uintptr_t)first->iov_base, first->iov_len};
}

/* Finds the first piece of the bytes that a call sends: an empty piece for a
 * call that sends nothing. */
static struct piece find_sent(pid_t task, const struct trace_call *call) {
    struct msghdr message = {0};
    switch (call->number) {
    case SYS_write:
    case SYS_sendto:
        return (struct piece){call->arguments[1], call->arguments[2]};
    case SYS_sendmsg:
        read_message(task, call, &message);
        return find_first_buffer(task, (uintptr_t)message.msg_iov);
    case SYS_writev:
        return find_first_buffer(task, call->arguments[1]);
    default:
        return (struct piece){0, 0};
    }
}

size_t call_sent(pid_t task, const struct trace_call *call, char *bytes,
                 size_t size) {
    struct piece sent = find_sent(task, call);
    if (sent.length == 0)
        return 0;
    if (sent.length > size)
        sent.length = size;
    return trace_read(task, sent.address, bytes, (size_t)sent.length);
}
