#define _GNU_SOURCE

#include "peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* All this is as in the headers linux/netlink.h, linux/sock_diag.h and
 * linux/unix_diag.h, which not every C library comes with. */
enum {
    PROTOCOL_SOCK_DIAG = 4, /* of netlink(7) */
    TYPE_ERROR = 2,
    TYPE_BY_FAMILY = 20,
    FLAG_REQUEST = 1,
    SHOW_PEER = 4,
    ATTRIBUTE_PEER = 2,
    ALIGNMENT = 4, /* of all parts of an answer */
    ANSWER_BYTES = 1024,
};

/* What each message begins with. */
struct header {
    uint32_t length; /* of the message, with this header */
    uint16_t type;
    uint16_t flags;
    uint32_t sequence;
    uint32_t port;
};

struct request {
    struct header header;
    uint8_t family;
    uint8_t protocol;
    uint16_t padding;
    uint32_t states; /* a bit for each that is meant */
    uint32_t inode;
    uint32_t show;
    uint32_t cookie[2];
};

/* What the answer has behind its header; then come attributes. */
struct found {
    uint8_t family;
    uint8_t type;
    uint8_t state;
    uint8_t padding;
    uint32_t inode;
    uint32_t cookie[2];
};

/* What each attribute begins with. */
struct attribute {
    uint16_t length; /* with these two numbers */
    uint16_t type;
};

/* Finds the peer among attributes of length bytes; 0 if it is not there. */
static uint64_t find_attribute(const uint8_t *bytes, size_t length) {
    struct attribute attribute;
    while (length >= sizeof attribute) {
        uint32_t peer;
        memcpy(&attribute, bytes, sizeof attribute);
        size_t part = attribute.length;
        if (part < sizeof attribute || part > length)
            return 0;
        if (attribute.type == ATTRIBUTE_PEER &&
            part >= sizeof attribute + sizeof peer) {
            memcpy(&peer, bytes + sizeof attribute, sizeof peer);
            return peer;
        }
        size_t step = (part + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (step > length)
            return 0;
        bytes += step;
        length -= step;
    }
    return 0;
}

/* An answer of the type TYPE_ERROR has a negative errno behind its header. That
 * there is no such socket in our network is no error: it has no peer here. */
static int parse_error(const uint8_t *bytes, size_t length) {
    int32_t error = -EPROTO;
    if (length >= sizeof error)
        memcpy(&error, bytes, sizeof error);
    if (error == -ENOENT)
        return 0;
    errno = EPROTO;
    if (error < 0 && error > INT32_MIN)
        errno = -error;
    return -1;
}

int peer_parse(const uint8_t *answer, size_t length, uint64_t *peer) {
    struct header header;
    *peer = 0;
    errno = EPROTO;
    if (length < sizeof header)
        return -1;
    memcpy(&header, answer, sizeof header);
    if (header.length < sizeof header || header.length > length)
        return -1;
    const uint8_t *body = answer + sizeof header;
    size_t left = header.length - sizeof header;
    if (header.type == TYPE_ERROR)
        return parse_error(body, left);
    if (header.type != TYPE_BY_FAMILY || left < sizeof(struct found))
        return -1;
    *peer = find_attribute(body + sizeof(struct found),
                           left - sizeof(struct found));
    return 0;
}

/* Sends the question, and reads the answer. Returns as peer_find does. */
static int ask(int fd, uint64_t inode, uint64_t *peer) {
    uint8_t answer[ANSWER_BYTES];
    struct request request = {.header = {.length = sizeof request,
                                         .type = TYPE_BY_FAMILY,
                                         .flags = FLAG_REQUEST},
                              .family = AF_UNIX,
                              .states = UINT32_MAX,
                              .inode = (uint32_t)inode,
                              .show = SHOW_PEER,
                              /* No cookie: the number of the file is enough. */
                              .cookie = {UINT32_MAX, UINT32_MAX}};
    if (send(fd, &request, sizeof request, 0) < 0)
        return -1;
    ssize_t length = recv(fd, answer, sizeof answer, 0);
    if (length < 0)
        return -1;
    return peer_parse(answer, (size_t)length, peer);
}

int peer_find(uint64_t inode, uint64_t *peer) {
    *peer = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, PROTOCOL_SOCK_DIAG);
    if (fd < 0)
        return -1;
    int result = ask(fd, inode, peer);
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return result;
}
