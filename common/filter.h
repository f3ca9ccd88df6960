/*
 * filter: programs for the machine in the kernel that decides which packets a
 * socket gets: classic BPF. linux/filter.h has the names of it all, but not
 * every C library comes with that. Built by lesson 35.
 */
#ifndef COMMON_FILTER_H
#define COMMON_FILTER_H

#include <netinet/in.h>
#include <stdint.h>

/* The machine has two registers, A and X. */
enum filter_code {
    FILTER_LOAD_WORD = 0x20,   /* A = the 4 bytes at k */
    FILTER_LOAD_HALF = 0x28,   /* A = the 2 bytes at k */
    FILTER_LOAD_BYTE = 0x30,   /* A = the byte at k */
    FILTER_LOAD_HALF_X = 0x48, /* A = the 2 bytes at X + k */
    FILTER_SET_X = 0x01,       /* X = k */
    FILTER_SET_X_IPV4 = 0xb1,  /* X = the length of the IPv4 header at k */
    FILTER_JUMP = 0x05,        /* pass over k instructions */
    FILTER_IF_EQUAL = 0x15,    /* A == k? */
    FILTER_IF_BITS = 0x45,     /* A & k? */
    FILTER_KEEP = 0x06,        /* k bytes of the packet; 0: drop it */
};

struct filter_instruction {
    uint16_t code;
    uint8_t yes, no; /* how many instructions to pass over, if it is an if */
    uint32_t k;
};

enum { FILTER_INSTRUCTIONS = 22 };

/* What setsockopt(2) takes for SO_ATTACH_FILTER: socket(7). */
struct filter {
    unsigned short length;
    const struct filter_instruction *first;
};

/*
 * Writes a program that keeps, of an AF_PACKET socket's Ethernet frames, those
 * that are TCP or UDP from or to that port (0: all); with only_sent, none that
 * this machine receives. Of a datagram in fragments only the first has a port,
 * and behind headers between IPv6 and TCP or UDP none is looked for. Returns
 * it; it lives as long as room does.
 */
struct filter filter_make(struct filter_instruction room[FILTER_INSTRUCTIONS],
                          in_port_t port, int only_sent);

#endif
