/*
 * report: what a host tells the routers of its network about multicast groups:
 * IGMP (RFC 2236, RFC 3376) and MLD (RFC 2710, RFC 3810). Built by lesson 36.
 */
#ifndef XRAY_REPORT_H
#define XRAY_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "packet.h"

enum { REPORT_MOST = 4 }; /* groups that are kept of a message */

enum report_verb {
    REPORT_IS_IN, /* an answer to a router's question */
    REPORT_JOINS,
    REPORT_LEAVES,
    REPORT_ASKS, /* a router's question */
};

/* What a message says about a group. */
struct report_group {
    enum report_verb verb;
    struct packet_end group; /* its address; the port is 0 */
};

struct report {
    const char *name; /* "IGMPv3 report": never freed */
    int family;
    unsigned count; /* how many groups the message has */
    struct report_group groups[REPORT_MOST]; /* the first of them */
};

/* Reads a packet. Returns whether it is a message of IGMP or MLD that we know;
 * *report is written only then. Groups whose address is cut are left out. */
bool report_parse(struct report *report, const struct packet *packet);

/* Writes "IGMPv3 report: joins 239.1.2.3". */
void report_write(FILE *out, const struct report *report);

#endif
