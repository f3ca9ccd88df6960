/* filter: programs that decide in the kernel which packets a socket gets. */
#define _GNU_SOURCE

#include "filter.h"

#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <string.h>

struct filter filter_make(struct filter_instruction room[FILTER_INSTRUCTIONS],
                          in_port_t port, int only_sent) {
    const struct filter_instruction program[] = {
        {FILTER_LOAD_WORD, 0, 0, 0xfffff004}, /* in no frame: which way? */
        {FILTER_IF_EQUAL, 1, 0, PACKET_OUTGOING},
        {FILTER_KEEP, 0, 0, 0},
        {FILTER_JUMP, 0, 0, port == 0 ? 17 : 0}, /* no port asked for: to 17 */
        {FILTER_LOAD_HALF, 0, 0, 12},            /* 0: what is in the frame? */
        {FILTER_IF_EQUAL, 0, 5, ETHERTYPE_IP},   /* 1: IPv4? If not, to 7 */
        {FILTER_LOAD_HALF, 0, 0, 20},            /* 2: which fragment of it? */
        {FILTER_IF_BITS, 12, 0, 0x1fff},         /* 3: a later one: to 16 */
        {FILTER_SET_X_IPV4, 0, 0, 14},           /* 4: its header's length */
        {FILTER_LOAD_BYTE, 0, 0, 23},            /* 5: what is in it? */
        {FILTER_JUMP, 0, 0, 3},                  /* 6: to 10 */
        {FILTER_IF_EQUAL, 0, 8, ETHERTYPE_IPV6}, /* 7: IPv6? If not, to 16 */
        {FILTER_SET_X, 0, 0, 40},                /* 8: its header's length */
        {FILTER_LOAD_BYTE, 0, 0, 20},            /* 9: what is in it? */
        {FILTER_IF_EQUAL, 1, 0, IPPROTO_TCP},    /* 10: yes: to 12 */
        {FILTER_IF_EQUAL, 0, 4, IPPROTO_UDP},    /* 11: no: to 16 */
        {FILTER_LOAD_HALF_X, 0, 0, 14},          /* 12: from which port? */
        {FILTER_IF_EQUAL, 3, 0, port},           /* 13: that one: to 17 */
        {FILTER_LOAD_HALF_X, 0, 0, 16},          /* 14: to which port? */
        {FILTER_IF_EQUAL, 1, 0, port},           /* 15: that one: to 17 */
        {FILTER_KEEP, 0, 0, 0},                  /* 16 */
        {FILTER_KEEP, 0, 0, 0xffffffff},         /* 17 */
    };
    size_t skipped = only_sent ? 0 : 3;
    _Static_assert(sizeof program ==
                       FILTER_INSTRUCTIONS * sizeof(struct filter_instruction),
                   "room for all");
    memcpy(room, program, sizeof program);
    return (struct filter){(unsigned short)(FILTER_INSTRUCTIONS - skipped),
                           room + skipped};
}
