#define _GNU_SOURCE

#include "argument.h"

#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "constant.h"
#include "group.h"
#include "memory.h"
#include "trace.h"

enum {
    TYPE_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK,
    MICROSECONDS = 1000,   /* in a millisecond */
    NANOSECONDS = 1000000, /* in a millisecond */
};

/* What the value number i of the argument points to. */
static struct memory memory_at(const struct argument *argument, size_t i) {
    return (struct memory){argument->task, argument->values[i]};
}

/* Reads size bytes of the program's memory. Returns whether all of them could
 * be read. */
static bool read_value(struct memory memory, void *value, size_t size) {
    size_t got = trace_read(memory.task, memory.address, value, size);
    return got == size;
}

/* ---- numbers --------------------------------------------------------------*/

static void write_descriptor(FILE *out, const struct argument *argument) {
    (void)fprintf(out, "%d", (int)argument->values[0]);
}

static void write_number(FILE *out, const struct argument *argument) {
    (void)fprintf(out, "%" PRId64, (int64_t)argument->values[0]);
}

/* Where in a file a call begins: sendfile(2), splice(2). */
static void write_offset(FILE *out, const struct argument *argument) {
    int64_t offset = 0;
    if (read_value(memory_at(argument, 0), &offset, sizeof offset))
        (void)fprintf(out, "offset %" PRId64, offset);
}

static void write_hex(FILE *out, const struct argument *argument) {
    (void)fprintf(out, "0x%" PRIx64, argument->values[0]);
}

static void write_splice_flags(FILE *out, const struct argument *argument) {
    constant_write_flags(out, CONSTANT_SPLICE_FLAG,
                         (unsigned)argument->values[0], "");
}

static void write_domain(FILE *out, const struct argument *argument) {
    constant_write(out, CONSTANT_DOMAIN, (unsigned)argument->values[0]);
}

static void write_type(FILE *out, const struct argument *argument) {
    unsigned value = (unsigned)argument->values[0];
    unsigned flags = value & (unsigned)TYPE_FLAGS;
    constant_write(out, CONSTANT_TYPE, value & ~flags);
    constant_write_flags(out, CONSTANT_TYPE_FLAG, flags, "|");
}

static void write_protocol(FILE *out, const struct argument *argument) {
    (void)fprintf(out, "%u", (unsigned)argument->values[0]);
}

static void write_accept_flags(FILE *out, const struct argument *argument) {
    constant_write_flags(out, CONSTANT_TYPE_FLAG, (unsigned)argument->values[0],
                         "");
}

static void write_message_flags(FILE *out, const struct argument *argument) {
    constant_write_flags(out, CONSTANT_MESSAGE_FLAG,
                         (unsigned)argument->values[0], "");
}

static void write_shutdown(FILE *out, const struct argument *argument) {
    constant_write(out, CONSTANT_SHUTDOWN, (unsigned)argument->values[0]);
}

static void write_fcntl(FILE *out, const struct argument *argument) {
    uint64_t command = argument->values[0];
    uint64_t value = argument->values[1];
    constant_write(out, CONSTANT_FCNTL_COMMAND, (unsigned)command);
    if (command == F_SETFL)
        constant_write_flags(out, CONSTANT_FILE_FLAG, (unsigned)value, ", ");
    else if (command == F_SETFD && (value & FD_CLOEXEC) != 0)
        (void)fputs(", FD_CLOEXEC", out);
    else if (command == F_SETFD)
        (void)fputs(", 0", out);
}

static void write_ioctl(FILE *out, const struct argument *argument) {
    uint64_t request = argument->values[0];
    int value = 0;
    constant_write(out, CONSTANT_IOCTL_REQUEST, (unsigned)request);
    if (request != FIONBIO)
        return;
    if (read_value(memory_at(argument, 1), &value, sizeof value))
        (void)fprintf(out, ", %d", value);
}

static void write_epoll_flags(FILE *out, const struct argument *argument) {
    unsigned flags = (unsigned)argument->values[0];
    if (flags == 0)
        (void)fputs("0", out);
    else
        constant_write_flags(out, CONSTANT_EPOLL_FLAG, flags, "");
}

