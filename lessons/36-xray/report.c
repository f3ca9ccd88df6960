#define _GNU_SOURCE

#include "report.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
    HEADER_BYTES = 8, /* of IGMP, and of ICMPv6 */
    IPV4_BYTES = 4,
    IPV6_BYTES = 16,
    GROUP_AT = 4,     /* the group of IGMP's versions 1 and 2 */
    RECORD_BYTES = 4, /* of a group record, before its address */
    WORD = 4,         /* its additional data are counted in words */
};

/* Types of messages: RFC 3376, section 4, and RFC 3810, section 5. */
enum {
    IGMP_QUERY = 0x11,
    IGMP_REPORT_1 = 0x12,
    IGMP_REPORT_2 = 0x16,
    IGMP_LEAVE = 0x17,
    IGMP_REPORT_3 = 0x22,
    MLD_QUERY = 130,
    MLD_REPORT_1 = 131,
    MLD_DONE = 132,
    MLD_REPORT_2 = 143,
};

/* Types of group records: RFC 3376, section 4.2.12. */
enum {
    IS_INCLUDE = 1, /* only these sources; with none: not in the group */
    IS_EXCLUDE = 2, /* all sources but these: in the group */
    TO_INCLUDE = 3,
    TO_EXCLUDE = 4,
    ALLOW = 5, /* more sources of a group that it is in */
};

static void add_group(struct report *report, enum report_verb verb,
                      const uint8_t *address) {
    size_t size = report->family == AF_INET ? IPV4_BYTES : IPV6_BYTES;
    if (report->count < REPORT_MOST) {
        report->groups[report->count].verb = verb;
        memcpy(report->groups[report->count].group.address, address, size);
    }
    report->count++;
}

static enum report_verb find_verb(unsigned type, size_t sources) {
    switch (type) {
    case IS_INCLUDE:
        return sources > 0 ? REPORT_IS_IN : REPORT_LEAVES;
    case IS_EXCLUDE:
        return REPORT_IS_IN;
    case TO_INCLUDE:
        return sources > 0 ? REPORT_JOINS : REPORT_LEAVES;
    case TO_EXCLUDE:
    case ALLOW:
        return REPORT_JOINS;
    default:
        return REPORT_LEAVES; /* it wants fewer sources */
    }
}

/* Reads group records: type, length of the additional data, how many sources,
 * group, sources, additional data. */
static void parse_records(struct report *report, const uint8_t *bytes,
                          size_t length) {
    size_t address = report->family == AF_INET ? IPV4_BYTES : IPV6_BYTES;
    while (length >= RECORD_BYTES + address) {
        size_t sources = (size_t)bytes[2] << 8 | bytes[3];
        size_t record = RECORD_BYTES + address + sources * address +
                        (size_t)bytes[1] * WORD;
        add_group(report, find_verb(bytes[0], sources), bytes + RECORD_BYTES);
        if (record > length)
            return;
        bytes += record;
        length -= record;
    }
}

/* A message about one group, or about none in particular. */
static void parse_one(struct report *report, enum report_verb verb,
                      const uint8_t *address, size_t length) {
    static const uint8_t none[IPV6_BYTES];
    size_t size = report->family == AF_INET ? IPV4_BYTES : IPV6_BYTES;
    if (length >= size && memcmp(address, none, size) != 0)
        add_group(report, verb, address);
}

static bool parse_igmp(struct report *report, const uint8_t *bytes,
                       size_t length) {
    if (length < HEADER_BYTES)
        return false;
    const uint8_t *group = bytes + GROUP_AT;
    switch (bytes[0]) {
    case IGMP_QUERY:
        report->name = "IGMP query";
        parse_one(report, REPORT_ASKS, group, IPV4_BYTES);
        return true;
    case IGMP_REPORT_1:
        report->name = "IGMPv1 report";
        parse_one(report, REPORT_JOINS, group, IPV4_BYTES);
        return true;
    case IGMP_REPORT_2:
        report->name = "IGMPv2 report";
        parse_one(report, REPORT_JOINS, group, IPV4_BYTES);
        return true;
    case IGMP_LEAVE:
        report->name = "IGMPv2 leave";
        parse_one(report, REPORT_LEAVES, group, IPV4_BYTES);
        return true;
    case IGMP_REPORT_3:
        report->name = "IGMPv3 report";
        parse_records(report, bytes + HEADER_BYTES, length - HEADER_BYTES);
        return true;
    default:
        return false;
    }
}

/* MLD is a part of ICMPv6: the payload begins behind that header. */
static bool parse_mld(struct report *report, unsigned type,
                      const uint8_t *bytes, size_t length) {
    switch (type) {
    case MLD_QUERY:
        report->name = "MLD query";
        parse_one(report, REPORT_ASKS, bytes, length);
        return true;
    case MLD_REPORT_1:
        report->name = "MLDv1 report";
        parse_one(report, REPORT_JOINS, bytes, length);
        return true;
    case MLD_DONE:
        report->name = "MLDv1 done";
        parse_one(report, REPORT_LEAVES, bytes, length);
        return true;
    case MLD_REPORT_2:
        report->name = "MLDv2 report";
        parse_records(report, bytes, length);
        return true;
    default:
        return false;
    }
}

bool report_parse(struct report *report, const struct packet *packet) {
    struct report read = {.family = packet->family};
    bool is_one = false;
    if (packet->payload == NULL)
        return false;
    if (packet->kind == PACKET_IP && packet->protocol == IPPROTO_IGMP &&
        !packet->is_fragment)
        is_one = parse_igmp(&read, packet->payload, packet->payload_captured);
    else if (packet->kind == PACKET_ICMP && packet->family == AF_INET6)
        is_one = parse_mld(&read, packet->icmp_type, packet->payload,
                           packet->payload_captured);
    if (is_one)
        *report = read;
    return is_one;
}

void report_write(FILE *out, const struct report *report) {
    static const char *const verbs[] = {
        [REPORT_IS_IN] = "is in",
        [REPORT_JOINS] = "joins",
        [REPORT_LEAVES] = "leaves",
        [REPORT_ASKS] = "who is in",
    };
    const char *separator = ":";
    (void)fputs(report->name, out);
    for (unsigned i = 0; i < report->count && i < REPORT_MOST; i++) {
        char text[INET6_ADDRSTRLEN] = "";
        (void)inet_ntop(report->family, report->groups[i].group.address, text,
                        sizeof text);
        (void)fprintf(out, "%s %s %s", separator, verbs[report->groups[i].verb],
                      text);
        separator = ",";
    }
    if (report->count > REPORT_MOST)
        (void)fputs(" ...", out);
}
