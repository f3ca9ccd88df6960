/*
 * tell-message: what parsers of lesson 36 make of some bytes, for the tables in
 * tests/workbook/message.bats.
 *
 *     tell-message control HEX    control_parse: the control data of a message
 *     tell-message peer HEX       peer_parse: the kernel's answer
 *     tell-message report HEX     report_parse: a frame with IGMP or MLD
 *     tell-message group LEVEL OPTION HEX
 *                                 group_parse: the value of an option
 *
 * HEX are the bytes in hexadecimal. Prints what is in them, or why nothing is.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lessons/36-xray/control.h"
#include "../../lessons/36-xray/group.h"
#include "../../lessons/36-xray/peer.h"
#include "../../lessons/36-xray/report.h"

static void tell_control(const uint8_t *bytes, size_t count) {
    struct control control;
    control_parse(&control, bytes, count);
    control_write(stdout, &control);
    putchar('\n');
}

static void tell_peer(const uint8_t *bytes, size_t count) {
    uint64_t peer;
    if (peer_parse(bytes, count, &peer) < 0)
        puts(strerror(errno));
    else
        printf("%" PRIu64 "\n", peer);
}

static void tell_report(const uint8_t *bytes, size_t count) {
    struct packet packet;
    struct report report;
    (void)packet_parse(&packet, bytes, count, count);
    if (report_parse(&report, &packet))
        report_write(stdout, &report);
    else
        (void)fputs("no report", stdout);
    putchar('\n');
}

static void tell_group(int level, unsigned option, const uint8_t *bytes,
                       size_t count) {
    struct group_change change;
    if (group_parse(&change, level, option, bytes, count)) {
        (void)fputs(change.joins ? "joins " : "leaves ", stdout);
        group_write(stdout, &change);
    } else {
        (void)fputs("no group", stdout);
    }
    putchar('\n');
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 5)
        errx(2, "usage: tell-message control|peer|report HEX\n"
                "       tell-message group LEVEL OPTION HEX");
    const char *hex = argv[argc - 1];
    size_t count = strlen(hex) / 2;
    uint8_t *bytes = malloc(count + 1); /* not one more than are there */
    if (bytes == NULL)
        err(1, "memory");
    for (size_t i = 0; i < count; i++) {
        const char pair[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    if (argc == 5)
        tell_group((int)strtol(argv[2], NULL, 10),
                   (unsigned)strtoul(argv[3], NULL, 10), bytes, count);
    else if (strcmp(argv[1], "control") == 0)
        tell_control(bytes, count);
    else if (strcmp(argv[1], "peer") == 0)
        tell_peer(bytes, count);
    else
        tell_report(bytes, count);
    free(bytes);
    return fflush(stdout) == EOF ? 1 : 0;
}
