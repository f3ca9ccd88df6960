/* packet: reads what a frame on the wire says, header by header. */
#define _GNU_SOURCE

#include "packet.h"

#include "addr.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The bytes of each header, without its options. */
enum {
    ETHERNET_BYTES = 14,
    TAG_BYTES = 4,
    IPV4_BYTES = 20,
    IPV6_BYTES = 40,
    TCP_BYTES = 20,
    UDP_BYTES = 8,
    ICMP_BYTES = 8,
    EXTENSION_BYTES = 8,
};

/* What a frame carries. */
enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_TAG = 0x8100,
    ETHERTYPE_OUTER_TAG = 0x88a8,
};

/* The 16 bits about fragments. The offset is the low 13 of them in IPv4, and
 * the high 13 in IPv6. */
enum {
    IPV4_MORE_FRAGMENTS = 0x2000,
    IPV4_OFFSET = 0x1fff,
    IPV6_MORE_FRAGMENTS = 0x0001,
    IPV6_OFFSET = 0xfff8,
};

enum {
    TCP_FLAG_BITS = 0x3f, /* the six flags that we know */
    WORD_BYTES = 4,       /* IPv4 and TCP give their header's length in words */
    LONGEST =
        UINT16_MAX, /* a packet that IPv4 or IPv6 can give the length of */
};

/* The part of the frame that we have not read yet. */
struct rest {
    const uint8_t *bytes;
    size_t captured; /* how many bytes are there to be read */
    size_t length;   /* how many bytes were sent: captured, or more */
};

