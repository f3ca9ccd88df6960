/*
 * A right answer that is woken by a signal: a timer rings each second, and recv
 * then returns with EINTR.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t rings;

static void ring(int signal_number) {
    (void)signal_number;
    rings++;
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

/* The timer repeats, so a ring just before recv begins is not the last one. */
static int start_timer(void) {
    struct sigaction action = {.sa_handler = ring}; /* without SA_RESTART */
    struct itimerval each = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};
    if (sigaction(SIGALRM, &action, NULL) < 0)
        return -1;
    return setitimer(ITIMER_REAL, &each, NULL);
}

static int print(const unsigned char *answer) {
    uint32_t number;
    struct tm date;
    char text[32];
    memcpy(&number, answer, 4);
    time_t when = (time_t)(ntohl(number) - 2208988800LL);
    if (gmtime_r(&when, &date) == NULL)
        return fail("gmtime_r");
    if (strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC\n", &date) == 0)
        return fail("strftime");
    if (write(1, text, strlen(text)) != (ssize_t)strlen(text))
        return fail("write");
    return 0;
}

static int ask(int fd) {
    unsigned char answer[1024];
    sig_atomic_t heard = -1;

    if (start_timer() < 0)
        return fail("timer");
    for (;;) {
        if (rings >= 3) {
            fputs("there was no answer\n", stderr);
            return 1;
        }
        if (rings != heard) {
            heard = rings;
            if (send(fd, answer, 0, 0) < 0)
                return fail("send");
        }
        ssize_t size = recv(fd, answer, sizeof answer, 0);
        if (size == 4)
            return print(answer);
        if (size >= 0) {
            fprintf(stderr, "%zd bytes are no time\n", size);
            return 1;
        }
        if (errno != EINTR)
            return fail("recv");
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: 03-udp ADDRESS PORT\n", stderr);
        return 2;
    }
    struct sockaddr_in server = {.sin_family = AF_INET};
    size_t digits = strspn(argv[2], "0123456789");
    unsigned long port = strtoul(argv[2], NULL, 10);
    if (digits == 0 || argv[2][digits] != '\0' || port < 1 || port > 65535 ||
        inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        fputs("no such address and port\n", stderr);
        return 1;
    }
    server.sin_port = htons((in_port_t)port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return fail("socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        return fail("connect");
    return ask(fd);
}
