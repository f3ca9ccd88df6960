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

static void say(const char *text, const char *reason) {
    dprintf(STDERR_FILENO, "%s: %s\n", text, reason);
}

static void write_all(const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            say("write", strerror(errno));
            exit(1);
        }
        text += written;
        length -= (size_t)written;
    }
}

static uint32_t read_number(void) {
    union {
        unsigned char bytes[4];
        uint32_t number;
    } both;
    int count = 0;
    while (count < 4) {
        ssize_t got = read(STDIN_FILENO, &both.bytes[count], 1);
        if (got == 0) {
            say("standard input", "this is the end");
            exit(1);
        }
        if (got == 1) {
            count++;
        } else if (errno != EINTR) {
            say("standard input", strerror(errno));
            exit(1);
        }
    }
    return ntohl(both.number);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        dprintf(STDERR_FILENO, "usage: 12-randomness SIDES ROLLS\n");
        return 2;
    }
    unsigned long long values[2];
    const unsigned long long most[2] = {4294967296, 100000};
    for (int i = 0; i < 2; i++) {
        const char *text = argv[i + 1];
        errno = 0;
        values[i] = strtoull(text, NULL, 10);
        if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' ||
            errno != 0 || values[i] < 1 || values[i] > most[i]) {
            say(text, "is no number, or out of range");
            return 1;
        }
    }

    /* The number of numbers that are left over at the end: (2^32) % sides. */
    uint64_t left_over = 4294967296 % values[0];
    for (unsigned long long i = 0; i < values[1]; i++) {
        uint64_t number;
        do
            number = read_number();
        while (number + left_over >= 4294967296);
        char line[24];
        int length = snprintf(
            line, sizeof line, "%llu\n",
            (unsigned long long)(number - number / values[0] * values[0] + 1));
        write_all(line, (size_t)length);
    }
    return 0;
}
