/* addr: turns addresses as people write them into the kernel's, and back. */
#define _GNU_SOURCE

#include "addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LARGEST_PORT = 65535, PORT_TEXT_BYTES = sizeof "65535" };

static int fail_as_invalid(void) {
    errno = EINVAL;
    return -1;
}

int addr_parse_port(const char *text, size_t length, unsigned smallest,
                    in_port_t *port) {
    unsigned value = 0;
    if (length == 0)
        return fail_as_invalid();
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return fail_as_invalid();
        value = value * 10 + (unsigned)(text[i] - '0');
        if (value > LARGEST_PORT) /* before another digit could overflow it */
            return fail_as_invalid();
    }
    if (value < smallest)
        return fail_as_invalid();
    *port = (in_port_t)value;
    return 0;
}

/* Returns the first such byte from start to end - 1, or NULL. */
static const char *find(const char *start, const char *end, char byte) {
    return memchr(start, byte, (size_t)(end - start));
}

int addr_split(const char *text, size_t length, const char **host,
               size_t *host_length, const char **port, size_t *port_length) {
    const char *end = text + length;
    const char *host_start = text;
    const char *host_end;
    const char *colon; /* the one before the port */

    /* A C string would end at a NUL, and be another name. */
    if (find(text, end, '\0') != NULL)
        return fail_as_invalid();
    if (length > 0 && text[0] == '[') {
        host_start = text + 1;
        host_end = find(host_start, end, ']');
        if (host_end == NULL || find(host_start, host_end, ':') == NULL)
            return fail_as_invalid();
        colon = host_end + 1;
        if (colon == end || *colon != ':')
            return fail_as_invalid();
    } else {
        host_end = find(text, end, ':');
        if (host_end == NULL)
            return fail_as_invalid();
        colon = host_end;
    }

    const char *port_start = colon + 1;
    if (host_start == host_end || port_start == end)
        return fail_as_invalid();
    if (find(port_start, end, ':') != NULL)
        return fail_as_invalid();
    /* No bracket may stand inside of the host. */
    if (find(host_start, host_end, '[') != NULL ||
        find(host_start, host_end, ']') != NULL)
        return fail_as_invalid();
    *host = host_start;
    *host_length = (size_t)(host_end - host_start);
    *port = port_start;
    *port_length = (size_t)(end - port_start);
    return 0;
}

int addr_resolve(const char *host, const char *port, int family, int type,
                 struct addrinfo **list) {
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV,
        .ai_family = family,
        .ai_socktype = type,
    };
    in_port_t number;

    /* getaddrinfo takes 65536 for 0, and in some libraries a sign or a blank
     * before the digits. So we look first. */
    if (addr_parse_port(port, strlen(port), 0, &number) < 0)
        return EAI_SERVICE;
    return getaddrinfo(host, port, &hints, list);
}

const char *addr_format(const struct sockaddr *address, socklen_t length,
                        char *text) {
    char host[ADDR_TEXT_BYTES - PORT_TEXT_BYTES - sizeof "[]:"];
    char port[PORT_TEXT_BYTES];
    sa_family_t family = AF_UNSPEC;
    int error = EAI_FAMILY;

    if (length >= sizeof family)
        family = address->sa_family;
    if (family == AF_INET || family == AF_INET6)
        error = getnameinfo(address, length, host, sizeof host, port,
                            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (error != 0)
        (void)snprintf(text, ADDR_TEXT_BYTES, "family %d", family);
    else if (family == AF_INET6)
        (void)snprintf(text, ADDR_TEXT_BYTES, "[%s]:%s", host, port);
    else
        (void)snprintf(text, ADDR_TEXT_BYTES, "%s:%s", host, port);
    return text;
}
