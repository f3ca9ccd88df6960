/*
 * network: which addresses belong to a network, and which of them no outsider
 * can reach. Built by lesson 33.
 */
#ifndef SOCKS_PROXY_NETWORK_H
#define SOCKS_PROXY_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* All addresses that begin with the same bits. An IPv4 network is written as
 * one of IPv6, behind ::ffff:, so all addresses have 16 bytes. */
struct network {
    uint8_t bytes[16];
    unsigned bits; /* so many of them count: 0 to 128 */
};

/*
 * Reads a network from a C string: "10.0.0.0/8", "2001:db8::/32", or an address
 * alone, which is a network of one address. Bits behind the first ones must be
 * 0.
 *
 * Returns 0, or -1 with errno EINVAL.
 */
int network_parse(struct network *network, const char *text);

/* Returns whether an address, of IPv4 or IPv6, belongs to the network. */
bool network_has(const struct network *network, const struct sockaddr *address);

/* Returns whether two addresses are the same, whatever their ports. */
bool network_is_same(const struct sockaddr *a, const struct sockaddr *b);

/*
 * Returns whether an address leads into this machine, or into networks that
 * nobody outside can reach: loopback, private and link-local addresses,
 * multicast, and those that stand for no machine. An IPv6 address whose
 * last four bytes are an IPv4 address is judged by that one: RFC 4291,
 * section 2.5.5, and RFC 6052. It does not know the public addresses of this
 * machine itself.
 */
bool network_is_inside(const struct sockaddr *address);

#endif
