/*
 * 12 exercise: a die without bias.
 *
 * usage: 12-randomness SIDES ROLLS
 *
 * Roll a die of SIDES sides, 1 to 4294967296, ROLLS times, and print a number
 * from 1 to SIDES for each, on a line of its own. The randomness comes from
 * standard input, four bytes at a time. The README beside this file says how a
 * number becomes a roll, and which are thrown away.
 *
 * What is here compiles, and rolls nothing. Your part begins in main.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 12-randomness SIDES ROLLS\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);

    /* 1. SIDES and ROLLS: digits and nothing else, and not out of range. */
    /* 2. The next four bytes, however many calls that takes, as a number. */
    /* 3. Is it one of those that would make some sides likelier? */
    /* 4. The roll. All of them, and did they reach standard output? */
    return 0;
}