/* The wire is big-endian, whatever this machine is. */
static unsigned read16(const uint8_t *bytes) {
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* Two numbers of 4 bits may share a byte. */
static unsigned read_high4(const uint8_t *byte) {
    return *byte >> 4;
}

static unsigned read_low4(const uint8_t *byte) {
    return *byte & 15;
}

static uint32_t read32(const uint8_t *bytes) {
    return (uint32_t)read16(bytes) << 16 | read16(bytes + 2);
}

/* Always returns -1, which is what its callers return then. */
static int set_flaw(struct packet *packet, const char *flaw) {
    packet->flaw = flaw;
    return -1;
}

/* Call this before you read a header: are all its bytes there? If not, either
 * the packet is too short (damaged), or only the capture is (cut). */
static int require_bytes(struct packet *packet, const struct rest *rest,
                         size_t bytes, const char *cut, const char *damaged) {
    if (rest->length < bytes)
        return set_flaw(packet, damaged);
    if (rest->captured < bytes)
        return set_flaw(packet, cut);
    return 0;
}

/* Passes over a header that require_bytes has found to be there. */
static void skip_bytes(struct rest *rest, size_t bytes) {
    rest->bytes += bytes;
    rest->captured -= bytes;
    rest->length -= bytes;
}

/* Cuts off what stands behind the first length bytes. A frame may be longer
 * than the packet in it, because Ethernet pads short ones. */
static void shorten(struct rest *rest, size_t length) {
    rest->length = length;
    if (rest->captured > length)
        rest->captured = length;
}

/* What is left now is the payload. */
static void set_payload(struct packet *packet, const struct rest *rest) {
    packet->payload = rest->bytes;
    packet->payload_length = rest->length;
    packet->payload_captured = rest->captured;
}

/* The numbers in the functions below, such as 13 in tcp[13], say at which byte
 * of its header a field begins. They are those of the RFCs in packet.h. */

static int parse_tcp(struct packet *packet, struct rest *rest) {
    static const char cut[] = "cut in the TCP header";
    static const char damaged[] = "too short for its TCP header";
    if (require_bytes(packet, rest, TCP_BYTES, cut, damaged) < 0)
        return -1;
    const uint8_t *tcp = rest->bytes;
    packet->from.port = (in_port_t)read16(tcp);
    packet->to.port = (in_port_t)read16(tcp + 2);
    packet->sequence = read32(tcp + 4);
    packet->acknowledgement = read32(tcp + 8);
    packet->flags = tcp[13] & TCP_FLAG_BITS;
    packet->window = (uint16_t)read16(tcp + 14);

    /* How long the header is, with its options. */
    size_t header = (size_t)read_high4(tcp + 12) * WORD_BYTES;
    if (header < TCP_BYTES)
        return set_flaw(packet, "a TCP header of under 20 bytes");
    if (require_bytes(packet, rest, header, cut, damaged) < 0)
        return -1;
    skip_bytes(rest, header);
    set_payload(packet, rest);
    return 0;
}

static int parse_udp(struct packet *packet, struct rest *rest) {
    if (require_bytes(packet, rest, UDP_BYTES, "cut in the UDP header",
                      "too short for its UDP header") < 0)
        return -1;
    packet->from.port = (in_port_t)read16(rest->bytes);
    packet->to.port = (in_port_t)read16(rest->bytes + 2);

    size_t length = read16(rest->bytes + 4); /* with this header */
    if (length < UDP_BYTES)
        return set_flaw(packet, "a UDP length of under 8 bytes");
    /* A first fragment has only a part of its datagram, but this is the length
     * of the whole datagram. */
    if (length > rest->length && !packet->is_fragment)
        return set_flaw(packet, "a UDP length beyond its packet");
    if (length < rest->length)
        shorten(rest, length);
    skip_bytes(rest, UDP_BYTES);
    set_payload(packet, rest);
    return 0;
}

static int parse_icmp(struct packet *packet, struct rest *rest) {
    if (require_bytes(packet, rest, ICMP_BYTES, "cut in the ICMP header",
                      "too short for its ICMP header") < 0)
        return -1;
    packet->icmp_type = rest->bytes[0];
    packet->icmp_code = rest->bytes[1];
    skip_bytes(rest, ICMP_BYTES);
    set_payload(packet, rest);
    return 0;
}

/* IPv4 and IPv6 carry the same protocols, except that each has its own ICMP.
 * Only the first fragment of a datagram, at offset 0, has the header with the
 * ports. */
static int parse_carried(struct packet *packet, struct rest *rest,
                         unsigned fragment_offset) {
    unsigned icmp = IPPROTO_ICMP;
    if (packet->family == AF_INET6)
        icmp = IPPROTO_ICMPV6;

    packet->kind = PACKET_IP;
    if (fragment_offset > 0) {
        set_payload(packet, rest);
        return 0;
    }
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
    set_payload(packet, rest);
    return 0;
}

/* Returns the length that an IP header gives: in IPv4 that of the whole packet,
 * in IPv6 that of what follows the header. field is the number in the header,
 * of 16 bits. A kernel with BIG TCP makes packets that are too long for such a
 * number, and writes a 0. They never reach a wire in this form, so there is no
 * padding: all of the frame belongs to the packet. */
static size_t packet_length(unsigned field, const struct rest *rest) {
    if (field == 0 && rest->length > LONGEST)
        return rest->length;
    return field;
}

static int parse_ipv4(struct packet *packet, struct rest *rest) {
    static const char cut[] = "cut in the IPv4 header";
    static const char damaged[] = "too short for its IPv4 header";
    if (require_bytes(packet, rest, IPV4_BYTES, cut, damaged) < 0)
        return -1;
    const uint8_t *ip = rest->bytes;
    if (read_high4(ip) != 4)
        return set_flaw(packet, "an IPv4 header of another version");
    packet->family = AF_INET;
    packet->protocol = ip[9];
    memcpy(packet->from.address, ip + 12, 4);
    memcpy(packet->to.address, ip + 16, 4);
    unsigned fragment = read16(ip + 6);
    unsigned fragment_offset = fragment & IPV4_OFFSET;
    bool has_more_fragments = (fragment & IPV4_MORE_FRAGMENTS) != 0;
    packet->is_fragment = has_more_fragments || fragment_offset != 0;

    /* How long the header is, with its options. */
    size_t header = (size_t)read_low4(ip) * WORD_BYTES;
    /* The length of the packet, with this header. */
    size_t length = packet_length(read16(ip + 2), rest);
    if (header < IPV4_BYTES)
        return set_flaw(packet, "an IPv4 header of under 20 bytes");
    if (length < header)
        return set_flaw(packet, "an IPv4 length below its header's");
    if (length > rest->length)
        return set_flaw(packet, "an IPv4 length beyond the frame");
    shorten(rest, length);
    if (require_bytes(packet, rest, header, cut, damaged) < 0)
        return -1;
    skip_bytes(rest, header);
    return parse_carried(packet, rest, fragment_offset);
}

static bool is_extension(unsigned protocol) {
    switch (protocol) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
    case IPPROTO_FRAGMENT:
    case IPPROTO_AH:
        return true;
    default:
        return false;
    }
}

