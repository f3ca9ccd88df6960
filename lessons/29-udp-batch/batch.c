/* batch: what the client and the server share. */
#define _GNU_SOURCE

#include "batch.h"

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>

enum { NS_PER_SECOND = 1000 * 1000 * 1000 };

int64_t batch_read_clock(clockid_t clock) {
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

void batch_set_option(int fd, int level, int option, int value,
                      const char *name) {
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        err(1, "setsockopt %s", name);
}

void batch_print_count(const char *name, long long count) {
    (void)printf("%-10s %lld\n", name, count);
}

void batch_print_speed(long long packets, long long calls, int64_t elapsed,
                       int64_t processor) {
    batch_print_count("calls", calls);
    if (packets == 0 || elapsed <= 0)
        return;
    double rate = (double)packets * NS_PER_SECOND / (double)elapsed;
    batch_print_count("rate", (long long)rate);
    batch_print_count("cost", processor / packets);
}
