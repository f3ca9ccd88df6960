/*
 * 29 exercise: what became of numbered packets.
 *
 * A buoy in the sea sends measurements by radio. The radio loses packets,
 * sends some of them twice, and delivers some of them late. Each packet has a
 * number, so the station on land can find out what happened. You write the
 * program that counts.
 *
 * It is called as `29-udp-batch PORT`, and receives packets at 127.0.0.1. A
 * packet has 4 to 1400 bytes. The first four bytes are its number, in network
 * order. The bytes behind it are a measurement, which your program does not
 * need. An empty datagram says that no more packets follow.
 *
 * The first packet that comes may have any number. The buoy counts up by one
 * with each new packet. After 4294967295, the largest number in four bytes,
 * comes 0. After the first packet that comes, no packet comes that was sent
 * before it. A packet that comes late, or once more, is never more than 1000
 * numbers behind the highest number that has come. And no packet is more than
 * 1000000 numbers ahead of it.
 *
 * 1. It says where it listens. It prints the line `listening on
 *    127.0.0.1:PORT`, and flushes it. If PORT is 0, the kernel chooses the
 *    port, and the line has that one.
 * 2. It counts the packets that come, and ends at an empty datagram. At such a
 *    datagram it prints five lines, and ends with status 0: `came 7`, `lost
 *    1`, `doubled 1`, `late 1` and `bad 0`, each with its own number. `came`
 *    is how many packets came, with those that came twice or late, but without
 *    bad ones.
 * 3. It counts the lost packets. These are the numbers between the first and
 *    the highest that did not come. There may be more than 4294967295 of them.
 * 4. It counts a packet as doubled when its number has come before. This is so
 *    each time that it comes again.
 * 5. It counts a packet as late when its number is lower than the highest, and
 *    has not come before. Then it is no longer lost. A late packet may come
 *    twice too.
 * 6. It counts on when the numbers begin again at 0.
 * 7. It counts a datagram with 1 to 3 bytes, or with more than 1400, as bad.
 *    It does not look at its number.
 * 8. It counts each packet when the sender gives many to the kernel by one
 *    call. The sender may use UDP_SEGMENT, and then the last packet may be
 *    shorter.
 * 9. It loses none of 1000 packets while it stands still. The sender uses
 *    UDP_SEGMENT, with 64 packets of 64 bytes in each call. The receive buffer
 *    may have its usual size.
 * 10. It reports output that cannot be written, with status 1. The reason is
 *     in words, such as "No space left on device" for a full disk. This is so
 *     for the first line too: then it does not wait for packets.
 * 11. It refuses a wrong number of arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 * 12. It refuses an invalid port, with status 1. A port is a number from 0 to
 *     65535, in digits alone.
 *
 * What is here compiles, checks its arguments, and receives nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Some C libraries do not define UDP_GRO yet. */
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    LARGEST_PORT = 65535,
    LEAST_BYTES = 4, /* of a packet */
    MOST_BYTES = 1400,
    MOST_LATE = 1000, /* how many numbers a late packet is behind, at most */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 29-udp-batch PORT\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    unsigned long long port;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 2)
        usage(stderr, 2);
    if (number_parse(argv[1], 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", argv[1], LARGEST_PORT);

    /* 1. Make a socket at 127.0.0.1 and the port, and print its address. */
    /* 2. Receive packets, and read their numbers, until an empty one comes. */
    /* 3. Remember which of the last numbers have come. */
    /* 4. Let the kernel join packets. Take them apart yourself. */
    /* 5. Print the report. */
    return 0;
}
