/*
 * inject: sends frames on an interface, exactly as they are given.
 *
 *     inject [-i INTERFACE] [-n TIMES]
 *
 * Each line of standard input is a frame in hexadecimal digits, with or without
 * blanks between the bytes. We send each frame TIMES times. Without -i it goes
 * over the loopback. If the first byte
 * of a frame is 02, for example, it is not addressed to this machine. Then only
 * a program that captures packets sees it. We need the same permission as a
 * sniffer. Without it we say so, and exit with status 1.
 */
#define _GNU_SOURCE

#include <err.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_BYTES = 70000 };

static size_t read_hex(const char *text, uint8_t *bytes) {
    size_t length = 0;
    for (;;) {
        text += strspn(text, " \n");
        if (*text == '\0')
            return length;
        char digits[] = {text[0], text[1], '\0'};
        char *end;
        if (length == MOST_BYTES)
            errx(1, "a frame that is too long");
        bytes[length] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2)
            errx(1, "not hexadecimal: %s", text);
        length++;
        text += 2;
    }
}

int main(int argc, char **argv) {
    static uint8_t bytes[MOST_BYTES];
    struct sockaddr_ll to = {.sll_family = AF_PACKET};
    long times = 1;
    char *line = NULL;
    size_t room = 0;
    const char *interface = "lo";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "-i") == 0)
            interface = argv[i + 1];
        else if (strcmp(argv[i], "-n") == 0)
            times = strtol(argv[i + 1], NULL, 10);
    }
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket AF_PACKET");
    to.sll_ifindex = (int)if_nametoindex(interface);
    while (getline(&line, &room, stdin) > 0) {
        size_t length = read_hex(line, bytes);
        for (long i = 0; i < times; i++)
            if (sendto(fd, bytes, length, 0, (const struct sockaddr *)&to,
                       sizeof to) != (ssize_t)length)
                err(1, "sendto");
    }
    free(line);
    return close(fd) < 0 ? 1 : 0;
}