static void write_epoll_command(FILE *out, const struct argument *argument) {
    constant_write(out, CONSTANT_EPOLL_COMMAND, (unsigned)argument->values[0]);
}

static void write_milliseconds(FILE *out, const struct argument *argument) {
    int milliseconds = (int)argument->values[0];
    if (milliseconds < 0)
        (void)fputs("for ever", out);
    else
        (void)fprintf(out, "%d ms", milliseconds);
}

/* ---- memory that the call reads -------------------------------------------*/

static void write_text(FILE *out, const struct argument *argument) {
    memory_write_text(out, memory_at(argument, 0));
}

static void write_address(FILE *out, const struct argument *argument) {
    memory_write_address(out, memory_at(argument, 0), argument->values[1]);
}

static void write_bytes(FILE *out, const struct argument *argument) {
    memory_write_bytes(out, memory_at(argument, 0), argument->values[1]);
}

static void write_buffers(FILE *out, const struct argument *argument) {
    memory_write_buffers(out, memory_at(argument, 0), argument->values[1],
                         SIZE_MAX);
}

static void write_message(FILE *out, const struct argument *argument) {
    memory_write_message(out, memory_at(argument, 0), SIZE_MAX);
}

static void write_wanted(FILE *out, const struct argument *argument) {
    memory_write_polled(out, memory_at(argument, 0), argument->values[1],
                        MEMORY_EVENTS_WANTED);
}

static void write_selected(FILE *out, const struct argument *argument) {
    static const char *const names[] = {"read", "write", "except"};
    const char *separator = "";
    uint64_t descriptors = argument->values[0];
    for (size_t i = 0; i < 3; i++) {
        struct memory set = memory_at(argument, 1 + i);
        bool is_there =
            memory_write_set(out, set, separator, names[i], descriptors);
        if (is_there)
            separator = ", ";
    }
}

static void write_epoll_event(FILE *out, const struct argument *argument) {
    memory_write_epoll(out, memory_at(argument, 0), 1);
}

static void write_timespec(FILE *out, const struct argument *argument) {
    memory_write_time(out, memory_at(argument, 0), NANOSECONDS);
}

static void write_timeval(FILE *out, const struct argument *argument) {
    memory_write_time(out, memory_at(argument, 0), MICROSECONDS);
}

/* ---- options of a socket --------------------------------------------------*/

/* Finds the names of a level's options; returns whether we know any. */
static bool find_options(int level, enum constant_group *options) {
    switch (level) {
    case SOL_SOCKET:
        *options = CONSTANT_SOCKET_OPTION;
        return true;
    case SOL_PACKET:
        *options = CONSTANT_PACKET_OPTION;
        return true;
    case IPPROTO_TCP:
        *options = CONSTANT_TCP_OPTION;
        return true;
    case IPPROTO_IP:
        *options = CONSTANT_IP_OPTION;
        return true;
    case IPPROTO_IPV6:
        *options = CONSTANT_IPV6_OPTION;
        return true;
    default:
        return false;
    }
}

/* Whether we know the names of a level's options. */
static bool is_known_level(int level) {
    enum constant_group options;
    return find_options(level, &options);
}

/* Writes level and option. The level SOL_SOCKET is left out: the names of its
 * options begin with SO_, so that a reader knows it. */
static void write_option_name(FILE *out, const struct argument *argument) {
    int level = (int)argument->values[0];
    unsigned option = (unsigned)argument->values[1];
    enum constant_group options;
    if (!find_options(level, &options)) {
        (void)fprintf(out, "%d, %d", level, (int)option);
        return;
    }
    if (level != SOL_SOCKET) {
        constant_write(out, CONSTANT_LEVEL, (unsigned)level);
        (void)fputs(", ", out);
    }
    constant_write(out, options, option);
}

static void write_linger(FILE *out, struct memory memory) {
    struct linger value = {0};
    if (read_value(memory, &value, sizeof value))
        (void)fprintf(out, ", {%d, %d}", value.l_onoff, value.l_linger);
}

/* Writes the multicast group that an option is about; returns whether it is
 * about one. */
