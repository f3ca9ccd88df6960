/*
 * A right answer that is woken by a signal: a timer sends SIGALRM each second,
 * and recv then fails with EINTR.
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

/* From 1900, where RFC 868 begins, to 1970, where time_t begins. */
static const int64_t SECONDS_TO_1970 = 2208988800;

/* How many seconds have passed: counted by the signal handler. */
static volatile sig_atomic_t seconds_passed;

static void count_second(int signal_number) {
    (void)signal_number;
    seconds_passed++;
}

/* Says why a call has failed. Returns the exit status. */
static int fail(const char *what) {
    perror(what);
    return 1;
}

/* Starts a timer that repeats. A signal just before recv begins does not wake
 * recv, but the next one does. */
static int start_timer(void) {
    struct sigaction action = {.sa_handler = count_second};
    struct itimerval every_second = {
        .it_interval.tv_sec = 1,
        .it_value.tv_sec = 1,
    };
    /* sa_flags has no SA_RESTART: with it, recv would go on waiting. */
    if (sigaction(SIGALRM, &action, NULL) < 0)
        return -1;
    return setitimer(ITIMER_REAL, &every_second, NULL);
}

/* Returns the exit status. */
static int print_date(const unsigned char *answer) {
    uint32_t number;
    struct tm date;
    char text[32];
    memcpy(&number, answer, sizeof number);
    int64_t seconds = ntohl(number);
    time_t when = (time_t)(seconds - SECONDS_TO_1970);
    if (gmtime_r(&when, &date) == NULL)
        return fail("gmtime_r");
    if (strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC\n", &date) == 0)
        return fail("strftime");
    size_t length = strlen(text);
    if (write(STDOUT_FILENO, text, length) != (ssize_t)length)
        return fail("write");
    return 0;
}

/* Sends a question at the beginning of each second, three in all, and prints
 * the answer. Returns the exit status. */
static int ask(int fd) {
    unsigned char answer[1024];
    int questions = 0; /* sent so far */

    if (start_timer() < 0)
        return fail("timer");
    for (;;) {
        if (seconds_passed >= 3) {
            fputs("there was no answer\n", stderr);
            return 1;
        }
        if (questions <= seconds_passed) {
            questions = seconds_passed + 1;
            if (send(fd, "", 0, 0) < 0)
                return fail("send");
        }
        ssize_t size = recv(fd, answer, sizeof answer, 0);
        if (size == 4)
            return print_date(answer);
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
    int is_number = digits > 0 && argv[2][digits] == '\0';
    unsigned long port = strtoul(argv[2], NULL, 10);
    int is_port = is_number && port >= 1 && port <= 65535;
    int is_address = inet_pton(AF_INET, argv[1], &server.sin_addr) == 1;
    if (!is_port || !is_address) {
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