/* The length of an extension header stands in its second byte. The first 8
 * bytes are not counted, and the unit depends on the kind of header. */
static size_t extension_length(unsigned protocol, const uint8_t *extension) {
    switch (protocol) {
    case IPPROTO_FRAGMENT:
        return EXTENSION_BYTES; /* always: RFC 8200, section 4.5 */
    case IPPROTO_AH:
        return EXTENSION_BYTES + (size_t)extension[1] * 4; /* RFC 4302, 2.2 */
    default:
        return EXTENSION_BYTES + (size_t)extension[1] * 8; /* RFC 8200, 4.3 */
    }
}

/* Between the IPv6 header and what it carries, there may be extension headers.
 * The first byte of each says what kind of header is next: RFC 8200, section 4.
 */
static int parse_extensions(struct packet *packet, struct rest *rest) {
    static const char cut[] = "cut in an IPv6 extension header";
    static const char damaged[] = "too short for its IPv6 extension header";
    unsigned offset = 0;

    /* In a fragment that is not the first (its offset is above 0), a piece of
     * the datagram follows, and no further header. */
    while (offset == 0 && is_extension(packet->protocol)) {
        if (require_bytes(packet, rest, EXTENSION_BYTES, cut, damaged) < 0)
            return -1;
        const uint8_t *extension = rest->bytes;
        size_t length = extension_length(packet->protocol, extension);
        if (packet->protocol == IPPROTO_FRAGMENT) {
            unsigned fragment = read16(extension + 2);
            bool has_more_fragments = (fragment & IPV6_MORE_FRAGMENTS) != 0;
            offset = fragment & IPV6_OFFSET;
            packet->is_fragment = has_more_fragments || offset != 0;
        }
        if (require_bytes(packet, rest, length, cut, damaged) < 0)
            return -1;
        packet->protocol = extension[0];
        skip_bytes(rest, length);
    }
    return parse_carried(packet, rest, offset);
}

static int parse_ipv6(struct packet *packet, struct rest *rest) {
    if (require_bytes(packet, rest, IPV6_BYTES, "cut in the IPv6 header",
                      "too short for its IPv6 header") < 0)
        return -1;
    const uint8_t *ip = rest->bytes;
    if (read_high4(ip) != 6)
        return set_flaw(packet, "an IPv6 header of another version");
    packet->family = AF_INET6;
    packet->protocol = ip[6];
    memcpy(packet->from.address, ip + 8, 16);
    memcpy(packet->to.address, ip + 24, 16);

    skip_bytes(rest, IPV6_BYTES);
    /* The length of what is behind this header. */
    size_t length = packet_length(read16(ip + 4), rest);
    if (length > rest->length)
        return set_flaw(packet, "an IPv6 length beyond the frame");
    shorten(rest, length);
    return parse_extensions(packet, rest);
}