static bool write_group(FILE *out, const struct argument *argument) {
    uint8_t value[GROUP_OPTION_BYTES];
    size_t length = sizeof value;
    struct group_change change;
    if (argument->values[3] < length)
        length = (size_t)argument->values[3];
    length = trace_read(argument->task, argument->values[2], value, length);
    if (!group_parse(&change, (int)argument->values[0],
                     (unsigned)argument->values[1], value, length))
        return false;
    (void)fputs(", ", out);
    group_write(out, &change);
    return true;
}

/* Writes the IPv4 address that stands in this memory. */
static void write_address_in(FILE *out, struct memory memory) {
    uint8_t bytes[4];
    if (read_value(memory, bytes, sizeof bytes))
        (void)fprintf(out, ", %u.%u.%u.%u", bytes[0], bytes[1], bytes[2],
                      bytes[3]);
}

/* IP_MULTICAST_IF names an interface by its number or by an address: ip(7). A
 * struct ip_mreqn has both, and its number counts unless it is 0. */
static void write_interface(FILE *out, const struct argument *argument) {
    struct memory memory = memory_at(argument, 2);
    struct ip_mreqn request = {0};
    if (argument->values[3] < sizeof request) {
        write_address_in(out, memory);
        return;
    }
    if (!read_value(memory, &request, sizeof request))
        return;
    if (request.imr_ifindex != 0) {
        (void)fprintf(out, ", interface %d", request.imr_ifindex);
        return;
    }
    memory.address += offsetof(struct ip_mreqn, imr_address);
    write_address_in(out, memory);
}

/* Writes a number of one byte, which some options of IP may have. */
static void write_byte(FILE *out, struct memory memory) {
    uint8_t value = 0;
    if (read_value(memory, &value, sizeof value))
        (void)fprintf(out, ", %u", value);
}

/* Writes a number. A value of another size than a number has is not shown. */
static void write_int(FILE *out, struct memory memory, uint64_t length) {
    int value = 0;
    if (length == sizeof value && read_value(memory, &value, sizeof value))
        (void)fprintf(out, ", %d", value);
}

static void write_timeout(FILE *out, struct memory memory) {
    int first = 0;
    if (!read_value(memory, &first, sizeof first))
        return; /* there is nothing to write behind the comma */
    (void)fputs(", ", out);
    memory_write_time(out, memory, MICROSECONDS);
}

/* Writes the value of an option at the level SOL_SOCKET. */
static void write_socket_option(FILE *out, const struct argument *argument) {
    struct memory memory = memory_at(argument, 2);
    switch (argument->values[1]) {
    case SO_LINGER:
        write_linger(out, memory);
        break;
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
        write_timeout(out, memory);
        break;
    default:
        write_int(out, memory, argument->values[3]);
        break;
    }
}

static void write_option(FILE *out, const struct argument *argument) {
    int level = (int)argument->values[0];
    uint64_t option = argument->values[1];
    struct memory memory = memory_at(argument, 2);
    uint64_t length = argument->values[3];
    bool is_interface = level == IPPROTO_IP && option == IP_MULTICAST_IF;
    write_option_name(out, argument);
    if (!is_known_level(level))
        return;
    bool has_group = write_group(out, argument);
    if (has_group)
        return;
    if (length == 1)
        write_byte(out, memory);
    else if (is_interface)
        write_interface(out, argument);
    else if (level == SOL_SOCKET)
        write_socket_option(out, argument);
    else
        write_int(out, memory, length);
}

/* ---- memory that the call fills -------------------------------------------*/

/* Before the call, we know only how many bytes, or events, may come. */
static void write_room(FILE *out, const struct argument *argument) {
    (void)fprintf(out, "%" PRIu64, argument->values[1]);
}

/* The same where there is room in several pieces, whose sum is not in any
 * argument. */
static void write_dots(FILE *out, const struct argument *argument) {
    (void)argument;
    (void)fputs("...", out);
}

static void write_filled_bytes(FILE *out, const struct argument *argument) {
    memory_write_bytes(out, memory_at(argument, 0), (size_t)argument->result);
}

