#include "segment.h"

#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "handshake.h"
#include "head.h"
#include "lookup.h"

enum {
    ETHERNET_BYTES = 14, /* of the header of a frame */
    ETHERNET_TYPE = 12,  /* where in it stands what the frame carries */
    MOST_INNER = 128,    /* bytes of a datagram within an ICMP message */
};

/* From RFC 792 and RFC 4443, sections 3.1. */
enum {
    UNREACHABLE = 3,
    PORT_UNREACHABLE = 3,
    UNREACHABLE6 = 1,
    PORT_UNREACHABLE6 = 4,
};

static const struct {
    unsigned flag;
    const char *name;
} flags[] = {
    {PACKET_SYN, "SYN"}, {PACKET_FIN, "FIN"}, {PACKET_RST, "RST"},
    {PACKET_PSH, "PSH"}, {PACKET_ACK, "ACK"}, {PACKET_URG, "URG"},
};

bool segment_is_shown(const struct packet *packet) {
    switch (packet->kind) {
    case PACKET_TCP:
    case PACKET_UDP:
    case PACKET_ICMP:
        return true;
    default:
        return false;
    }
}

/* ---- ICMP -----------------------------------------------------------------*/

static bool is_unreachable(const struct packet *packet) {
    if (packet->family == AF_INET6)
        return packet->icmp_type == UNREACHABLE6;
    return packet->icmp_type == UNREACHABLE;
}

static bool is_port_unreachable(const struct packet *packet) {
    if (!is_unreachable(packet))
        return false;
    if (packet->family == AF_INET6)
        return packet->icmp_code == PORT_UNREACHABLE6;
    return packet->icmp_code == PORT_UNREACHABLE;
}

/* Reads the datagram that an ICMP message brings back. packet_parse wants a
 * frame, so we put an Ethernet header before it. */
static void parse_inner(const struct packet *packet, struct packet *inner) {
    uint8_t frame[ETHERNET_BYTES + MOST_INNER] = {0};
    size_t length = packet->payload_captured;
    if (length > MOST_INNER)
        length = MOST_INNER;
    frame[ETHERNET_TYPE] = 0x08; /* 0x0800 is IPv4 */
    if (packet->family == AF_INET6) {
        frame[ETHERNET_TYPE] = 0x86; /* 0x86dd is IPv6 */
        frame[ETHERNET_TYPE + 1] = 0xdd;
    }
    memcpy(frame + ETHERNET_BYTES, packet->payload, length);
    (void)packet_parse(inner, frame, ETHERNET_BYTES + length,
                       ETHERNET_BYTES + length);
}

void segment_find_ends(const struct packet *packet, struct packet_end *from,
                       struct packet_end *to) {
    struct packet inner;
    *from = packet->from;
    *to = packet->to;
    if (packet->kind != PACKET_ICMP || !is_unreachable(packet))
        return;
    parse_inner(packet, &inner);
    *from = inner.to;
    *to = inner.from;
}

/* ---- words ----------------------------------------------------------------*/

static void write_icmp(FILE *out, const struct packet *packet) {
    (void)fprintf(out, "ICMP %u, %u", packet->icmp_type, packet->icmp_code);
    if (is_port_unreachable(packet))
        (void)fputs(": port unreachable", out);
}

/* Writes the bytes, and how many they are if not all of them are shown. */
static void write_payload(FILE *out, const struct packet *packet) {
    bytes_write(out, packet->payload, packet->payload_captured,
                packet->payload_length);
    if (packet->payload_length > BYTES_AS_TEXT)
        (void)fprintf(out, " %zu bytes", packet->payload_length);
}

/* Writes what TLS records there are; returns whether there are any. */
static bool write_tls(FILE *out, const struct packet *packet) {
    char text[HANDSHAKE_TEXT_BYTES];
    if (handshake_describe(packet->payload, packet->payload_captured,
                           packet->payload_length, text) == NULL)
        return false;
    (void)fputs(text, out);
    return true;
}

/* Writes what a message of DNS says; returns whether the payload is one. */
static bool write_lookup(FILE *out, const struct packet *packet,
                         enum lookup_carrier carrier) {
    bool is_whole = packet->payload_captured == packet->payload_length;
    return is_whole &&
           lookup_write(out, packet->payload, packet->payload_length, carrier);
}

/* Writes the payload of a segment, which is not empty: its name, if we know the
 * protocol, or else its bytes. Returns its step: see socks.h. */
static enum socks_step write_data(FILE *out, const struct packet *packet,
                                  enum socks_step before) {
    const uint8_t *bytes = packet->payload;
    size_t captured = packet->payload_captured;
    if (captured == packet->payload_length) {
        enum socks_step step = socks_write(out, before, bytes, captured);
        if (step != SOCKS_OTHER)
            return step;
    }
    bool is_named = write_tls(out, packet) ||
                    head_write(out, bytes, captured) ||
                    write_lookup(out, packet, LOOKUP_STREAM);
    if (!is_named)
        write_payload(out, packet);
    return SOCKS_OTHER;
}

/* Writes the flags of a segment, with blanks between them. */
static void write_flags(FILE *out, const struct packet *packet) {
    const char *separator = "";
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if ((packet->flags & flags[i].flag) == 0)
            continue;
        (void)fprintf(out, "%s%s", separator, flags[i].name);
        separator = " ";
    }
}

static enum socks_step write_tcp(FILE *out, const struct packet *packet,
                                 enum socks_step before) {
    bool is_syn = (packet->flags & PACKET_SYN) != 0;
    bool is_ack = (packet->flags & PACKET_ACK) != 0;
    write_flags(out, packet);
    if (packet->payload_length > 0) {
        if (packet->flags != 0)
            (void)fputc(' ', out);
        return write_data(out, packet, before);
    }
    if (is_syn && is_ack)
        return SOCKS_ACCEPTS;
    return SOCKS_SILENCE;
}

static void write_udp(FILE *out, const struct packet *packet) {
    (void)fputs("UDP ", out);
    if (!write_lookup(out, packet, LOOKUP_DATAGRAM))
        write_payload(out, packet);
}

enum socks_step segment_write(FILE *out, const struct packet *packet,
                              enum socks_step before) {
    switch (packet->kind) {
    case PACKET_TCP:
        return write_tcp(out, packet, before);
    case PACKET_UDP:
        write_udp(out, packet);
        break;
    case PACKET_ICMP:
        write_icmp(out, packet);
        break;
    default:
        break;
    }
    return SOCKS_SILENCE;
}
