/*
 * A right answer with read and write alone: every roll is written at once, and
 * each byte is read by a call of its own.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ROLLS = 100000 };

/* How many different numbers four bytes can hold. */
static const uint64_t numbers = 4294967296;

static _Noreturn void fail(const char *text, const char *reason) {
    dprintf(STDERR_FILENO, "%s: %s\n", text, reason);
    exit(1);
}

static void write_all(const char *text, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(STDOUT_FILENO, text + done, length - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            fail("write", strerror(errno));
        done += (size_t)written;
    }
}

static unsigned char read_byte(void) {
    for (;;) {
        unsigned char byte;
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count == 1)
            return byte;
        if (count == 0)
            fail("standard input", "this is the end");
        if (errno != EINTR)
            fail("standard input", strerror(errno));
    }
}

/* The bytes come in network byte order, so ntohl makes the number. */
static uint32_t read_number(void) {
    unsigned char bytes[4];
    uint32_t number;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = read_byte();
    memcpy(&number, bytes, sizeof number);
    return ntohl(number);
}

static int has_only_digits(const char *text) {
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static uint64_t parse_number(const char *text, uint64_t most) {
    errno = 0;
    uint64_t number = strtoull(text, NULL, 10);
    if (!has_only_digits(text) || errno != 0)
        fail(text, "is no number, or out of range");
    if (number < 1 || number > most)
        fail(text, "is no number, or out of range");
    return number;
}

static uint64_t roll(uint64_t sides) {
    uint64_t left_over = numbers % sides;
    for (;;) {
        uint64_t number = read_number();
        if (number < numbers - left_over)
            return number % sides + 1;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        dprintf(STDERR_FILENO, "usage: 12-randomness SIDES ROLLS\n");
        return 2;
    }
    uint64_t sides = parse_number(argv[1], numbers);
    uint64_t rolls = parse_number(argv[2], MOST_ROLLS);

    for (uint64_t i = 0; i < rolls; i++) {
        char line[24];
        unsigned long long side = roll(sides);
        int length = snprintf(line, sizeof line, "%llu\n", side);
        write_all(line, (size_t)length);
    }
    return 0;
}