static void write_filled_buffers(FILE *out, const struct argument *argument) {
    memory_write_buffers(out, memory_at(argument, 0), argument->values[1],
                         (size_t)argument->result);
}

static void write_filled_message(FILE *out, const struct argument *argument) {
    memory_write_message(out, memory_at(argument, 0), (size_t)argument->result);
    memory_write_message_flags(out, memory_at(argument, 0));
}

static void write_filled_address(FILE *out, const struct argument *argument) {
    int length = 0;
    if (read_value(memory_at(argument, 1), &length, sizeof length))
        memory_write_address(out, memory_at(argument, 0), (unsigned)length);
}

static void write_filled_option(FILE *out, const struct argument *argument) {
    int value = 0;
    int length = 0;
    if (!read_value(memory_at(argument, 2), &value, sizeof value))
        return;
    if (!read_value(memory_at(argument, 3), &length, sizeof length))
        return;
    if (length != sizeof value)
        return;
    /* Other levels have options with the same number. */
    bool is_error =
        argument->values[0] == SOL_SOCKET && argument->values[1] == SO_ERROR;
    if (!is_error) {
        (void)fprintf(out, "[%u]", (unsigned)value);
        return;
    }
    (void)fputc('[', out);
    constant_write(out, CONSTANT_ERROR, (unsigned)value);
    (void)fputc(']', out);
}

static void write_returned(FILE *out, const struct argument *argument) {
    memory_write_polled(out, memory_at(argument, 0), argument->values[1],
                        MEMORY_EVENTS_RETURNED);
}

static void write_filled_epoll(FILE *out, const struct argument *argument) {
    memory_write_epoll(out, memory_at(argument, 0), (uint64_t)argument->result);
}

static void write_filled_pair(FILE *out, const struct argument *argument) {
    int pair[2] = {0};
    if (read_value(memory_at(argument, 0), pair, sizeof pair))
        (void)fprintf(out, "[%d, %d]", pair[0], pair[1]);
}

/* ---- the table ------------------------------------------------------------*/

/* Whether an argument is written before the call. */
enum before {
    HIDDEN,
    SHOWN,
    SHOWN_UNLESS_ZERO,
};

/* Whether an argument is written after the call. */
enum after {
    NOT_FILLED,
    ALWAYS_FILLED,
    FILLED_IF_POSITIVE, /* the result says how much has come */
    FILLED_IF_ASKED,    /* neither of the two addresses is NULL */
};

typedef void writer(FILE *out, const struct argument *argument);