int packet_parse(struct packet *packet, const uint8_t *frame, size_t captured,
                 size_t length) {
    struct rest rest = {.bytes = frame, .captured = captured, .length = length};
    if (rest.length < captured)
        rest.length = captured;
    memset(packet, 0, sizeof *packet);
    if (require_bytes(packet, &rest, ETHERNET_BYTES,
                      "cut in the Ethernet header",
                      "too short for an Ethernet header") < 0)
        return -1;
    /* Before the type stand two addresses of 6 bytes: to and from. */
    unsigned type = read16(frame + 12);
    skip_bytes(&rest, ETHERNET_BYTES);
    while (type == ETHERTYPE_TAG || type == ETHERTYPE_OUTER_TAG) {
        if (require_bytes(packet, &rest, TAG_BYTES,
                          "cut in a tag of a virtual network",
                          "too short for its tag of a virtual network") < 0)
            return -1;
        type = read16(rest.bytes + 2);
        skip_bytes(&rest, TAG_BYTES);
    }
    packet->ethertype = type;
    if (type == ETHERTYPE_IPV4)
        return parse_ipv4(packet, &rest);
    if (type == ETHERTYPE_IPV6)
        return parse_ipv6(packet, &rest);
    set_payload(packet, &rest);
    return 0;
}

static bool is_same_end(const struct packet_end *a,
                        const struct packet_end *b) {
    return a->port == b->port &&
           memcmp(a->address, b->address, sizeof a->address) == 0;
}

static bool is_between(const struct packet_connection *connection,
                       const struct packet_end *a, const struct packet_end *b) {
    return is_same_end(&connection->sides[0].end, a) &&
           is_same_end(&connection->sides[1].end, b);
}

/* Returns the connection to which a packet belongs, in either direction. A new
 * connection takes the place of the oldest one. */
static struct packet_connection *find_connection(struct packet_numbers *numbers,
                                                 const struct packet *packet) {
    const struct packet_end *from = &packet->from;
    const struct packet_end *to = &packet->to;
    for (size_t i = 0; i < PACKET_CONNECTIONS; i++) {
        struct packet_connection *known = &numbers->connections[i];
        if (known->family != packet->family)
            continue;
        if (is_between(known, from, to) || is_between(known, to, from))
            return known;
    }
    struct packet_connection *new = &numbers->connections[numbers->next];
    numbers->next = (numbers->next + 1) % PACKET_CONNECTIONS;
    memset(new, 0, sizeof *new);
    new->family = packet->family;
    new->sides[0].end = *from;
    new->sides[1].end = *to;
    return new;
}

static void set_base(struct packet_side *side, uint32_t base) {
    side->has_base = true;
    side->base = base;
}

/* After the largest sequence number comes 0. A subtraction of unsigned numbers
 * counts in the same way, so the differences below are always right. */
void packet_make_relative(struct packet_numbers *numbers,
                          struct packet *packet) {
    if (packet->kind != PACKET_TCP || packet->flaw != NULL)
        return;
    bool is_syn = (packet->flags & PACKET_SYN) != 0;
    bool is_ack = (packet->flags & PACKET_ACK) != 0;
    struct packet_connection *connection = find_connection(numbers, packet);
    struct packet_side *from = &connection->sides[0];
    struct packet_side *to = &connection->sides[1];
    if (!is_same_end(&from->end, &packet->from)) {
        from = &connection->sides[1];
        to = &connection->sides[0];
    }

    /* If we have not seen the SYN, the first number that we see becomes 1. */
    if (is_syn)
        set_base(from, packet->sequence);
    else if (!from->has_base)
        set_base(from, packet->sequence - 1);
    /* A SYN without ACK opens a new connection between the same two ends. What
     * we knew of the other end belongs to the connection before. */
    if (is_syn && !is_ack)
        to->has_base = false;
    /* If an acknowledgement answers a SYN that we have not seen, the number of
     * that SYN is one less. If the connection is older than that, the first
     * acknowledgement that we see becomes 1, too. */
    if (is_ack && !to->has_base)
        set_base(to, packet->acknowledgement - 1);

    packet->sequence -= from->base;
    if (is_ack)
        packet->acknowledgement -= to->base;
}

static const char *format_ipv4_end(const struct packet_end *end, char *text) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(end->port),
    };
    memcpy(&address.sin_addr, end->address, sizeof address.sin_addr);
    return addr_format((const struct sockaddr *)&address, sizeof address, text);
}

