/* filter: programs that decide in the kernel which packets a socket gets. */
#define _GNU_SOURCE

#include "filter.h"

#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <stddef.h>

/* This place is in no frame: there the kernel says whether a frame is being
 * sent or received. linux/filter.h: SKF_AD_OFF + SKF_AD_PKTTYPE. */
static const uint32_t direction_at = 0xfffff004;
static const uint32_t whole_frame = 0xffffffff; /* no frame is longer */

enum {
    FRAGMENT_OFFSET = 0x1fff, /* not 0 in a later fragment: RFC 791 */
    OUTER_TAG = 0x88a8,       /* the Ethernet type of a tag around a tag */
};

struct program {
    struct filter_instruction *room;
    size_t length;
};

static void append(struct program *program,
                   const struct filter_instruction *instructions,
                   size_t count) {
    for (size_t i = 0; i < count; i++)
        program->room[program->length + i] = instructions[i];
    program->length += count;
}

/* Drops what is received. With what is sent, goes on at the next part. */
static void append_direction(struct program *program) {
    const struct filter_instruction instructions[] = {
        {FILTER_LOAD_WORD, 0, 0, direction_at},
        {FILTER_IF_EQUAL, 1, 0, PACKET_OUTGOING},
        {FILTER_KEEP, 0, 0, 0},
    };
    append(program, instructions, sizeof instructions / sizeof *instructions);
}

static void append_all(struct program *program) {
    const struct filter_instruction keep = {FILTER_KEEP, 0, 0, whole_frame};
    append(program, &keep, 1);
}

/* Keeps TCP and UDP from or to the port. A frame begins with the 14 bytes of
 * the Ethernet header; behind them stands IPv4 or IPv6. This machine has no
 * loops. So it keeps what it cannot decide: a frame with the tag of a virtual
 * network, and IP with the number of an extension header, of which IPv6 may
 * have any number. */
static void append_port(struct program *program, in_port_t port) {
    const struct filter_instruction instructions[] = {
        {FILTER_LOAD_HALF, 0, 0, 12},             /* 0: the Ethernet type */
        {FILTER_IF_EQUAL, 0, 5, ETHERTYPE_IP},    /* 1: not IPv4: to 7 */
        {FILTER_LOAD_HALF, 0, 0, 20},             /* 2: the fragment's offset */
        {FILTER_IF_BITS, 19, 0, FRAGMENT_OFFSET}, /* 3: a later one: to 23 */
        {FILTER_SET_X_IPV4, 0, 0, 14},            /* 4: its header's length */
        {FILTER_LOAD_BYTE, 0, 0, 23},             /* 5: the protocol */
        {FILTER_JUMP, 0, 0, 3},                   /* 6: to 10 */
        {FILTER_IF_EQUAL, 0, 8, ETHERTYPE_IPV6},  /* 7: not IPv6: to 16 */
        {FILTER_SET_X, 0, 0, 40},                 /* 8: its header's length */
        {FILTER_LOAD_BYTE, 0, 0, 20},             /* 9: the protocol */
        {FILTER_IF_EQUAL, 1, 0, IPPROTO_TCP},     /* 10: TCP: to 12 */
        {FILTER_IF_EQUAL, 0, 6, IPPROTO_UDP},     /* 11: not UDP: to 18 */
        {FILTER_LOAD_HALF_X, 0, 0, 14},           /* 12: from which port? */
        {FILTER_IF_EQUAL, 10, 0, port},           /* 13: that one: to 24 */
        {FILTER_LOAD_HALF_X, 0, 0, 16},           /* 14: to which port? */
        {FILTER_IF_EQUAL, 8, 7, port},            /* 15: that one: to 24 */
        {FILTER_IF_EQUAL, 7, 0, ETHERTYPE_VLAN},  /* 16: a tag: to 24 */
        {FILTER_IF_EQUAL, 6, 5, OUTER_TAG},       /* 17: a tag: to 24 */
        {FILTER_IF_EQUAL, 5, 0, IPPROTO_HOPOPTS}, /* 18: an extension: to 24 */
        {FILTER_IF_EQUAL, 4, 0, IPPROTO_ROUTING}, /* 19: likewise */
        {FILTER_IF_EQUAL, 3, 0, IPPROTO_FRAGMENT}, /* 20: likewise */
        {FILTER_IF_EQUAL, 2, 0, IPPROTO_AH},       /* 21: likewise */
        {FILTER_IF_EQUAL, 1, 0, IPPROTO_DSTOPTS},  /* 22: likewise */
        {FILTER_KEEP, 0, 0, 0},                    /* 23: drop it */
        {FILTER_KEEP, 0, 0, whole_frame},          /* 24: keep it */
    };
    append(program, instructions, sizeof instructions / sizeof *instructions);
}

struct filter filter_make(struct filter_instruction room[FILTER_INSTRUCTIONS],
                          in_port_t port, bool only_sent) {
    struct program program = {.room = room};
    if (only_sent)
        append_direction(&program);
    if (port == 0)
        append_all(&program);
    else
        append_port(&program, port);
    return (struct filter){
        .length = (unsigned short)program.length,
        .first = room,
    };
}
