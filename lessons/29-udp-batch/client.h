/*
 * client: sends packets as fast as it can. Built by lesson 29.
 */
#ifndef UDP_BATCH_CLIENT_H
#define UDP_BATCH_CLIENT_H

#include "batch.h"

#include <stddef.h>
#include <stdint.h>

/* What the client sends, and how. */
struct client_options {
    enum mode mode;
    size_t bytes;     /* of a packet: HEADER_BYTES to LARGEST_DATAGRAM */
    int milliseconds; /* how long it sends */
    uint32_t packets; /* or how many; 0: as many as it can in that time */
};

/*
 * Sends packets to the first address of the host to which a socket can be
 * connected, prints a report, and then sends the packet that says that no other
 * follows.
 * The port is a number from 1 to 65535, as text. All arguments stay the
 * caller's. In the mode MANY it uses sendmmsg(2), and in the mode SEGMENT
 * UDP_SEGMENT: udp(7).
 *
 * If something fails, it says why, and ends the program with status 1.
 */
void client_run(const struct client_options *options, const char *host,
                const char *port);

#endif
