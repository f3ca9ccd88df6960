/*
 * A right answer that waits with select, and works out the date by itself,
 * without the functions of time.h that know the calendar.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint32_t DAY = 24 * 60 * 60;

static int is_leap(unsigned year) {
    return year % 4 == 0 && year != 1900; /* 2000 is one, 2100 is too late */
}

static unsigned days_in(unsigned month, unsigned year) {
    static const unsigned days[] = {31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31};
    if (month == 1 && is_leap(year))
        return 29;
    return days[month];
}

/* Prints the date of these seconds since 1900. */
static void print_date(uint32_t seconds) {
    uint32_t days = seconds / DAY;
    uint32_t rest = seconds % DAY;
    unsigned year = 1900;
    unsigned month = 0;

    while (days >= (is_leap(year) ? 366U : 365U)) {
        days -= is_leap(year) ? 366U : 365U;
        year++;
    }
    while (days >= days_in(month, year)) {
        days -= days_in(month, year);
        month++;
    }
    if (printf("%04u-%02u-%02u %02u:%02u:%02u UTC\n", year, month + 1, days + 1,
               rest / 3600, rest / 60 % 60, rest % 60) < 0)
        err(1, "printf");
    if (fclose(stdout) == EOF)
        err(1, "fclose");
}

/* Waits for a second at most. Returns 1 if there is something to read. */
static int wait_for_answer(int fd) {
    struct timeval second = {.tv_sec = 1};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    int ready = select(fd + 1, &set, NULL, NULL, &second);
    if (ready < 0)
        err(1, "select");
    return ready;
}

int main(int argc, char **argv) {
    struct sockaddr_in server = {.sin_family = AF_INET};
    unsigned char answer[16];

    if (argc != 3) {
        fputs("usage: time ADDRESS PORT\n", stderr);
        return 2;
    }
    unsigned long port = strtoul(argv[2], NULL, 10);
    if (strspn(argv[2], "0123456789") != strlen(argv[2]) || port < 1 ||
        port > 65535)
        errx(1, "%s is no port", argv[2]);
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
        errx(1, "%s is no address", argv[1]);
    server.sin_port = htons((in_port_t)port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect");

    for (int tries = 3; tries > 0; tries--) {
        if (write(fd, NULL, 0) < 0)
            err(1, "write");
        if (!wait_for_answer(fd))
            continue;
        ssize_t size = read(fd, answer, sizeof answer);
        if (size < 0)
            err(1, "read");
        if (size != 4)
            errx(1, "an answer of %zd bytes", size);
        print_date((uint32_t)answer[0] << 24 | (uint32_t)answer[1] << 16 |
                   (uint32_t)answer[2] << 8 | answer[3]);
        return 0;
    }
    errx(1, "nobody answers");
}
