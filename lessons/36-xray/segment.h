/*
 * segment: what crossed the wire, in words. Built by lesson 36, on packet.
 */
#ifndef XRAY_SEGMENT_H
#define XRAY_SEGMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "packet.h"
#include "socks.h"

/* Whether it belongs into a picture: TCP, UDP or ICMP. */
bool segment_is_shown(const struct packet *packet);

/*
 * Finds between which two ends it went. An ICMP message that some datagram
 * could not be delivered has no ports; but it carries the beginning of that
 * datagram, and so it goes back from where the datagram was sent to.
 */
void segment_find_ends(const struct packet *packet, struct packet_end *from,
                       struct packet_end *to);

/*
 * Writes `PSH ACK "hello\n"`, `UDP "hello"` or `ICMP 3, 3: port unreachable`.
 * Data of TLS, HTTP, DNS and SOCKS are named instead: `PSH ACK ClientHello for
 * example.com`, `PSH ACK GET / HTTP/1.1`, `UDP DNS answer: 2 addresses`.
 * `before` is the step that socks_write wants. Returns which step the segment
 * is; what is no segment of TCP is SOCKS_SILENCE.
 */
enum socks_step segment_write(FILE *out, const struct packet *packet,
                              enum socks_step before);

#endif
