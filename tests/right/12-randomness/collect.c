/*
 * A right answer that reads pieces of a few thousand bytes, and keeps all rolls
 * in memory until the last one is made.
 */
#define _GNU_SOURCE

#include "number.h"

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROLLS = 100000, PIECE = 4096 };

struct input {
    unsigned char bytes[PIECE];
    size_t start;
    size_t end;
};

static uint64_t rolls[MOST_ROLLS];

static void print(unsigned long long count) {
    for (unsigned long long i = 0; i < count; i++)
        printf("%ju\n", (uintmax_t)rolls[i]);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "print");
}

/* Fills the piece again. Returns 0 at the end of the input, or -1. */
static ssize_t refill(struct input *input) {
    size_t rest = input->end - input->start;
    memmove(input->bytes, input->bytes + input->start, rest);
    input->start = 0;
    input->end = rest;
    ssize_t got = TEMP_FAILURE_RETRY(
        read(STDIN_FILENO, input->bytes + rest, PIECE - rest));
    if (got > 0)
        input->end += (size_t)got;
    return got;
}

int main(int argc, char **argv) {
    unsigned long long sides;
    unsigned long long wanted;
    if (argc != 3) {
        fputs("usage: 12-randomness SIDES ROLLS\n", stderr);
        exit(2);
    }
    if (number_parse(argv[1], 1, 1ULL << 32, &sides) < 0)
        err(1, "SIDES %s", argv[1]);
    if (number_parse(argv[2], 1, MOST_ROLLS, &wanted) < 0)
        err(1, "ROLLS %s", argv[2]);

    static struct input input;
    const uint64_t limit = (1ULL << 32) - (1ULL << 32) % sides;
    unsigned long long count = 0;
    while (count < wanted) {
        if (input.end - input.start < 4) {
            ssize_t got = refill(&input);
            if (got > 0)
                continue;
            if (got < 0)
                warn("read");
            else
                warnx("end of file");
            print(count);
            return 1;
        }
        uint64_t number = 0;
        for (int i = 0; i < 4; i++) {
            number = (number << 8) | input.bytes[input.start];
            input.start++;
        }
        if (number < limit) {
            rolls[count] = number % sides + 1;
            count++;
        }
    }
    print(count);
    return 0;
}
