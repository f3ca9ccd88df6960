/*
 * A right answer with stdio: getchar, one byte at a time, and a number that is
 * put together by multiplication.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL 4294967296ULL

static _Noreturn void complain(const char *what) {
    fflush(stdout);
    perror(what);
    exit(1);
}

/* Returns the next number, or ALL if the input ends before it is whole. */
static uint64_t next_number(void) {
    uint64_t number = 0;
    for (int i = 0; i < 4; i++) {
        int byte = getchar();
        if (byte == EOF) {
            if (ferror(stdin))
                complain("12-randomness: standard input");
            return ALL;
        }
        number = number * 256 + (uint64_t)byte;
    }
    return number;
}

static uint64_t parse(const char *text, uint64_t most) {
    uint64_t number = 0;
    int fits = *text != '\0';
    for (const char *at = text; *at != '\0'; at++) {
        if (!isdigit((unsigned char)*at))
            fits = 0;
        if (fits)
            number = number * 10 + (uint64_t)(*at - '0');
        if (number > most)
            fits = 0;
    }
    if (!fits || number == 0) {
        fprintf(stderr, "12-randomness: %s: not 1 to %llu\n", text,
                (unsigned long long)most);
        exit(1);
    }
    return number;
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 12-randomness SIDES ROLLS\n");
        return 2;
    }
    uint64_t sides = parse(argv[1], ALL);
    uint64_t rolls = parse(argv[2], 100000);
    uint64_t limit = ALL / sides * sides;

    while (rolls > 0) {
        uint64_t number = next_number();
        if (number == ALL) {
            fflush(stdout);
            fprintf(stderr, "12-randomness: the input ends too early\n");
            return 1;
        }
        if (number >= limit)
            continue;
        uint64_t roll = number % sides + 1;
        printf("%ju\n", (uintmax_t)roll);
        rolls--;
    }
    if (fclose(stdout) != 0)
        complain("12-randomness: standard output");
    return 0;
}
