/*
 * Two threads add 1 to the same number, ten million times each. With -l, each
 * of them locks a mutex before it adds, and unlocks it after that.
 *
 * usage: race [-l]
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TIMES = 10 * 1000 * 1000 };

struct counter {
    pthread_mutex_t lock;
    int uses_lock; /* whether the threads lock it */
    long number;
};

static void *count(void *argument) {
    struct counter *counter = argument;
    for (int i = 0; i < TIMES; i++) {
        if (counter->uses_lock)
            (void)pthread_mutex_lock(&counter->lock);
        counter->number++;
        if (counter->uses_lock)
            (void)pthread_mutex_unlock(&counter->lock);
    }
    return NULL;
}

static pthread_t start_thread(struct counter *counter) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, count, counter);
    if (error != 0) {
        errno = error;
        err(1, "pthread_create");
    }
    return thread;
}

int main(int argc, char **argv) {
    struct counter counter = {.lock = PTHREAD_MUTEX_INITIALIZER};
    if (argc == 2 && strcmp(argv[1], "-l") == 0)
        counter.uses_lock = 1;

    pthread_t one = start_thread(&counter);
    pthread_t other = start_thread(&counter);
    (void)pthread_join(one, NULL);
    (void)pthread_join(other, NULL);
    if (printf("%d wanted, %ld counted\n", 2 * TIMES, counter.number) < 0)
        err(1, "standard output");
    return 0;
}
