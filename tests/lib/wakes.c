/*
 * wakes: a library to preload that wakes up threads without a reason.
 *
 *     LD_PRELOAD=build/tests/wakes.so COMMAND
 *
 * pthread_cond_wait returns after two milliseconds, whether the condition was
 * signalled or not. POSIX allows that: pthread_cond_wait(3p), "spurious
 * wakeups". A program that looks again at what it waits for notices nothing.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <time.h>

int pthread_cond_wait(pthread_cond_t *restrict condition,
                      pthread_mutex_t *restrict mutex) {
    const struct timespec moment = {.tv_nsec = 2000000};
    (void)condition;
    (void)pthread_mutex_unlock(mutex);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    return pthread_mutex_lock(mutex);
}
