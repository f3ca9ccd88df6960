/* queue: descriptors that wait until a thread has time for them. */
#define _GNU_SOURCE

#include "queue.h"

int queue_init(struct queue *queue) {
    queue->first = 0;
    queue->count = 0;
    queue->is_closed = 0;
    int error = pthread_mutex_init(&queue->lock, NULL);
    if (error != 0)
        return error;
    error = pthread_cond_init(&queue->not_full, NULL);
    if (error != 0)
        return error;
    return pthread_cond_init(&queue->not_empty, NULL);
}

/* These two calls cannot fail here: the mutex is one that has been initialized,
 * and only the thread that has locked it unlocks it. */
static void lock(struct queue *queue) {
    (void)pthread_mutex_lock(&queue->lock);
}

static void unlock(struct queue *queue) {
    (void)pthread_mutex_unlock(&queue->lock);
}

int queue_put(struct queue *queue, int fd) {
    lock(queue);
    /* Not `if`: before we have the lock again, another thread may have filled
     * the free place. pthread_cond_wait may also return without a reason:
     * pthread_cond_wait(3p). */
    while (queue->count == QUEUE_PLACES && !queue->is_closed)
        (void)pthread_cond_wait(&queue->not_full, &queue->lock);
    if (queue->is_closed) {
        unlock(queue);
        return -1;
    }
    int end = (queue->first + queue->count) % QUEUE_PLACES;
    queue->fds[end] = fd;
    queue->count++;
    (void)pthread_cond_signal(&queue->not_empty);
    unlock(queue);
    return 0;
}

int queue_take(struct queue *queue) {
    lock(queue);
    while (queue->count == 0 && !queue->is_closed)
        (void)pthread_cond_wait(&queue->not_empty, &queue->lock);
    if (queue->count == 0) {
        unlock(queue);
        return -1;
    }
    int fd = queue->fds[queue->first];
    queue->first = (queue->first + 1) % QUEUE_PLACES;
    queue->count--;
    (void)pthread_cond_signal(&queue->not_full);
    unlock(queue);
    return fd;
}

void queue_close(struct queue *queue) {
    lock(queue);
    queue->is_closed = 1;
    /* Every thread that waits must wake up and look at is_closed. A signal
     * would wake up only one of them. */
    (void)pthread_cond_broadcast(&queue->not_full);
    (void)pthread_cond_broadcast(&queue->not_empty);
    unlock(queue);
}
