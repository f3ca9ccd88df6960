/*
 * filter: writes programs for the machine in the kernel that decides which
 * packets a socket gets. Its language is called classic BPF. linux/filter.h has
 * names for all of it, but not every C library comes with that file, so we have
 * our own. Built by lesson 35.
 */
#ifndef FILTER_H
#define FILTER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* What an instruction does. The machine has two registers, A and X; k is the
 * number in the instruction. Numbers in a packet are read as big-endian. */
enum filter_code {
    FILTER_LOAD_WORD = 0x20,   /* A = the 4 bytes at k */
    FILTER_LOAD_HALF = 0x28,   /* A = the 2 bytes at k */
    FILTER_LOAD_BYTE = 0x30,   /* A = the byte at k */
    FILTER_LOAD_HALF_X = 0x48, /* A = the 2 bytes at X + k */
    FILTER_SET_X = 0x01,       /* X = k */
    FILTER_SET_X_IPV4 = 0xb1,  /* X = the length of the IPv4 header at k */
    FILTER_JUMP = 0x05,        /* pass over k instructions */
    FILTER_IF_EQUAL = 0x15,    /* if A == k, pass over yes, else over no */
    FILTER_IF_BITS = 0x45,     /* if (A & k) != 0, pass over yes, else no */
    FILTER_KEEP = 0x06,        /* end: keep k bytes of the packet; 0: drop it */
};

/* The kernel's own layout of it: struct sock_filter. */
struct filter_instruction {
    uint16_t code; /* an enum filter_code */
    uint8_t yes;   /* how many instructions FILTER_IF_... passes over */
    uint8_t no;    /* the same, if the condition is not so */
    uint32_t k;
};

enum { FILTER_INSTRUCTIONS = 28 }; /* in the longest program */

/* What setsockopt(2) takes for SO_ATTACH_FILTER, as socket(7) says; the
 * kernel's name is struct sock_fprog. */
struct filter {
    unsigned short length; /* in instructions */
    const struct filter_instruction *first;
};

/*
 * Writes a filter for an AF_PACKET socket on an Ethernet-like interface into
 * room. It keeps those frames that are TCP or UDP from or to port, which is in
 * host order, and drops all others; port 0 keeps all. With only_sent it keeps
 * none that this machine receives, but only what it sends.
 *
 * It also keeps each frame in whose case the machine cannot tell: one with the
 * tag of a virtual network, and IPv6 with an extension header (or IPv4 with the
 * protocol number of one). packet_parse can tell, so the program that receives
 * the frame looks once more.
 *
 * Returns the filter, which points into room, so room must live as long as the
 * filter is used. The kernel makes a copy in setsockopt. It never fails.
 *
 * Of an IPv4 datagram in fragments only the first one has ports, so only that
 * one is kept.
 */
struct filter filter_make(struct filter_instruction room[FILTER_INSTRUCTIONS],
                          in_port_t port, bool only_sent);

#endif