static const char *format_ipv6_end(const struct packet_end *end, char *text) {
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(end->port),
    };
    memcpy(&address.sin6_addr, end->address, sizeof address.sin6_addr);
    return addr_format((const struct sockaddr *)&address, sizeof address, text);
}

const char *packet_format_end(const struct packet *packet,
                              const struct packet_end *end, char *text) {
    if (packet->kind != PACKET_TCP && packet->kind != PACKET_UDP)
        return inet_ntop(packet->family, end->address, text, PACKET_TEXT_BYTES);
    if (packet->family == AF_INET)
        return format_ipv4_end(end, text);
    return format_ipv6_end(end, text);
}

/* A text of PACKET_TEXT_BYTES that is being written. */
struct text {
    char *bytes;
    size_t length;
};

/* Appends to the text. If it does not fit, the rest is cut off; but the text
 * has room for the longest that we write. The attribute lets the compiler check
 * the arguments against the format, as it does for printf. */
__attribute__((format(printf, 2, 3))) static void
append(struct text *text, const char *format, ...) {
    size_t room = PACKET_TEXT_BYTES - text->length;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t)length >= room)
        text->length = PACKET_TEXT_BYTES - 1;
    else
        text->length += (size_t)length;
}

static void add_ends(struct text *text, const struct packet *packet) {
    char from[PACKET_TEXT_BYTES];
    char to[PACKET_TEXT_BYTES];
    (void)packet_format_end(packet, &packet->from, from);
    (void)packet_format_end(packet, &packet->to, to);
    append(text, "%s > %s ", from, to);
}

static void add_kind(struct text *text, const struct packet *packet) {
    switch (packet->kind) {
    case PACKET_TCP:
        append(text, "TCP");
        break;
    case PACKET_UDP:
        append(text, "UDP");
        break;
    case PACKET_ICMP:
        if (packet->family == AF_INET)
            append(text, "ICMP");
        else
            append(text, "ICMPv6");
        break;
    case PACKET_IP:
    case PACKET_OTHER:
        /* The kind is also PACKET_OTHER when a flaw ended the reading inside of
         * the IP headers. */
        if (packet->family != 0)
            append(text, "IP protocol %u", packet->protocol);
        else
            append(text, "Ethernet type 0x%04x", packet->ethertype);
        break;
    }
}

static void add_tcp(struct text *text, const struct packet *packet) {
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = {
        {PACKET_FIN, "FIN"}, {PACKET_SYN, "SYN"}, {PACKET_RST, "RST"},
        {PACKET_PSH, "PSH"}, {PACKET_ACK, "ACK"}, {PACKET_URG, "URG"},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if ((packet->flags & flags[i].flag) != 0)
            append(text, " %s", flags[i].name);
    }
    append(text, " seq %u", packet->sequence);
    if ((packet->flags & PACKET_ACK) != 0)
        append(text, " ack %u", packet->acknowledgement);
}

const char *packet_format(const struct packet *packet, char *bytes) {
    struct text text = {.bytes = bytes};
    bool is_whole = packet->flaw == NULL;
    bytes[0] = '\0';
    if (packet->family != 0)
        add_ends(&text, packet);
    add_kind(&text, packet);
    if (is_whole && packet->kind == PACKET_TCP)
        add_tcp(&text, packet);
    if (is_whole && packet->kind == PACKET_ICMP)
        append(&text, " type %u code %u", packet->icmp_type, packet->icmp_code);
    if (packet->is_fragment)
        append(&text, ", a fragment");
    if (!is_whole)
        append(&text, ": %s", packet->flaw);
    else if (packet->payload_length == 1)
        append(&text, ", 1 byte");
    else
        append(&text, ", %zu bytes", packet->payload_length);
    if (packet->payload_captured < packet->payload_length)
        append(&text, ", cut after %zu", packet->payload_captured);
    return bytes;
}
