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

enum {
    MOST_ROLLS = 100000,
    PIECE_BYTES = 4096,
    NUMBER_BYTES = 4,
};

/* How many different numbers four bytes can hold. */
static const uint64_t numbers = UINT64_C(1) << 32;

/* The bytes from start to end have been read, and are not used yet. */
struct input {
    unsigned char bytes[PIECE_BYTES];
    size_t start;
    size_t end;
};

static uint64_t rolls[MOST_ROLLS];

static void print_rolls(size_t count) {
    for (size_t i = 0; i < count; i++)
        printf("%ju\n", (uintmax_t)rolls[i]);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "print");
}

/* Moves the unused bytes to the front, and reads more behind them. Returns 0,
 * or -1 if there are no more; then it has said why. */
static int read_more(struct input *input) {
    size_t unused = input->end - input->start;
    memmove(input->bytes, input->bytes + input->start, unused);
    input->start = 0;
    input->end = unused;

    ssize_t count = TEMP_FAILURE_RETRY(
        read(STDIN_FILENO, input->bytes + unused, PIECE_BYTES - unused));
    if (count < 0) {
        warn("read");
        return -1;
    }
    if (count == 0) {
        warnx("end of file");
        return -1;
    }
    input->end += (size_t)count;
    return 0;
}

/* Puts the number in the next four bytes into *number. Returns 0, or -1 if
 * there are no four bytes. */
static int read_number(struct input *input, uint64_t *number) {
    while (input->end - input->start < NUMBER_BYTES) {
        if (read_more(input) < 0)
            return -1;
    }
    *number = 0;
    for (int i = 0; i < NUMBER_BYTES; i++) {
        *number = *number * 256 + input->bytes[input->start];
        input->start++;
    }
    return 0;
}

int main(int argc, char **argv) {
    unsigned long long sides;
    unsigned long long wanted;
    if (argc != 3) {
        fputs("usage: 12-randomness SIDES ROLLS\n", stderr);
        exit(2);
    }
    if (number_parse(argv[1], 1, numbers, &sides) < 0)
        err(1, "SIDES %s", argv[1]);
    if (number_parse(argv[2], 1, MOST_ROLLS, &wanted) < 0)
        err(1, "ROLLS %s", argv[2]);

    static struct input input;
    const uint64_t limit = numbers - numbers % sides;
    size_t count = 0;
    while (count < wanted) {
        uint64_t number;
        if (read_number(&input, &number) < 0) {
            print_rolls(count);
            return 1;
        }
        if (number < limit) {
            rolls[count] = number % sides + 1;
            count++;
        }
    }
    print_rolls(count);
    return 0;
}
