#include "segment.h"

#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "handshake.h"

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
    if (packet->payload_captured == 0)
        return false;
    if (handshake_describe(packet->payload, packet->payload_captured,
                           packet->payload_length, text) == NULL)
        return false;
    (void)fputs(text, out);
    return true;
}

static void write_tcp(FILE *out, const struct packet *packet) {
    const char *separator = "";
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if ((packet->flags & flags[i].flag) == 0)
            continue;
        (void)fprintf(out, "%s%s", separator, flags[i].name);
        separator = " ";
    }
    if (packet->payload_length == 0)
        return;
    (void)fputs(separator, out);
    if (!write_tls(out, packet))
        write_payload(out, packet);
}

void segment_write(FILE *out, const struct packet *packet) {
    switch (packet->kind) {
    case PACKET_TCP:
        write_tcp(out, packet);
        break;
    case PACKET_UDP:
        (void)fputs("UDP ", out);
        write_payload(out, packet);
        break;
    case PACKET_ICMP:
        write_icmp(out, packet);
        break;
    default:
        break;
    }
}
