/* addr: turns addresses as people write them into the kernel's, and back. */
#define _GNU_SOURCE

#include "addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    LARGEST_PORT = 65535,
    PORT_TEXT_BYTES = sizeof "65535", /* the digits, and a NUL */
    /* An address, and its zone: "%" and the name of an interface. */
    HOST_TEXT_BYTES = INET6_ADDRSTRLEN + 16,
};

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
        /* Checked after each digit, so that value never overflows. */
        if (value > LARGEST_PORT)
            return fail_as_invalid();
    }
    if (value < smallest)
        return fail_as_invalid();
    *port = (in_port_t)value;
    return 0;
}

/* Searches the bytes from start up to, but not including, end. Returns a
 * pointer to the first one that is equal to byte, or NULL if there is none. */
static const char *find_byte(const char *start, const char *end, char byte) {
    return memchr(start, byte, (size_t)(end - start));
}

int addr_split(const char *text, size_t length, const char **host,
               size_t *host_length, const char **port, size_t *port_length) {
    const char *end = text + length;
    const char *host_start = text;
    const char *host_end;
    const char *colon; /* the colon before the port */

    /* If the caller makes a C string of the host, that string ends at a NUL,
     * and names another host. */
    if (find_byte(text, end, '\0') != NULL)
        return fail_as_invalid();
    if (length > 0 && text[0] == '[') {
        host_start = text + 1;
        host_end = find_byte(host_start, end, ']');
        if (host_end == NULL)
            return fail_as_invalid();
        /* Every IPv6 address has a colon. */
        if (find_byte(host_start, host_end, ':') == NULL)
            return fail_as_invalid();
        colon = host_end + 1;
        if (colon == end || *colon != ':')
            return fail_as_invalid();
    } else {
        host_end = find_byte(text, end, ':');
        if (host_end == NULL)
            return fail_as_invalid();
        colon = host_end;
    }

    const char *port_start = colon + 1;
    if (host_start == host_end) /* the host is empty */
        return fail_as_invalid();
    if (port_start == end) /* the port is empty */
        return fail_as_invalid();
    if (find_byte(port_start, end, ':') != NULL)
        return fail_as_invalid();
    /* No bracket may stand inside of the host. */
    if (find_byte(host_start, host_end, '[') != NULL)
        return fail_as_invalid();
    if (find_byte(host_start, host_end, ']') != NULL)
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

    /* getaddrinfo would read 65536 as 0, and in some libraries it accepts a
     * sign or a blank before the digits. So we check the port first. */
    if (addr_parse_port(port, strlen(port), 0, &number) < 0)
        return EAI_SERVICE;
    return getaddrinfo(host, port, &hints, list);
}

size_t addr_count(const struct addrinfo *list) {
    size_t count = 0;
    while (list != NULL) {
        count++;
        list = list->ai_next;
    }
    return count;
}

static const char *format_family(sa_family_t family, char *text) {
    (void)snprintf(text, ADDR_TEXT_BYTES, "family %d", family);
    return text;
}

const char *addr_format(const struct sockaddr *address, socklen_t length,
                        char *text) {
    char host[HOST_TEXT_BYTES];
    char port[PORT_TEXT_BYTES];
    sa_family_t family = AF_UNSPEC;

    if (length >= sizeof family)
        family = address->sa_family;
    if (family != AF_INET && family != AF_INET6)
        return format_family(family, text);
    /* This fails when the address is cut short. */
    if (getnameinfo(address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return format_family(family, text);
    if (family == AF_INET6)
        (void)snprintf(text, ADDR_TEXT_BYTES, "[%s]:%s", host, port);
    else
        (void)snprintf(text, ADDR_TEXT_BYTES, "%s:%s", host, port);
    return text;
}
