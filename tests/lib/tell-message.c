/*
 * tell-message: what two parsers of lesson 36 make of some bytes, for the
 * tables in tests/workbook/message.bats.
 *
 *     tell-message control HEX    control_parse: the control data of a message
 *     tell-message peer HEX       peer_parse: the kernel's answer
 *
 * HEX are the bytes in hexadecimal. Prints what is in them, or the reason why
 * they are no answer.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lessons/36-xray/control.h"
#include "../../lessons/36-xray/peer.h"

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

int main(int argc, char **argv) {
    if (argc != 3)
        errx(2, "usage: tell-message control|peer HEX");
    size_t count = strlen(argv[2]) / 2;
    uint8_t *bytes = malloc(count + 1); /* not one more than are there */
    if (bytes == NULL)
        err(1, "memory");
    for (size_t i = 0; i < count; i++) {
        const char pair[] = {argv[2][2 * i], argv[2][2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    if (strcmp(argv[1], "control") == 0)
        tell_control(bytes, count);
    else
        tell_peer(bytes, count);
    free(bytes);
    return fflush(stdout) == EOF ? 1 : 0;
}
