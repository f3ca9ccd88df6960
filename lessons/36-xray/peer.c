#define _GNU_SOURCE

#include "peer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* These constants and structures are those of the headers linux/netlink.h,
 * linux/sock_diag.h and linux/unix_diag.h, which are not installed with every C
 * library. */
enum {
    PROTOCOL_SOCK_DIAG = 4, /* NETLINK_SOCK_DIAG */
    TYPE_ERROR = 2,         /* NLMSG_ERROR */
    TYPE_BY_FAMILY = 20,    /* SOCK_DIAG_BY_FAMILY */
    FLAG_REQUEST = 1,       /* NLM_F_REQUEST */
    SHOW_PEER = 4,          /* UDIAG_SHOW_PEER */
    ATTRIBUTE_PEER = 2,     /* UNIX_DIAG_PEER */
    ALIGNMENT = 4,          /* of all parts of an answer */
    ANSWER_BYTES = 1024,
};

/* What each message begins with: struct nlmsghdr. */
struct header {
    uint32_t length; /* of the message, with this header */
    uint16_t type;
    uint16_t flags;
    uint32_t sequence;
    uint32_t port;
};

/* Our question: a header, and struct unix_diag_req. */
struct request {
    struct header header;
    uint8_t family;
    uint8_t protocol;
    uint16_t padding;
    uint32_t states; /* a bit for each state in which a socket is wanted */
    uint32_t inode;
    uint32_t show;
    uint32_t cookie[2];
};

/* What the answer has behind its header: struct unix_diag_msg. Then come
 * attributes. */
struct found {
    uint8_t family;
    uint8_t type;
    uint8_t state;
    uint8_t padding;
    uint32_t inode;
    uint32_t cookie[2];
};

/* What each attribute begins with: struct nlattr. */
struct attribute {
    uint16_t length; /* of the attribute, with this beginning */
    uint16_t type;
};

/* Attributes begin at multiples of ALIGNMENT. So this is how far the next one
 * is from one that has length bytes. */
static size_t round_up(size_t length) {
    size_t units = (length + ALIGNMENT - 1) / ALIGNMENT;
    return units * ALIGNMENT;
}

/* Finds the peer among attributes of length bytes; 0 if it is not there. */
static uint64_t find_peer(const uint8_t *bytes, size_t length) {
    struct attribute attribute;
    uint32_t peer;
    while (length >= sizeof attribute) {
        memcpy(&attribute, bytes, sizeof attribute);
        size_t part = attribute.length;
        if (part < sizeof attribute || part > length)
            return 0;
        bool has_number = part >= sizeof attribute + sizeof peer;
        if (attribute.type == ATTRIBUTE_PEER && has_number) {
            memcpy(&peer, bytes + sizeof attribute, sizeof peer);
            return peer;
        }
        size_t step = round_up(part);
        if (step > length)
            return 0;
        bytes += step;
        length -= step;
    }
    return 0;
}

/* An answer of the type TYPE_ERROR has a negative errno behind its header.
 * ENOENT means that our network has no such socket. We take that for a socket
 * without a peer, and not for an error. Returns 0 then; or -1 and errno. */
static int parse_error(const uint8_t *bytes, size_t length) {
    int32_t error = -EPROTO;
    if (length >= sizeof error)
        memcpy(&error, bytes, sizeof error);
    if (error == -ENOENT)
        return 0;
    /* -INT32_MIN would be too large for an int. */
    bool is_errno = error < 0 && error > INT32_MIN;
    errno = EPROTO;
    if (is_errno)
        errno = -error;
    return -1;
}

int peer_parse(const uint8_t *answer, size_t length, uint64_t *peer) {
    struct header header;
    *peer = 0;
    errno = EPROTO; /* for each return of -1 but that of parse_error */
    if (length < sizeof header)
        return -1;
    memcpy(&header, answer, sizeof header);
    if (header.length < sizeof header || header.length > length)
        return -1;
    const uint8_t *body = answer + sizeof header;
    size_t body_length = header.length - sizeof header;
    if (header.type == TYPE_ERROR)
        return parse_error(body, body_length);
    if (header.type != TYPE_BY_FAMILY || body_length < sizeof(struct found))
        return -1;
    const uint8_t *attributes = body + sizeof(struct found);
    *peer = find_peer(attributes, body_length - sizeof(struct found));
    return 0;
}

/* Sends the question, and reads the answer. Returns as peer_find does. */
static int ask_kernel(int fd, uint64_t inode, uint64_t *peer) {
    uint8_t answer[ANSWER_BYTES];
    struct request request = {.header = {.length = sizeof request,
                                         .type = TYPE_BY_FAMILY,
                                         .flags = FLAG_REQUEST},
                              .family = AF_UNIX,
                              .states = UINT32_MAX,
                              .inode = (uint32_t)inode,
                              .show = SHOW_PEER,
                              /* These two numbers mean that we have no cookie:
                               * the inode is enough to find the socket. */
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
    int result = ask_kernel(fd, inode, peer);
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return result;
}
