/* packet: what a frame on the wire says, header by header. */
#define _GNU_SOURCE

#include "packet.h"

#include <string.h>

enum { /* bytes of a header without its options */
       ETHERNET_BYTES = 14,
       TAG_BYTES = 4,
       IPV4_BYTES = 20,
       IPV6_BYTES = 40,
       TCP_BYTES = 20,
       UDP_BYTES = 8,
       ICMP_BYTES = 8,
       EXTENSION_BYTES = 8,
};

enum { /* what a frame carries */
       ETHERTYPE_IPV4 = 0x0800,
       ETHERTYPE_IPV6 = 0x86dd,
       ETHERTYPE_TAG = 0x8100,
       ETHERTYPE_OUTER_TAG = 0x88a8,
};

enum { IPV4_MORE_FRAGMENTS = 0x2000, IPV4_OFFSET = 0x1fff, IPV6_OFFSET = ~7 };

/* What is left to read: length bytes were sent, captured of them we have. */
struct rest {
    const uint8_t *bytes;
    size_t captured;
    size_t length;
};

/* The wire is big-endian, whatever this machine is. */
static unsigned read16(const uint8_t *bytes) {
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static uint32_t read32(const uint8_t *bytes) {
    return (uint32_t)read16(bytes) << 16 | read16(bytes + 2);
}

static int flawed(struct packet *packet, const char *flaw) {
    packet->flaw = flaw;
    return -1;
}

/* Before any byte is read: are there that many? If not, who is to blame? */
static int need(struct packet *packet, const struct rest *rest, size_t bytes,
                const char *cut, const char *damaged) {
    if (rest->length < bytes)
        return flawed(packet, damaged);
    if (rest->captured < bytes)
        return flawed(packet, cut);
    return 0;
}

static void skip(struct rest *rest, size_t bytes) {
    rest->bytes += bytes;
    rest->captured -= bytes;
    rest->length -= bytes;
}

/* A frame may be longer than what it carries: short ones are padded. */
static void shorten(struct rest *rest, size_t length) {
    rest->length = length;
    if (rest->captured > length)
        rest->captured = length;
}

static int parse_payload(struct packet *packet, const struct rest *rest) {
    packet->payload = rest->bytes;
    packet->payload_length = rest->length;
    packet->payload_captured = rest->captured;
    return 0;
}

static int parse_tcp(struct packet *packet, struct rest *rest) {
    static const char cut[] = "cut in the TCP header";
    static const char damaged[] = "too short for its TCP header";
    if (need(packet, rest, TCP_BYTES, cut, damaged) < 0)
        return -1;
    const uint8_t *tcp = rest->bytes;
    packet->from.port = (in_port_t)read16(tcp);
    packet->to.port = (in_port_t)read16(tcp + 2);
    packet->sequence = read32(tcp + 4);
    packet->acknowledgement = read32(tcp + 8);
    packet->flags = tcp[13] & 0x3f;
    packet->window = (uint16_t)read16(tcp + 14);

    size_t header = (size_t)(tcp[12] >> 4) * 4; /* with its options */
    if (header < TCP_BYTES)
        return flawed(packet, "a TCP header of under 20 bytes");
    if (need(packet, rest, header, cut, damaged) < 0)
        return -1;
    skip(rest, header);
    return parse_payload(packet, rest);
}

static int parse_udp(struct packet *packet, struct rest *rest) {
    if (need(packet, rest, UDP_BYTES, "cut in the UDP header",
             "too short for its UDP header") < 0)
        return -1;
    packet->from.port = (in_port_t)read16(rest->bytes);
    packet->to.port = (in_port_t)read16(rest->bytes + 2);

    size_t length = read16(rest->bytes + 4);
    if (length < UDP_BYTES)
        return flawed(packet, "a UDP length of under 8 bytes");
    if (length > rest->length && !packet->is_fragment)
        return flawed(packet, "a UDP length beyond its packet");
    if (length < rest->length)
        shorten(rest, length);
    skip(rest, UDP_BYTES);
    return parse_payload(packet, rest);
}

static int parse_icmp(struct packet *packet, struct rest *rest) {
    if (need(packet, rest, ICMP_BYTES, "cut in the ICMP header",
             "too short for its ICMP header") < 0)
        return -1;
    packet->icmp_type = rest->bytes[0];
    packet->icmp_code = rest->bytes[1];
    skip(rest, ICMP_BYTES);
    return parse_payload(packet, rest);
}

/* The one thing that IPv4 and IPv6 carry alike. Of a datagram in fragments,
 * only the first has the header that says the ports. */
static int parse_carried(struct packet *packet, struct rest *rest,
                         unsigned fragment_offset) {
    unsigned icmp = packet->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    packet->kind = PACKET_IP;
    if (fragment_offset > 0)
        return parse_payload(packet, rest);
    if (packet->protocol == IPPROTO_TCP) {
        packet->kind = PACKET_TCP;
        return parse_tcp(packet, rest);
    }
    if (packet->protocol == IPPROTO_UDP) {
        packet->kind = PACKET_UDP;
        return parse_udp(packet, rest);
    }
    if (packet->protocol == icmp) {
        packet->kind = PACKET_ICMP;
        return parse_icmp(packet, rest);
    }
    return parse_payload(packet, rest);
}

static int parse_ipv4(struct packet *packet, struct rest *rest) {
    static const char cut[] = "cut in the IPv4 header";
    static const char damaged[] = "too short for its IPv4 header";
    if (need(packet, rest, IPV4_BYTES, cut, damaged) < 0)
        return -1;
    const uint8_t *ip = rest->bytes;
    if (ip[0] >> 4 != 4)
        return flawed(packet, "an IPv4 header of another version");
    packet->family = AF_INET;
    packet->protocol = ip[9];
    memcpy(packet->from.address, ip + 12, 4);
    memcpy(packet->to.address, ip + 16, 4);
    unsigned fragment = read16(ip + 6);
    packet->is_fragment = (fragment & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET)) != 0;

    size_t header = (size_t)(ip[0] & 15) * 4; /* with its options */
    size_t length = read16(ip + 2);
    if (header < IPV4_BYTES)
        return flawed(packet, "an IPv4 header of under 20 bytes");
    if (length < header)
        return flawed(packet, "an IPv4 length below its header's");
    if (length > rest->length)
        return flawed(packet, "an IPv4 length beyond the frame");
    shorten(rest, length);
    if (need(packet, rest, header, cut, damaged) < 0)
        return -1;
    skip(rest, header);
    return parse_carried(packet, rest, fragment & IPV4_OFFSET);
}

