/*
 * A right answer with stdio: getchar, one byte at a time, and a number that is
 * put together by multiplication.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many different numbers four bytes can hold. */
static const uint64_t numbers = 4294967296;

static _Noreturn void fail(const char *what) {
    fflush(stdout);
    perror(what);
    exit(1);
}

static unsigned char read_byte(void) {
    int byte = getchar();
    if (byte == EOF && ferror(stdin))
        fail("12-randomness: standard input");
    if (byte == EOF) {
        fflush(stdout);
        fprintf(stderr, "12-randomness: the input ends too early\n");
        exit(1);
    }
    return (unsigned char)byte;
}

static uint64_t read_number(void) {
    uint64_t number = 0;
    for (int i = 0; i < 4; i++)
        number = number * 256 + read_byte();
    return number;
}

static _Noreturn void refuse(const char *text, uint64_t most) {
    fprintf(stderr, "12-randomness: %s: not 1 to %llu\n", text,
            (unsigned long long)most);
    exit(1);
}

static uint64_t parse_number(const char *text, uint64_t most) {
    uint64_t number = 0;
    for (size_t i = 0; i < strlen(text); i++) {
        if (!isdigit((unsigned char)text[i]))
            refuse(text, most);
        number = number * 10 + (uint64_t)(text[i] - '0');
        if (number > most)
            refuse(text, most);
    }
    if (number == 0) /* also if there are no digits at all */
        refuse(text, most);
    return number;
}

int main(int argc, char *argv[]) {
    if (argc != 3) {
        fprintf(stderr, "usage: 12-randomness SIDES ROLLS\n");
        return 2;
    }
    uint64_t sides = parse_number(argv[1], numbers);
    uint64_t rolls = parse_number(argv[2], 100000);
    /* The largest multiple of sides that is not above numbers. */
    uint64_t limit = numbers / sides * sides;

    while (rolls > 0) {
        uint64_t number = read_number();
        if (number < limit) {
            uint64_t roll = number % sides + 1;
            printf("%ju\n", (uintmax_t)roll);
            rolls--;
        }
    }
    if (fclose(stdout) != 0)
        fail("12-randomness: standard output");
    return 0;
}
