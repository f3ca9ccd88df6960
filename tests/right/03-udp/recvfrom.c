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

static long long now_in_milliseconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        err(1, "clock_gettime");
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Returns how long the server's answer is, or -1 when the time is over. */
static ssize_t receive(int fd, const struct sockaddr_in *server, void *answer,
                       size_t room) {
    long long end = now_in_milliseconds() + 1000;
    for (;;) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        long long left = end - now_in_milliseconds();
        int ready = left > 0 ? poll(&one, 1, (int)left) : 0;
        if (ready < 0)
            err(1, "poll");
        if (ready == 0)
            return -1;
        struct sockaddr_in from = {0};
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, answer, room, MSG_DONTWAIT,
                                (struct sockaddr *)&from, &length);
        if (size < 0 && errno == EAGAIN)
            continue; /* a datagram with a wrong checksum was thrown away */
        if (size < 0)
            err(1, "recvfrom");
        if (from.sin_addr.s_addr == server->sin_addr.s_addr &&
            from.sin_port == server->sin_port)
            return size;
    }
}

static void print(uint32_t seconds) {
    time_t when = (time_t)seconds - (time_t)2208988800;
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
    if (argv[2][0] < '0' || argv[2][0] > '9' || *end != '\0' || port < 1 ||
        port > 65535)
        errx(1, "a port is from 1 to 65535");
    server.sin_port = htons((in_port_t)port);
    if (inet_aton(argv[1], &server.sin_addr) == 0)
        errx(1, "what is %s?", argv[1]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) < 0)
        err(1, "setsockopt");

    ssize_t size = -1;
    for (int i = 0; i < 3 && size < 0; i++) {
        if (sendto(fd, NULL, 0, 0, (struct sockaddr *)&server, sizeof server) <
            0)
            err(1, "sendto");
        size = receive(fd, &server, answer, sizeof answer);
    }
    if (size < 0)
        errx(1, "no answer");
    if (size != 4)
        errx(1, "bad answer");
    uint32_t seconds = 0;
    for (int i = 0; i < 4; i++)
        seconds = seconds << 8 | answer[i];
    print(seconds);
    (void)close(fd);
    return 0;
}
