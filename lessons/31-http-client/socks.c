/* socks: asks a proxy for a connection to a server, by SOCKS 5. */
#define _GNU_SOURCE

#include "socks.h"

#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

/* The numbers of RFC 1928. */
enum {
    VERSION = 5,
    WITHOUT_PASSWORD = 0, /* a method */
    NO_METHOD = 0xff,
    CONNECT = 1, /* a command */
    IPV4 = 1,    /* kinds of address */
    NAME = 3,
    IPV6 = 4,
    SUCCESS = 0, /* a reply */
};

enum {
    IPV4_BYTES = 4,
    IPV6_BYTES = 16,
    PORT_BYTES = 2,
    REPLY_BYTES = 4, /* of a reply, before its address */
    LONGEST_ADDRESS = 1 + UINT8_MAX + PORT_BYTES,
    LONGEST_REQUEST = 4 + LONGEST_ADDRESS,
};

int socks_parse(struct socks_proxy *proxy, const char *text) {
    const char *host;
    const char *port;
    size_t host_length;
    size_t port_length;
    in_port_t number;
    if (addr_split(text, strlen(text), &host, &host_length, &port,
                   &port_length) < 0)
        return -1;
    if (addr_parse_port(port, port_length, 1, &number) < 0)
        return -1;
    if (host_length >= sizeof proxy->host ||
        port_length >= sizeof proxy->port) {
        errno = EINVAL;
        return -1;
    }
    memcpy(proxy->host, host, host_length);
    proxy->host[host_length] = '\0';
    memcpy(proxy->port, port, port_length);
    proxy->port[port_length] = '\0';
    return 0;
}

static const char *text_of_reply(unsigned reply) {
    switch (reply) {
    case 1:
        return "it has failed";
    case 2:
        return "it does not allow this server";
    case 3:
        return "it cannot reach the network of the server";
    case 4:
        return "it cannot reach the server";
    case 5:
        return "the server refuses the connection";
    case 6:
        return "the server is too far away";
    case 7:
        return "it does not know how to connect";
    case 8:
        return "it does not know this kind of address";
    default:
        return "it reports an unknown error";
    }
}

/* Returns -1, for a call that has failed with errno. */
static int fail_call(const char **flaw) {
    *flaw = strerror(errno);
    if (errno == EPROTO)
        *flaw = "it has ended the connection";
    return -1;
}

static int fail(const char **flaw, const char *text) {
    *flaw = text;
    return -1;
}

static int send_bytes(int fd, struct deadline deadline, const uint8_t *bytes,
                      size_t length) {
    size_t sent;
    return deadline_send(deadline, fd, (const char *)bytes, length, &sent);
}

/* The greeting: we know one method, the one without a password. */
static int greet(int fd, struct deadline deadline, const char **flaw) {
    static const uint8_t greeting[] = {VERSION, 1, WITHOUT_PASSWORD};
    uint8_t answer[2];
    if (send_bytes(fd, deadline, greeting, sizeof greeting) < 0)
        return fail_call(flaw);
    if (deadline_recv_all(deadline, fd, answer, sizeof answer) < 0)
        return fail_call(flaw);
    if (answer[0] != VERSION)
        return fail(flaw, "it does not speak SOCKS 5");
    if (answer[1] == NO_METHOD)
        return fail(flaw, "it wants a password");
    if (answer[1] != WITHOUT_PASSWORD)
        return fail(flaw, "it has chosen a method that we do not know");
    return 0;
}

/* Writes the kind of the host, and the host. Returns how many bytes. */
static size_t write_host(uint8_t *bytes, const char *host) {
    if (inet_pton(AF_INET, host, bytes + 1) == 1) {
        bytes[0] = IPV4;
        return 1 + IPV4_BYTES;
    }
    if (inet_pton(AF_INET6, host, bytes + 1) == 1) {
        bytes[0] = IPV6;
        return 1 + IPV6_BYTES;
    }
    size_t length = strnlen(host, UINT8_MAX);
    bytes[0] = NAME;
    bytes[1] = (uint8_t)length;
    memcpy(bytes + 2, host, length);
    return 2 + length;
}

/* Passes over the address in a reply. We do not need it, but the bytes of the
 * server come behind it. */
static int skip_address(int fd, struct deadline deadline, unsigned kind,
                        const char **flaw) {
    uint8_t bytes[LONGEST_ADDRESS];
    size_t length;
    uint8_t name_length;
    switch (kind) {
    case IPV4:
        length = IPV4_BYTES;
        break;
    case IPV6:
        length = IPV6_BYTES;
        break;
    case NAME:
        if (deadline_recv_all(deadline, fd, &name_length, 1) < 0)
            return fail_call(flaw);
        length = name_length;
        break;
    default:
        return fail(flaw, "its reply has an unknown kind of address");
    }
    if (deadline_recv_all(deadline, fd, bytes, length + PORT_BYTES) < 0)
        return fail_call(flaw);
    return 0;
}

int socks_connect(int fd, struct deadline deadline, const char *host,
                  const char *port, const char **flaw) {
    uint8_t request[LONGEST_REQUEST] = {VERSION, CONNECT, 0};
    uint8_t reply[REPLY_BYTES]; /* version, reply, 0, kind of address */
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        return fail(flaw, "the port is not a number");
    if (greet(fd, deadline, flaw) < 0)
        return -1;

    size_t length = 3;
    length += write_host(request + length, host);
    request[length] = (uint8_t)(number >> 8);
    request[length + 1] = (uint8_t)number;
    length += PORT_BYTES;
    if (send_bytes(fd, deadline, request, length) < 0)
        return fail_call(flaw);
    if (deadline_recv_all(deadline, fd, reply, sizeof reply) < 0)
        return fail_call(flaw);
    if (reply[0] != VERSION)
        return fail(flaw, "it does not speak SOCKS 5");
    if (reply[1] != SUCCESS)
        return fail(flaw, text_of_reply(reply[1]));
    return skip_address(fd, deadline, reply[3], flaw);
}
