/*
 * packet: reads what a frame on the wire says: Ethernet, then IPv4 or IPv6,
 * then TCP, UDP or ICMP. Built by lesson 35.
 */
#ifndef COMMON_PACKET_H
#define COMMON_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_kind {
    PACKET_OTHER, /* not IP, or its IP header could not be read */
    PACKET_TCP,
    PACKET_UDP,
    PACKET_ICMP, /* ICMP, or ICMPv6 where family is AF_INET6 */
    PACKET_IP,   /* IP with another protocol, or not the first fragment */
};

/* The flags of a TCP header, as its bits are: RFC 9293, section 3.1. */
enum {
    PACKET_FIN = 1,
    PACKET_SYN = 2,
    PACKET_RST = 4,
    PACKET_PSH = 8,
    PACKET_ACK = 16,
    PACKET_URG = 32,
};

/* Where a packet comes from, or where it goes to. */
struct packet_end {
    uint8_t address[16]; /* in network order; IPv4 has 4 bytes, then zeros */
    in_port_t port;      /* in host order; 0 where there is none */
};

/* What a frame says. Numbers are in host order. A member is 0 where the frame
 * does not have it, or where it could not be read. */
struct packet {
    enum packet_kind kind;
    int family;         /* AF_INET, AF_INET6, or 0 for what is not IP */
    unsigned ethertype; /* what the frame carries: 0x0800 is IPv4 */
    unsigned protocol;  /* what IP carries: IPPROTO_TCP and so on */
    bool is_fragment;   /* IP carries only a piece of a datagram */
    struct packet_end from;
    struct packet_end to;

    unsigned flags; /* of TCP: PACKET_SYN and so on */
    uint32_t sequence;
    uint32_t acknowledgement;
    uint16_t window;

    unsigned icmp_type;
    unsigned icmp_code;

    const uint8_t *payload;  /* points into the frame; NULL with a flaw */
    size_t payload_length;   /* in bytes, as the headers say */
    size_t payload_captured; /* how many of those bytes the frame has */

    /* NULL, or what is wrong: "cut in the TCP header". Never freed. */
    const char *flaw;
};

enum {
    PACKET_CONNECTIONS = 64, /* that packet_make_relative remembers */
    PACKET_TEXT_BYTES = 256, /* more than the longest of packet_format */
};

/* One end of a TCP connection, and the sequence number that we show as 0. */
struct packet_side {
    struct packet_end end;
    bool has_base;
    uint32_t base;
};

struct packet_connection {
    int family; /* 0: this place is free */
    struct packet_side sides[2];
};

/* The connections that packet_make_relative saw last. Set it to zero before the
 * first call. There is nothing to free. */
struct packet_numbers {
    size_t next; /* the place for the next new connection */
    struct packet_connection connections[PACKET_CONNECTIONS];
};

/*
 * Reads an Ethernet frame. captured is the number of bytes at frame; no byte
 * behind them is read. length is the number of bytes that the frame had on the
 * wire, which may be more. (If it is less, captured counts.)
 *
 * Returns 0 and fills in *packet, whose payload points into frame. If something
 * is wrong with a header, it returns -1, and packet->flaw says what: "cut in
 * ..." when the header was sent, but not captured, and anything else when the
 * frame itself is damaged. What was read before is in *packet then. It is no
 * flaw when a part of the payload was not captured, or when a frame is not IP.
 *
 * An IP length of 0 means all of the frame, if the frame is too long for any
 * length in 16 bits: Linux sends such packets to itself (BIG TCP).
 *
 * The tags of virtual networks (802.1Q) and the extension headers of IPv6 are
 * passed over. Of a datagram in fragments, only the first one has ports.
 * Checksums are not checked, because what this machine sends has none before
 * its network card adds it. The headers are those of RFC 791 (IPv4), 8200
 * (IPv6), 9293 (TCP), 768 (UDP), 792 (ICMP) and 4443 (ICMPv6).
 */
int packet_parse(struct packet *packet, const uint8_t *frame, size_t captured,
                 size_t length);

/*
 * Makes the sequence and the acknowledgement number of a TCP packet relative to
 * the beginning of its connection: a SYN has number 0, and the byte behind it
 * number 1. When the SYN of a connection was not seen, the first packet that is
 * seen of it is taken for number 1. It remembers PACKET_CONNECTIONS
 * connections; a new one takes the place of the oldest. Packets that are not
 * TCP, or have a flaw, stay as they are. It never fails.
 */
void packet_make_relative(struct packet_numbers *numbers,
                          struct packet *packet);

/*
 * Writes one end of an IP packet, which is &packet->from or &packet->to, into
 * text, which has PACKET_TEXT_BYTES: "127.0.0.1:80" or "[::1]:80" for TCP and
 * UDP, else the address alone. Returns text. It never fails.
 */
const char *packet_format_end(const struct packet *packet,
                              const struct packet_end *end, char *text);

/*
 * Writes what a packet says into text, which has PACKET_TEXT_BYTES, such as
 * "127.0.0.1:50000 > 127.0.0.1:80 TCP SYN ACK seq 0 ack 1, 0 bytes". If the
 * packet has a flaw, it writes what could be read, and the flaw. Returns text.
 * It never fails.
 */
const char *packet_format(const struct packet *packet, char *text);

#endif
