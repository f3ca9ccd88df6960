/*
 * tell-handshake: what handshake_describe makes of some bytes, for the table in
 * tests/workbook/handshake.bats.
 *
 *     tell-handshake HEX [LENGTH]
 *
 * HEX are the bytes in hexadecimal, LENGTH is how many bytes were on the wire.
 * Prints the description, or "no TLS".
 */
#define _GNU_SOURCE

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lessons/36-xray/handshake.h"

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3)
        errx(2, "usage: tell-handshake HEX [LENGTH]");
    size_t count = strlen(argv[1]) / 2;
    uint8_t *bytes = malloc(count + 1); /* not one more than are there */
    char text[HANDSHAKE_TEXT_BYTES];
    if (bytes == NULL)
        err(1, "memory");
    for (size_t i = 0; i < count; i++) {
        const char pair[] = {argv[1][2 * i], argv[1][2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    size_t length = count;
    if (argc == 3)
        length = strtoul(argv[2], NULL, 10);
    const char *told = handshake_describe(bytes, count, length, text);
    puts(told == NULL ? "no TLS" : told);
    free(bytes);
    return fflush(stdout) == EOF ? 1 : 0;
}
