/*
 * group: the options by which a program joins a multicast group, or leaves it
 * (ip(7), ipv6(7)). Built by lesson 36.
 */
#ifndef XRAY_GROUP_H
#define XRAY_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "packet.h"

enum { GROUP_OPTION_BYTES = 272 }; /* no value of such an option is longer */

struct group_change {
    bool joins; /* the socket joins the group; false: it leaves the group */
    int family; /* AF_INET or AF_INET6 */
    struct packet_end group;
    struct packet_end interface; /* by its address; AF_INET only */
    unsigned index;              /* the interface by its number; 0: not given */
};

/* Reads the value of an option, which has length bytes. Returns whether the
 * option is one that joins or leaves a group. *change is written only then. */
bool group_parse(struct group_change *change, int level, unsigned option,
                 const uint8_t *value, size_t length);

/* Writes "239.1.2.3", with " on 127.0.0.1" or " on interface 1" if that was
 * given. */
void group_write(FILE *out, const struct group_change *change);

/* Whether a datagram to that address is for several receivers: a multicast
 * group, or all (broadcast). */
bool group_is(int family, const struct packet_end *end);

/* Whether a datagram to that address is a broadcast: no socket has to join a
 * group to get it. */
bool group_is_broadcast(int family, const struct packet_end *end);

#endif
