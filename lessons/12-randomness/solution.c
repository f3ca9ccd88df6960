/*
 * 12 solution: a die without bias, one good answer of many.
 *
 * usage: 12-randomness SIDES ROLLS
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned long long numbers = 1ULL << 32; /* in four bytes */

enum { MOST_ROLLS = 100000 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 12-randomness SIDES ROLLS\n", out);
    exit(status);
}

/* Digits and nothing else, 1 to most. */
static unsigned long long parse_number(const char *text,
                                       unsigned long long most) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        number == 0 || number > most)
        errx(1, "%s is not a number from 1 to %llu", text, most);
    return number;
}

/* The next four bytes of standard input, however many calls that takes. */
static uint32_t draw(void) {
    unsigned char bytes[4];
    size_t have = 0;
    while (have < sizeof bytes) {
        ssize_t got = read(STDIN_FILENO, bytes + have, sizeof bytes - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err(1, "standard input");
        if (got == 0)
            errx(1, "the end of standard input came before the last roll");
        have += (size_t)got;
    }
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Below fair, each remainder comes equally often: what is above is drawn again.
 * With 32 bits, fair and a die of 2^32 sides would not fit. */
static unsigned long long roll(unsigned long long sides) {
    unsigned long long fair = numbers - numbers % sides;
    unsigned long long number;
    do {
        number = draw();
    } while (number >= fair);
    return number % sides + 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    unsigned long long sides = parse_number(argv[1], numbers);
    unsigned long long rolls = parse_number(argv[2], MOST_ROLLS);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    for (; rolls > 0; rolls--)
        (void)printf("%llu\n", roll(sides));
    if (ferror(stdout) || fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
