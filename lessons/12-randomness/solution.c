/*
 * 12 solution: a fair die, one good answer of many.
 *
 * usage: 12-randomness SIDES ROLLS
 */
#define _GNU_SOURCE

#include "number.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROLLS = 100000 };

/* How many different numbers four bytes can hold. This needs more than 32
 * bits. */
static const uint64_t number_count = UINT64_C(1) << 32;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 12-randomness SIDES ROLLS\n", out);
    exit(status);
}

static uint64_t parse_number(const char *text, uint64_t most) {
    unsigned long long number;
    if (number_parse(text, 1, most, &number) < 0)
        errx(1, "%s is not a number from 1 to %llu", text,
             (unsigned long long)most);
    return number;
}

/* Returns the number in the next four bytes of standard input. The first byte
 * is the most significant one. read(2) may return fewer bytes than we ask for:
 * then we call it again for the rest. */
static uint32_t read_number(void) {
    unsigned char bytes[4];
    size_t length = 0;
    while (length < sizeof bytes) {
        ssize_t received =
            read(STDIN_FILENO, bytes + length, sizeof bytes - length);
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0)
            err(1, "standard input");
        if (received == 0)
            errx(1, "the end of standard input came before the last roll");
        length += (size_t)received;
    }
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Rolls the die once. Below the limit, each side comes equally often. Numbers
 * from the limit on would make some sides more likely, so we throw them away
 * and read the next. */
static uint64_t roll(uint64_t sides) {
    uint64_t limit = number_count - number_count % sides;
    for (;;) {
        uint64_t number = read_number();
        if (number < limit)
            return number % sides + 1;
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    uint64_t sides = parse_number(argv[1], number_count);
    uint64_t rolls = parse_number(argv[2], MOST_ROLLS);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    for (uint64_t i = 0; i < rolls; i++) {
        unsigned long long side = roll(sides);
        if (printf("%llu\n", side) < 0)
            err(1, "standard output");
    }
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
