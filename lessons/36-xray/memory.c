#define _GNU_SOURCE

#include "memory.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "bytes.h"
#include "constant.h"
#include "endpoint.h"
#include "trace.h"

enum {
    MOST_BUFFERS = 8,  /* of an array of iovec, that are looked at */
    MOST_EVENTS = 16,  /* of an array of events, likewise */
    TEXT_BYTES = 96,   /* of a C string, likewise */
    PAGE_BYTES = 4096, /* the smallest page of any machine */
    FAMILY_BYTES = sizeof(sa_family_t),
    PATH_AT = offsetof(struct sockaddr_un, sun_path),
};

/* Copies size bytes from there; returns how many could be read. */
static size_t read_bytes(struct memory memory, void *bytes, size_t size) {
    return trace_read(memory.task, memory.address, bytes, size);
}

/* Copies the first elements of an array, which has count elements of that size,
 * to another, which has room for fewer. Returns how many could be read as a
 * whole. */
static size_t read_array(struct memory memory, void *array, uint64_t count,
                         size_t room, size_t size) {
    size_t wanted = room;
    if (count < room)
        wanted = (size_t)count;
    return read_bytes(memory, array, wanted * size) / size;
}

/* Writes where something is that cannot be read. Without that, it would look as
 * if the program had given nothing. */
static void write_place(FILE *out, struct memory memory) {
    (void)fprintf(out, "0x%" PRIx64, memory.address);
}

void memory_write_bytes(FILE *out, struct memory memory, size_t length) {
    uint8_t bytes[BYTES_AS_TEXT];
    size_t wanted = sizeof bytes;
    if (length < sizeof bytes)
        wanted = length;
    size_t got = read_bytes(memory, bytes, wanted);
    if (got == 0 && wanted > 0)
        write_place(out, memory);
    else
        bytes_write(out, bytes, got, length);
}

void memory_write_text(FILE *out, struct memory memory) {
    char text[TEXT_BYTES] = "";
    /* We read to the end of the page at most: the next page may not exist, and
     * then nothing at all would be copied. */
    size_t wanted = PAGE_BYTES - memory.address % PAGE_BYTES;
    if (wanted > sizeof text)
        wanted = sizeof text;
    size_t got = read_bytes(memory, text, wanted);
    (void)fputc('"', out);
    bytes_write_name(out, (const uint8_t *)text, strnlen(text, got));
    (void)fputc('"', out);
}

/* ---- addresses ------------------------------------------------------------*/

/* Writes "[fe80::1%lo]:80": an address that means something only on one
 * interface. */
static void write_scoped_address(FILE *out, const struct sockaddr_in6 *in) {
    char address[INET6_ADDRSTRLEN] = "";
    char name[IF_NAMESIZE];
    (void)inet_ntop(AF_INET6, &in->sin6_addr, address, sizeof address);
    if (if_indextoname(in->sin6_scope_id, name) == NULL)
        (void)snprintf(name, sizeof name, "%u", (unsigned)in->sin6_scope_id);
    (void)fprintf(out, "[%s%%%s]:%u", address, name, ntohs(in->sin6_port));
}

static void write_internet_address(FILE *out,
                                   const struct sockaddr_storage *address) {
    struct packet_end end = {{0}, 0};
    char text[ENDPOINT_TEXT_BYTES];
    struct sockaddr_in6 in;
    memcpy(&in, address, sizeof in);
    if (address->ss_family == AF_INET6 && in.sin6_scope_id != 0) {
        write_scoped_address(out, &in);
        return;
    }
    endpoint_copy(address, &end);
    (void)fputs(endpoint_format(address->ss_family, &end, ENDPOINT_WHOLE, text),
                out);
}

static void write_unix_address(FILE *out,
                               const struct sockaddr_storage *address,
                               size_t length) {
    const uint8_t *path = (const uint8_t *)address + PATH_AT;
    if (length <= PATH_AT)
        return; /* a socket without a name */
    size_t room = length - PATH_AT;
    bool is_abstract = path[0] == '\0';
    if (is_abstract) { /* then the name may have any bytes, NULs too */
        (void)fputc('@', out);
        bytes_write_name(out, path + 1, room - 1);
    } else {
        bytes_write_name(out, path, strnlen((const char *)path, room));
    }
}

void memory_write_address(FILE *out, struct memory memory, uint64_t length) {
    struct sockaddr_storage address = {0};
    size_t wanted = sizeof address;
    if (length < sizeof address)
        wanted = (size_t)length;
    if (memory.address == 0)
        return;
    if (wanted < FAMILY_BYTES)
        return;
    if (read_bytes(memory, &address, wanted) < FAMILY_BYTES) {
        write_place(out, memory);
        return;
    }
    switch (address.ss_family) {
    case AF_INET:
    case AF_INET6:
        write_internet_address(out, &address);
        break;
    case AF_UNIX:
        write_unix_address(out, &address, wanted);
        break;
    default:
        constant_write(out, CONSTANT_DOMAIN, address.ss_family);
        break;
    }
}

/* ---- buffers and messages -------------------------------------------------*/

