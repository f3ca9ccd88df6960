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
    /* The seconds of RFC 868 end in 2036. 1900 was no leap year, and 2000 was.
     */
    return year % 4 == 0 && year != 1900;
}

static uint32_t days_in_year(unsigned year) {
    if (is_leap(year))
        return 366;
    return 365;
}

/* January is month 0. */
static unsigned days_in_month(unsigned month, unsigned year) {
    static const unsigned days[] = {31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31};
    if (month == 1 && is_leap(year))
        return 29; /* February */
    return days[month];
}

/* Prints the date of these seconds since 1900. */
static void print_date(uint32_t seconds) {
    uint32_t days = seconds / DAY;
    uint32_t second_of_day = seconds % DAY;
    uint32_t minute_of_day = second_of_day / 60;
    uint32_t hour = minute_of_day / 60;
    uint32_t minute = minute_of_day % 60;
    uint32_t second = second_of_day % 60;
    unsigned year = 1900;
    unsigned month = 0;

    /* `days` are the days since the year began, and then since the month began.
     */
    while (days >= days_in_year(year)) {
        days -= days_in_year(year);
        year++;
    }
    while (days >= days_in_month(month, year)) {
        days -= days_in_month(month, year);
        month++;
    }
    int printed = printf("%04u-%02u-%02u %02u:%02u:%02u UTC\n", year, month + 1,
                         days + 1, hour, minute, second);
    if (printed < 0)
        err(1, "printf");
    if (fclose(stdout) == EOF)
        err(1, "fclose");
}

/* Returns the number that four bytes are, the most significant byte first. */
static uint32_t read_number(const unsigned char *bytes) {
    uint32_t number = 0;
    for (int i = 0; i < 4; i++)
        number = number * 256 + bytes[i];
    return number;
}

/* Waits for a second at most. Returns 1 if there is something to read, and 0 if
 * not. */
static int wait_for_answer(int fd) {
    struct timeval second = {.tv_sec = 1};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    int ready = select(fd + 1, &set, NULL, NULL, &second);
    if (ready < 0)
        err(1, "select");
    return ready > 0;
}

int main(int argc, char **argv) {
    struct sockaddr_in server = {.sin_family = AF_INET};
    unsigned char answer[16];

    if (argc != 3) {
        fputs("usage: time ADDRESS PORT\n", stderr);
        return 2;
    }
    unsigned long port = strtoul(argv[2], NULL, 10);
    int has_only_digits = strspn(argv[2], "0123456789") == strlen(argv[2]);
    int is_in_range = port >= 1 && port <= 65535;
    if (!has_only_digits || !is_in_range)
        errx(1, "%s is no port", argv[2]);
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
        errx(1, "%s is no address", argv[1]);
    server.sin_port = htons((in_port_t)port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect");

    for (int tries = 0; tries < 3; tries++) {
        if (write(fd, NULL, 0) < 0)
            err(1, "write");
        if (!wait_for_answer(fd))
            continue;
        ssize_t size = read(fd, answer, sizeof answer);
        if (size < 0)
            err(1, "read");
        if (size != 4)
            errx(1, "an answer of %zd bytes", size);
        print_date(read_number(answer));
        return 0;
    }
    errx(1, "nobody answers");
}
