/*
 * A right answer whose socket is not connected: it compares the address of each
 * datagram itself, asks for the errors of the network with IP_RECVERR, and
 * measures the second by a clock.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* From 1900, where RFC 868 begins, to 1970, where time_t begins. */
static const time_t SECONDS_TO_1970 = 2208988800;

static long long now_in_milliseconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        err(1, "clock_gettime");
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int is_same_address(const struct sockaddr_in *a,
                           const struct sockaddr_in *b) {
    return a->sin_addr.s_addr == b->sin_addr.s_addr &&
           a->sin_port == b->sin_port;
}

/* Waits for the server's answer, at most a second. Returns its length, or -1
 * when the second is over. */
static ssize_t receive(int fd, const struct sockaddr_in *server, void *answer,
                       size_t room) {
    long long end = now_in_milliseconds() + 1000;
    for (;;) {
        long long timeout = end - now_in_milliseconds();
        if (timeout <= 0)
            return -1;
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        int ready = poll(&waiting, 1, (int)timeout);
        if (ready < 0)
            err(1, "poll");
        if (ready == 0)
            return -1;
        struct sockaddr_in from = {0};
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, answer, room, MSG_DONTWAIT,
                                (struct sockaddr *)&from, &length);
        if (size < 0 && errno == EAGAIN)
            continue; /* the kernel discarded a datagram: wrong checksum */
        if (size < 0)
            err(1, "recvfrom");
        if (is_same_address(&from, server))
            return size;
        /* A stranger has sent this datagram: wait for the next one. */
    }
}

/* Returns the number that four bytes are, the most significant byte first. */
static uint32_t read_number(const unsigned char *bytes) {
    uint32_t number = 0;
    for (int i = 0; i < 4; i++)
        number = number * 256 + bytes[i];
    return number;
}

static void print_date(uint32_t seconds) {
    /* The result is negative before 1970. So we subtract as time_t, which has a
     * sign. */
    time_t when = (time_t)seconds - SECONDS_TO_1970;
    char line[64];
    struct tm *date = gmtime(&when);
    if (date == NULL)
        err(1, "gmtime");
    (void)strftime(line, sizeof line, "%F %T UTC", date);
    if (puts(line) == EOF)
        err(1, "puts");
    if (fflush(stdout) == EOF)
        err(1, "fflush");
}

int main(int argc, char **argv) {
    struct sockaddr_in server = {.sin_family = AF_INET};
    unsigned char answer[512];
    char *end;
    const int on = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: %s ADDRESS PORT\n", argv[0]);
        return 2;
    }
    long port = strtol(argv[2], &end, 10);
    int begins_with_digit = argv[2][0] >= '0' && argv[2][0] <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port >= 1 && port <= 65535;
    if (!is_number || !is_in_range)
        errx(1, "a port is from 1 to 65535");
    server.sin_port = htons((in_port_t)port);
    if (inet_aton(argv[1], &server.sin_addr) == 0)
        errx(1, "what is %s?", argv[1]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) < 0)
        err(1, "setsockopt");

    for (int tries = 0; tries < 3; tries++) {
        ssize_t sent =
            sendto(fd, NULL, 0, 0, (struct sockaddr *)&server, sizeof server);
        if (sent < 0)
            err(1, "sendto");
        ssize_t size = receive(fd, &server, answer, sizeof answer);
        if (size == 4) {
            print_date(read_number(answer));
            (void)close(fd);
            return 0;
        }
        if (size >= 0)
            errx(1, "bad answer");
    }
    errx(1, "no answer");
}