static const struct form {
    unsigned width; /* see argument_width */
    enum before before;
    writer *write_before; /* NULL where it is HIDDEN */
    enum after after;
    writer *write_after; /* NULL where it is NOT_FILLED */
} forms[] = {
    [ARG_NONE] = {0, HIDDEN, NULL, NOT_FILLED, NULL},
    [ARG_HIDDEN] = {1, HIDDEN, NULL, NOT_FILLED, NULL},
    [ARG_FD] = {1, SHOWN, write_descriptor, NOT_FILLED, NULL},
    [ARG_NUMBER] = {1, SHOWN, write_number, NOT_FILLED, NULL},
    [ARG_OFFSET] = {1, SHOWN_UNLESS_ZERO, write_offset, NOT_FILLED, NULL},
    [ARG_HEX] = {1, SHOWN, write_hex, NOT_FILLED, NULL},
    [ARG_TEXT] = {1, SHOWN, write_text, NOT_FILLED, NULL},
    [ARG_DOMAIN] = {1, SHOWN, write_domain, NOT_FILLED, NULL},
    [ARG_TYPE] = {1, SHOWN, write_type, NOT_FILLED, NULL},
    [ARG_PROTOCOL] = {1, SHOWN_UNLESS_ZERO, write_protocol, NOT_FILLED, NULL},
    [ARG_ADDRESS] = {2, SHOWN_UNLESS_ZERO, write_address, NOT_FILLED, NULL},
    [ARG_ADDRESS_FILLED] = {2, HIDDEN, NULL, FILLED_IF_ASKED,
                            write_filled_address},
    [ARG_ACCEPT_FLAGS] = {1, SHOWN_UNLESS_ZERO, write_accept_flags, NOT_FILLED,
                          NULL},
    [ARG_BYTES] = {2, SHOWN, write_bytes, NOT_FILLED, NULL},
    [ARG_BYTES_FILLED] = {2, SHOWN, write_room, FILLED_IF_POSITIVE,
                          write_filled_bytes},
    [ARG_BUFFERS] = {2, SHOWN, write_buffers, NOT_FILLED, NULL},
    [ARG_BUFFERS_FILLED] = {2, SHOWN, write_dots, FILLED_IF_POSITIVE,
                            write_filled_buffers},
    [ARG_MESSAGE] = {1, SHOWN, write_message, NOT_FILLED, NULL},
    [ARG_MESSAGE_FILLED] = {1, SHOWN, write_dots, FILLED_IF_POSITIVE,
                            write_filled_message},
    [ARG_MESSAGE_FLAGS] = {1, SHOWN_UNLESS_ZERO, write_message_flags,
                           NOT_FILLED, NULL},
    [ARG_SPLICE_FLAGS] = {1, SHOWN_UNLESS_ZERO, write_splice_flags, NOT_FILLED,
                          NULL},
    [ARG_OPTION] = {4, SHOWN, write_option, NOT_FILLED, NULL},
    [ARG_OPTION_FILLED] = {4, SHOWN, write_option_name, ALWAYS_FILLED,
                           write_filled_option},
    [ARG_SHUTDOWN] = {1, SHOWN, write_shutdown, NOT_FILLED, NULL},
    [ARG_FCNTL] = {2, SHOWN, write_fcntl, NOT_FILLED, NULL},
    [ARG_IOCTL] = {2, SHOWN, write_ioctl, NOT_FILLED, NULL},
    [ARG_POLLED] = {2, SHOWN, write_wanted, FILLED_IF_POSITIVE, write_returned},
    [ARG_SELECTED] = {4, SHOWN, write_selected, FILLED_IF_POSITIVE,
                      write_selected},
    [ARG_EPOLL_FLAGS] = {1, SHOWN, write_epoll_flags, NOT_FILLED, NULL},
    [ARG_EPOLL_COMMAND] = {1, SHOWN, write_epoll_command, NOT_FILLED, NULL},
    [ARG_EPOLL_EVENT] = {1, SHOWN, write_epoll_event, NOT_FILLED, NULL},
    [ARG_EPOLL_FILLED] = {2, SHOWN, write_room, FILLED_IF_POSITIVE,
                          write_filled_epoll},
    [ARG_PAIR_FILLED] = {1, HIDDEN, NULL, ALWAYS_FILLED, write_filled_pair},
    [ARG_MILLISECONDS] = {1, SHOWN, write_milliseconds, NOT_FILLED, NULL},
    [ARG_TIMESPEC] = {1, SHOWN, write_timespec, NOT_FILLED, NULL},
    [ARG_TIMEVAL] = {1, SHOWN, write_timeval, NOT_FILLED, NULL},
};

size_t argument_width(enum argument_kind kind) {
    return forms[kind].width;
}

bool argument_is_shown(const struct argument *argument) {
    switch (forms[argument->kind].before) {
    case SHOWN:
        return true;
    case SHOWN_UNLESS_ZERO:
        return argument->values[0] != 0;
    case HIDDEN:
        break;
    }
    return false;
}

void argument_write(FILE *out, const struct argument *argument) {
    forms[argument->kind].write_before(out, argument);
}

static bool is_filled(const struct argument *argument) {
    switch (forms[argument->kind].after) {
    case ALWAYS_FILLED:
        return true;
    case FILLED_IF_POSITIVE:
        return argument->result > 0;
    case FILLED_IF_ASKED:
        return argument->values[0] != 0 && argument->values[1] != 0;
    case NOT_FILLED:
        break;
    }
    return false;
}

void argument_write_filled(FILE *out, const struct argument *argument) {
    if (!is_filled(argument))
        return;
    (void)fputc(' ', out);
    forms[argument->kind].write_after(out, argument);
}
