/*
 * tell-data: what lesson 36 calls the data of a segment, for the tables in
 * tests/workbook/data.bats.
 *
 *     tell-data head HEX            head_write
 *     tell-data datagram HEX        lookup_write
 *     tell-data stream HEX          lookup_write
 *     tell-data socks HEX...        socks_write: each HEX is what one of the
 * two sends, the client first
 *
 * HEX are the bytes in hexadecimal. Prints a line for each: the name, or "no
 * name".
 */
#define _GNU_SOURCE

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lessons/36-xray/head.h"
#include "../../lessons/36-xray/lookup.h"
#include "../../lessons/36-xray/socks.h"

/* Returns a step, as socks_write does; for the other functions it has no
 * meaning. */
static enum socks_step tell(const char *what, enum socks_step before,
                            const uint8_t *bytes, size_t count) {
    enum socks_step step = SOCKS_OTHER;
    bool has_name = false;
    if (strcmp(what, "head") == 0) {
        has_name = head_write(stdout, bytes, count);
    } else if (strcmp(what, "datagram") == 0) {
        has_name = lookup_write(stdout, bytes, count, LOOKUP_DATAGRAM);
    } else if (strcmp(what, "stream") == 0) {
        has_name = lookup_write(stdout, bytes, count, LOOKUP_STREAM);
    } else if (strcmp(what, "socks") == 0) {
        step = socks_write(stdout, before, bytes, count);
        has_name = step != SOCKS_OTHER;
    } else {
        errx(2, "no such kind: %s", what);
    }
    puts(has_name ? "" : "no name");
    return step;
}

int main(int argc, char **argv) {
    enum socks_step step = SOCKS_ACCEPTS;
    if (argc < 3)
        errx(2, "usage: tell-data KIND HEX...");
    for (int i = 2; i < argc; i++) {
        size_t count = strlen(argv[i]) / 2;
        uint8_t *bytes = malloc(count); /* not one more than are there */
        if (bytes == NULL && count > 0)
            err(1, "memory");
        for (size_t at = 0; at < count; at++) {
            const char pair[] = {argv[i][2 * at], argv[i][2 * at + 1], '\0'};
            bytes[at] = (uint8_t)strtoul(pair, NULL, 16);
        }
        step = tell(argv[1], step, bytes, count);
        free(bytes);
    }
    return fflush(stdout) == EOF ? 1 : 0;
}
