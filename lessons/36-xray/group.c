#define _GNU_SOURCE

#include "group.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* ---- addresses ------------------------------------------------------------*/

/* The loopback's network, 127.0.0.0/8, has a broadcast address of its own. */
bool group_is_broadcast(int family, const struct packet_end *end) {
    static const uint8_t all[4] = {255, 255, 255, 255};
    static const uint8_t loopback[4] = {127, 255, 255, 255};
    if (family != AF_INET)
        return false;
    return memcmp(end->address, all, sizeof all) == 0 ||
           memcmp(end->address, loopback, sizeof loopback) == 0;
}

/* RFC 5771, section 3, and RFC 4291, section 2.7. */
bool group_is(int family, const struct packet_end *end) {
    uint8_t first = end->address[0];
    if (family == AF_INET6)
        return first == 0xff;
    bool is_multicast = first >= 224 && first <= 239;
    return is_multicast || group_is_broadcast(family, end);
}

/* ---- options --------------------------------------------------------------*/

/* Reads a struct ip_mreqn; or a struct ip_mreq, which is the same without the
 * number of an interface at its end. */
static bool parse_mreq(struct group_change *change, const uint8_t *value,
                       size_t length) {
    struct ip_mreqn request = {0};
    if (length < sizeof(struct ip_mreq))
        return false;
    if (length < sizeof request)
        memcpy(&request, value, sizeof(struct ip_mreq));
    else
        memcpy(&request, value, sizeof request);
    change->family = AF_INET;
    memcpy(change->group.address, &request.imr_multiaddr, 4);
    memcpy(change->interface.address, &request.imr_address, 4);
    change->index = (unsigned)request.imr_ifindex;
    return true;
}

/* Reads a struct ip_mreq_source. Its source is not shown. */
static bool parse_mreq_source(struct group_change *change, const uint8_t *value,
                              size_t length) {
    struct ip_mreq_source request;
    if (length < sizeof request)
        return false;
    memcpy(&request, value, sizeof request);
    change->family = AF_INET;
    memcpy(change->group.address, &request.imr_multiaddr, 4);
    memcpy(change->interface.address, &request.imr_interface, 4);
    return true;
}

static bool parse_mreq6(struct group_change *change, const uint8_t *value,
                        size_t length) {
    struct ipv6_mreq request;
    if (length < sizeof request)
        return false;
    memcpy(&request, value, sizeof request);
    change->family = AF_INET6;
    memcpy(change->group.address, &request.ipv6mr_multiaddr, 16);
    change->index = request.ipv6mr_interface;
    return true;
}

/* Reads a struct group_req, with which a group_source_req begins too. */
static bool parse_any(struct group_change *change, const uint8_t *value,
                      size_t length) {
    struct group_req request;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (length < sizeof request)
        return false;
    memcpy(&request, value, sizeof request);
    change->family = request.gr_group.ss_family;
    if (change->family == AF_INET) {
        memcpy(&in, &request.gr_group, sizeof in);
        memcpy(change->group.address, &in.sin_addr, sizeof in.sin_addr);
    } else if (change->family == AF_INET6) {
        memcpy(&in6, &request.gr_group, sizeof in6);
        memcpy(change->group.address, &in6.sin6_addr, sizeof in6.sin6_addr);
    } else {
        return false;
    }
    change->index = request.gr_interface;
    return true;
}

static bool parse_for_both(struct group_change *change, unsigned option,
                           const uint8_t *value, size_t length) {
    switch (option) {
    case MCAST_JOIN_GROUP:
    case MCAST_JOIN_SOURCE_GROUP:
        change->joins = true;
        return parse_any(change, value, length);
    case MCAST_LEAVE_GROUP:
    case MCAST_LEAVE_SOURCE_GROUP:
        return parse_any(change, value, length);
    default:
        return false;
    }
}

static bool parse_ipv4(struct group_change *change, unsigned option,
                       const uint8_t *value, size_t length) {
    switch (option) {
    case IP_ADD_MEMBERSHIP:
        change->joins = true;
        return parse_mreq(change, value, length);
    case IP_DROP_MEMBERSHIP:
        return parse_mreq(change, value, length);
    case IP_ADD_SOURCE_MEMBERSHIP:
        change->joins = true;
        return parse_mreq_source(change, value, length);
    case IP_DROP_SOURCE_MEMBERSHIP:
        return parse_mreq_source(change, value, length);
    default:
        return parse_for_both(change, option, value, length);
    }
}

static bool parse_ipv6(struct group_change *change, unsigned option,
                       const uint8_t *value, size_t length) {
    switch (option) {
    case IPV6_JOIN_GROUP:
        change->joins = true;
        return parse_mreq6(change, value, length);
    case IPV6_LEAVE_GROUP:
        return parse_mreq6(change, value, length);
    default:
        return parse_for_both(change, option, value, length);
    }
}

bool group_parse(struct group_change *change, int level, unsigned option,
                 const uint8_t *value, size_t length) {
    struct group_change read = {0};
    bool is_change = false;
    if (level == IPPROTO_IP)
        is_change = parse_ipv4(&read, option, value, length);
    else if (level == IPPROTO_IPV6)
        is_change = parse_ipv6(&read, option, value, length);
    if (is_change)
        *change = read;
    return is_change;
}

static void write_address(FILE *out, int family, const struct packet_end *end) {
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(family, end->address, text, sizeof text);
    (void)fputs(text, out);
}

void group_write(FILE *out, const struct group_change *change) {
    static const uint8_t none[sizeof change->interface.address];
    write_address(out, change->family, &change->group);
    if (change->index != 0) {
        (void)fprintf(out, " on interface %u", change->index);
    } else if (memcmp(change->interface.address, none, sizeof none) != 0) {
        (void)fputs(" on ", out);
        write_address(out, change->family, &change->interface);
    }
}
