/*
 * tell-dial: what common/dial makes of a name, without an observer.
 *
 *     tell-dial FAMILY DELAY MILLISECONDS HOST PORT [TIMES [FORBIDDEN]]
 *
 * FAMILY is 0, 4 or 6. DELAY is delay_ms, and the deadline is MILLISECONDS
 * away. Dials TIMES (1) with the same struct. With FORBIDDEN there is a filter,
 * which prints each address that it is asked about; those whose text, as
 * addr_format writes it, begins with FORBIDDEN may not be tried. Then it prints
 * a line for each attempt of the last time, the result, and the lowest
 * descriptor that is free.
 */
#define _GNU_SOURCE

#include "dial.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const states[] = {
    [DIAL_UNTRIED] = "untried",     [DIAL_CONNECTING] = "connecting",
    [DIAL_FAILED] = "failed",       [DIAL_CONNECTED] = "connected",
    [DIAL_ABANDONED] = "abandoned",
};

static int number(const char *text) {
    return (int)strtol(text, NULL, 10);
}

static int family(const char *text) {
    switch (number(text)) {
    case 4:
        return AF_INET;
    case 6:
        return AF_INET6;
    default:
        return AF_UNSPEC;
    }
}

static void tell_attempts(const struct dial *dial) {
    for (size_t i = 0; i < dial->count; i++) {
        const struct dial_attempt *attempt = &dial->attempts[i];
        printf("%s %s", attempt->name, states[attempt->state]);
        if (attempt->state == DIAL_FAILED)
            printf(": %s: %s", attempt->call, strerror(attempt->error));
        printf("\n");
    }
}

static void tell_result(const struct dial *dial, int fd, int error) {
    if (dial->lookup_error != 0)
        printf("lookup: %s\n", gai_strerror(dial->lookup_error));
    else if (fd < 0)
        printf("-1: %s\n", strerror(error));
    else
        printf("%s %s\n",
               fcntl(fd, F_GETFL) & O_NONBLOCK ? "non-blocking" : "blocking",
               fcntl(fd, F_GETFD) & FD_CLOEXEC ? "close-on-exec" : "inherited");
}

/* The filter. Its context is FORBIDDEN. */
static bool is_allowed(void *context, const struct sockaddr *address) {
    const char *forbidden = context;
    char text[ADDR_TEXT_BYTES];
    socklen_t length = address->sa_family == AF_INET
                           ? sizeof(struct sockaddr_in)
                           : sizeof(struct sockaddr_in6);
    (void)addr_format(address, length, text);
    printf("asked %s\n", text);
    return strncmp(text, forbidden, strlen(forbidden)) != 0;
}

int main(int argc, char **argv) {
    if (argc < 6 || argc > 8)
        errx(2,
             "usage: tell-dial FAMILY DELAY MS HOST PORT [TIMES [FORBIDDEN]]");
    struct dial dial = {
        .host = argv[4],
        .port = argv[5],
        .family = family(argv[1]),
        .delay_ms = number(argv[2]),
    };
    if (argc == 8) {
        dial.filter = is_allowed;
        dial.context = argv[7];
    }
    int times = argc >= 7 ? number(argv[6]) : 1;
    for (int i = 0; i < times; i++) {
        dial.deadline = deadline_after(number(argv[3]));
        int fd = dial_connect(&dial);
        int error = errno;
        if (i == times - 1) {
            tell_attempts(&dial);
            tell_result(&dial, fd, error);
        }
        if (fd >= 0)
            (void)close(fd);
    }
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (lowest < 0)
        err(1, "/dev/null");
    printf("%d is free\n", lowest);
    (void)close(lowest);
    return fflush(stdout) == EOF;
}