/* IPv6 chains headers: each names the kind of the next one. Those that stand
 * between IPv6 and what it carries all begin with that, and their own length;
 * in which unit it is, is the one thing to know of each. */
static int parse_extensions(struct packet *packet, struct rest *rest) {
    static const char cut[] = "cut in an IPv6 extension header";
    static const char damaged[] = "too short for its IPv6 extension header";
    unsigned offset = 0;
    for (;;) {
        int is_fragment = packet->protocol == IPPROTO_FRAGMENT;
        int is_authentication = packet->protocol == IPPROTO_AH;
        if (offset > 0 || (packet->protocol != IPPROTO_HOPOPTS &&
                           packet->protocol != IPPROTO_ROUTING &&
                           packet->protocol != IPPROTO_DSTOPTS &&
                           !is_fragment && !is_authentication))
            return parse_carried(packet, rest, offset);
        if (need(packet, rest, EXTENSION_BYTES, cut, damaged) < 0)
            return -1;
        const uint8_t *extension = rest->bytes;
        size_t length = 8 + (size_t)extension[1] * 8; /* RFC 8200, 4.3 */
        if (is_authentication)
            length = 8 + (size_t)extension[1] * 4; /* RFC 4302, 2.2 */
        if (is_fragment) {
            length = EXTENSION_BYTES;
            offset = read16(extension + 2) & (unsigned)IPV6_OFFSET;
            packet->is_fragment = (read16(extension + 2) & ~6U) != 0;
        }
        if (need(packet, rest, length, cut, damaged) < 0)
            return -1;
        packet->protocol = extension[0];
        skip(rest, length);
    }
}

static int parse_ipv6(struct packet *packet, struct rest *rest) {
    if (need(packet, rest, IPV6_BYTES, "cut in the IPv6 header",
             "too short for its IPv6 header") < 0)
        return -1;
    const uint8_t *ip = rest->bytes;
    if (ip[0] >> 4 != 6)
        return flawed(packet, "an IPv6 header of another version");
    packet->family = AF_INET6;
    packet->protocol = ip[6];
    memcpy(packet->from.address, ip + 8, 16);
    memcpy(packet->to.address, ip + 24, 16);

    size_t length = read16(ip + 4); /* without this header */
    skip(rest, IPV6_BYTES);
    if (length > rest->length)
        return flawed(packet, "an IPv6 length beyond the frame");
    shorten(rest, length);
    return parse_extensions(packet, rest);
}

int packet_parse(struct packet *packet, const uint8_t *frame, size_t captured,
                 size_t length) {
    struct rest rest = {frame, captured, length > captured ? length : captured};
    memset(packet, 0, sizeof *packet);
    if (need(packet, &rest, ETHERNET_BYTES, "cut in the Ethernet header",
             "too short for an Ethernet header") < 0)
        return -1;
    unsigned type = read16(frame + 12); /* after where to and where from */
    skip(&rest, ETHERNET_BYTES);
    while (type == ETHERTYPE_TAG || type == ETHERTYPE_OUTER_TAG) {
        if (need(packet, &rest, TAG_BYTES, "cut in a tag of a virtual network",
                 "too short for its tag of a virtual network") < 0)
            return -1;
        type = read16(rest.bytes + 2);
        skip(&rest, TAG_BYTES);
    }
    packet->ethertype = type;
    if (type == ETHERTYPE_IPV4)
        return parse_ipv4(packet, &rest);
    if (type == ETHERTYPE_IPV6)
        return parse_ipv6(packet, &rest);
    return parse_payload(packet, &rest);
}
