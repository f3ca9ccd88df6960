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
    IS_INCLUDE = 1, /* the host wants the group's datagrams from these sources
                       only; without any source, it is not in the group */
    IS_EXCLUDE = 2, /* it wants those from all sources but these */
    TO_INCLUDE = 3, /* as IS_INCLUDE, but from now on */
    TO_EXCLUDE = 4, /* as IS_EXCLUDE, but from now on */
    ALLOW = 5,      /* it wants those from these sources, too */
};

/* How long an address of the report's family is. */
static size_t address_bytes(const struct report *report) {
    if (report->family == AF_INET)
        return IPV4_BYTES;
    return IPV6_BYTES;
}

static void add_group(struct report *report, enum report_verb verb,
                      const uint8_t *address) {
    if (report->count < REPORT_MOST) {
        struct report_group *group = &report->groups[report->count];
        group->verb = verb;
        memcpy(group->group.address, address, address_bytes(report));
    }
    report->count++;
}

static enum report_verb find_verb(unsigned type, size_t sources) {
    switch (type) {
    case IS_INCLUDE:
        if (sources > 0)
            return REPORT_IS_IN;
        return REPORT_LEAVES;
    case IS_EXCLUDE:
        return REPORT_IS_IN;
    case TO_INCLUDE:
        if (sources > 0)
            return REPORT_JOINS;
        return REPORT_LEAVES;
    case TO_EXCLUDE:
    case ALLOW:
        return REPORT_JOINS;
    default:
        return REPORT_LEAVES; /* the host wants fewer sources */
    }
}

/* Reads group records: type, length of the additional data, how many sources,
 * group, sources, additional data. */
static void parse_records(struct report *report, const uint8_t *bytes,
                          size_t length) {
    size_t address = address_bytes(report);
    while (length >= RECORD_BYTES + address) {
        unsigned type = bytes[0];
        size_t additional = (size_t)bytes[1] * WORD;
        size_t sources = (size_t)bytes[2] * 256 + bytes[3];
        size_t record = RECORD_BYTES + address + sources * address + additional;
        add_group(report, find_verb(type, sources), bytes + RECORD_BYTES);
        if (record > length)
            return; /* it is cut, and so are all behind it */
        bytes += record;
        length -= record;
    }
}

/* Reads the group of a message about one group. A question about all groups has
 * an address of zeros there: then nothing is added. */
static void parse_group(struct report *report, enum report_verb verb,
                        const uint8_t *address, size_t length) {
    static const uint8_t none[IPV6_BYTES];
    size_t size = address_bytes(report);
    if (length < size)
        return;
    if (memcmp(address, none, size) != 0)
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
        parse_group(report, REPORT_ASKS, group, IPV4_BYTES);
        return true;
    case IGMP_REPORT_1:
        report->name = "IGMPv1 report";
        parse_group(report, REPORT_JOINS, group, IPV4_BYTES);
        return true;
    case IGMP_REPORT_2:
        report->name = "IGMPv2 report";
        parse_group(report, REPORT_JOINS, group, IPV4_BYTES);
        return true;
    case IGMP_LEAVE:
        report->name = "IGMPv2 leave";
        parse_group(report, REPORT_LEAVES, group, IPV4_BYTES);
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
        parse_group(report, REPORT_ASKS, bytes, length);
        return true;
    case MLD_REPORT_1:
        report->name = "MLDv1 report";
        parse_group(report, REPORT_JOINS, bytes, length);
        return true;
    case MLD_DONE:
        report->name = "MLDv1 done";
        parse_group(report, REPORT_LEAVES, bytes, length);
        return true;
    case MLD_REPORT_2:
        report->name = "MLDv2 report";
        parse_records(report, bytes, length);
        return true;
    default:
        return false;
    }
}

static bool is_igmp(const struct packet *packet) {
    return packet->kind == PACKET_IP && packet->protocol == IPPROTO_IGMP &&
           !packet->is_fragment;
}

static bool is_icmp6(const struct packet *packet) {
    return packet->kind == PACKET_ICMP && packet->family == AF_INET6;
}

bool report_parse(struct report *report, const struct packet *packet) {
    struct report read = {.family = packet->family};
    bool is_report = false;
    if (packet->payload == NULL)
        return false;
    if (is_igmp(packet))
        is_report =
            parse_igmp(&read, packet->payload, packet->payload_captured);
    else if (is_icmp6(packet))
        is_report = parse_mld(&read, packet->icmp_type, packet->payload,
                              packet->payload_captured);
    if (is_report)
        *report = read;
    return is_report;
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
        const struct report_group *group = &report->groups[i];
        char text[INET6_ADDRSTRLEN] = "";
        (void)inet_ntop(report->family, group->group.address, text,
                        sizeof text);
        (void)fprintf(out, "%s %s %s", separator, verbs[group->verb], text);
        separator = ",";
    }
    if (report->count > REPORT_MOST)
        (void)fputs(" ...", out);
}