void memory_write_buffers(FILE *out, struct memory memory, uint64_t count,
                          size_t most) {
    struct iovec buffers[MOST_BUFFERS] = {0};
    uint8_t bytes[BYTES_AS_TEXT]; /* the first ones, of one or more buffers */
    size_t got = 0;               /* how many of them */
    size_t length = 0;            /* of the buffers together */
    size_t known =
        read_array(memory, buffers, count, MOST_BUFFERS, sizeof buffers[0]);
    if (known == 0 && count > 0) {
        write_place(out, memory);
        return;
    }
    for (size_t i = 0; i < known && length < most; i++) {
        struct memory buffer = {memory.task, (uintptr_t)buffers[i].iov_base};
        size_t wanted = sizeof bytes - got;
        if (wanted > buffers[i].iov_len)
            wanted = buffers[i].iov_len;
        got += read_bytes(buffer, bytes + got, wanted);
        length += buffers[i].iov_len;
    }
    if (length > most)
        length = most;
    bytes_write(out, bytes, got, length);
}

void memory_read_control(struct memory memory, struct control *control) {
    struct msghdr message = {0};
    uint8_t bytes[CONTROL_BYTES];
    *control = (struct control){0};
    if (read_bytes(memory, &message, sizeof message) != sizeof message)
        return;
    struct memory data = {memory.task, (uintptr_t)message.msg_control};
    size_t wanted = sizeof bytes;
    if (message.msg_controllen < wanted)
        wanted = message.msg_controllen;
    size_t got = read_bytes(data, bytes, wanted);
    control_parse(control, bytes, got);
}

void memory_write_message_flags(FILE *out, struct memory memory) {
    struct msghdr message = {0};
    if (read_bytes(memory, &message, sizeof message) != sizeof message)
        return;
    /* Of all flags, only those are shown that say that something was cut off.
     */
    const unsigned shown = MSG_CTRUNC | MSG_TRUNC;
    unsigned flags = (unsigned)message.msg_flags;
    constant_write_flags(out, CONSTANT_MESSAGE_FLAG, flags & shown, " ");
}

void memory_write_message(FILE *out, struct memory memory, size_t most) {
    struct msghdr message = {0};
    struct control control;
    if (read_bytes(memory, &message, sizeof message) != sizeof message) {
        write_place(out, memory);
        return;
    }
    struct memory buffers = {memory.task, (uintptr_t)message.msg_iov};
    struct memory name = {memory.task, (uintptr_t)message.msg_name};
    memory_write_buffers(out, buffers, (uint64_t)message.msg_iovlen, most);
    if (message.msg_name != NULL && message.msg_namelen > 0) {
        (void)fputc(' ', out);
        memory_write_address(out, name, message.msg_namelen);
    }
    memory_read_control(memory, &control);
    control_write(out, &control);
}

/* ---- waiting --------------------------------------------------------------*/

void memory_write_time(FILE *out, struct memory memory, long per_millisecond) {
    long value[2] = {0};
    if (memory.address == 0) {
        (void)fputs("for ever", out);
    } else if (read_bytes(memory, value, sizeof value) == sizeof value) {
        long milliseconds = value[0] * 1000 + value[1] / per_millisecond;
        (void)fprintf(out, "%ld ms", milliseconds);
    } else {
        write_place(out, memory);
    }
}

void memory_write_polled(FILE *out, struct memory memory, uint64_t count,
                         enum memory_events events) {
    struct pollfd all[MOST_EVENTS] = {0};
    const char *separator = "";
    size_t known = read_array(memory, all, count, MOST_EVENTS, sizeof all[0]);
    if (known == 0 && count > 0) {
        write_place(out, memory);
        return;
    }
    (void)fputc('[', out);
    for (size_t i = 0; i < known; i++) {
        short shown = all[i].events;
        if (events == MEMORY_EVENTS_RETURNED) {
            shown = all[i].revents;
            if (shown == 0)
                continue; /* nothing has happened on this descriptor */
        }
        (void)fprintf(out, "%s%d", separator, all[i].fd);
        constant_write_flags(out, CONSTANT_POLL_EVENT, (unsigned short)shown,
                             " ");
        separator = ", ";
    }
    (void)fputc(']', out);
}

void memory_write_epoll(FILE *out, struct memory memory, uint64_t count) {
    struct epoll_event all[MOST_EVENTS] = {0};
    const char *separator = "";
    size_t known = read_array(memory, all, count, MOST_EVENTS, sizeof all[0]);
    if (known == 0 && count > 0 && memory.address != 0) {
        write_place(out, memory);
        return;
    }
    (void)fputc('[', out);
    for (size_t i = 0; i < known; i++) {
        constant_write_flags(out, CONSTANT_EPOLL_EVENT, all[i].events,
                             separator);
        separator = ", ";
    }
    (void)fputc(']', out);
}

/* A set of select(2), as the kernel has it: one bit for each descriptor, in
 * words of the type unsigned long. */
enum { WORD_BITS = 8 * sizeof(unsigned long) };

static bool is_in_set(const unsigned long *set, unsigned fd) {
    unsigned long word = set[fd / WORD_BITS];
    unsigned long bit = 1UL << (fd % WORD_BITS);
    return (word & bit) != 0;
}

bool memory_write_set(FILE *out, struct memory memory, const char *separator,
                      const char *name, uint64_t count) {
    unsigned long set[FD_SETSIZE / WORD_BITS] = {0};
    if (memory.address == 0)
        return false;
    (void)fprintf(out, "%s%s", separator, name);
    if (read_bytes(memory, set, sizeof set) == 0) {
        (void)fputc(' ', out);
        write_place(out, memory);
        return true;
    }
    for (unsigned fd = 0; fd < count && fd < FD_SETSIZE; fd++)
        if (is_in_set(set, fd))
            (void)fprintf(out, " %u", fd);
    return true;
}
