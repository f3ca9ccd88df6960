/* addr: addresses as people write them, as the kernel wants them, and back. */
#define _GNU_SOURCE

#include "addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LARGEST_PORT = 65535, PORT_TEXT_BYTES = sizeof "65535" };

static int invalid(void) {
    errno = EINVAL;
    return -1;
}

int addr_parse_port(const char *text, size_t length, unsigned smallest,
                    in_port_t *port) {
    unsigned value = 0;
    if (length == 0)
        return invalid();
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return invalid();
        value = value * 10 + (unsigned)(text[i] - '0');
        if (value > LARGEST_PORT) /* before another digit could overflow it */
            return invalid();
    }
    if (value < smallest)
        return invalid();
    *port = (in_port_t)value;
    return 0;
}

/* The bytes from start up to end: is this one among them? Where? */
static const char *find(const char *start, const char *end, char byte) {
    return memchr(start, byte, (size_t)(end - start));
}

int addr_split(const char *text, size_t length, const char **host,
               size_t *host_length, const char **port, size_t *port_length) {
    const char *end = text + length;
    const char *start = text;
    const char *stop = find(text, end, ':'); /* the first byte after the host */
    const char *colon = stop;

    if (length > 0 && *text == '[') {
        start = text + 1;
        stop = find(start, end, ']');
        if (stop == NULL || find(start, stop, ':') == NULL)
            return invalid();
        colon = stop + 1;
    }
    if (colon == NULL || colon >= end || *colon != ':' || start == stop ||
        colon + 1 == end || find(colon + 1, end, ':') != NULL)
        return invalid();
    /* A bracket more than the two; or where a C string would end, and be
     * another name. */
    if (find(start, stop, '[') != NULL || find(start, stop, ']') != NULL ||
        find(text, end, '\0') != NULL)
        return invalid();
    *host = start;
    *host_length = (size_t)(stop - start);
    *port = colon + 1;
    *port_length = (size_t)(end - *port);
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

    /* getaddrinfo takes 65536 for 0, and some a sign or a blank. */
    if (addr_parse_port(port, strlen(port), 0, &number) < 0)
        return EAI_SERVICE;
    return getaddrinfo(host, port, &hints, list);
}

const char *addr_format(const struct sockaddr *address, socklen_t length,
                        char *text) {
    char host[ADDR_TEXT_BYTES - PORT_TEXT_BYTES - sizeof "[]:"];
    char port[PORT_TEXT_BYTES];
    sa_family_t family = AF_UNSPEC;

    if (length >= sizeof family)
        family = address->sa_family;
    if ((family != AF_INET && family != AF_INET6) ||
        getnameinfo(address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(text, ADDR_TEXT_BYTES, "family %d", family);
    else if (family == AF_INET6)
        (void)snprintf(text, ADDR_TEXT_BYTES, "[%s]:%s", host, port);
    else
        (void)snprintf(text, ADDR_TEXT_BYTES, "%s:%s", host, port);
    return text;
}
