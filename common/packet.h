/*
 * packet: what a frame on the wire says: Ethernet, IPv4, IPv6, TCP, UDP, ICMP.
 * Built by lesson 35.
 */
#ifndef COMMON_PACKET_H
#define COMMON_PACKET_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum packet_kind {
    PACKET_OTHER, /* not IP, or cut or damaged before we could tell */
    PACKET_TCP,
    PACKET_UDP,
    PACKET_ICMP, /* ICMP, or ICMPv6 where family is AF_INET6 */
    PACKET_IP,   /* IP that carries something else, or a later fragment */
};

enum {
    PACKET_FIN = 1,
    PACKET_SYN = 2,
    PACKET_RST = 4,
    PACKET_PSH = 8,
    PACKET_ACK = 16,
    PACKET_URG = 32,
};

/* One end: an address in network order (IPv4: the first four bytes), and a
 * port in host order. */
struct packet_end {
    uint8_t address[16];
    in_port_t port;
};

struct packet {
    enum packet_kind kind;
    int family;        /* AF_INET, AF_INET6, or 0 */
    unsigned protocol; /* IPPROTO_TCP and so on */
    struct packet_end from, to;
    unsigned flags; /* TCP: PACKET_SYN and so on */
    uint32_t sequence, acknowledgement;
    uint16_t window;
    unsigned icmp_type, icmp_code;
    const uint8_t *payload;  /* within the frame, or NULL */
    size_t payload_length;   /* as the headers say */
    size_t payload_captured; /* how much of that is in the frame */
    const char *flaw; /* NULL, or what is wrong: "cut in the TCP header" */

    unsigned ethertype; /* what the frame carries: 0x0800 is IPv4 */
    int is_fragment;    /* 1 where IP carries a piece of something only */
};

/*
 * Reads an Ethernet frame of which captured bytes are at hand, out of length on
 * the wire (captured, if that is more). Never reads beyond captured. What
 * cannot be read is left 0, and packet->flaw says why, a text that is never
 * freed: "cut in ..." where the capture ends too early, or else what is
 * damaged. Returns 0, or -1 when there is a flaw. A payload of which only a
 * part was captured is no flaw, and neither is a frame that is not IP. Tags of
 * virtual networks (802.1Q) and IPv6's extension headers are passed over; of a
 * datagram in fragments only the first has ports. Checksums are not looked at:
 * what this machine sends has none before the network card adds it.
 * (RFC 791, 8200, 9293, 768, 792, 4443)
 */
int packet_parse(struct packet *packet, const uint8_t *frame, size_t captured,
                 size_t length);

#endif
